"""Disks that are full or can only be read: what was there stays as it was, and nothing half-written is left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embrow import Vocab
from embrow._folder import write_folder
from embrow.classifier import TextClassifier
from embrow.corpus import encode_file
from embrow.vectors import WordVectors

PAGE = 4096
DISK_PAGES = 40
TEXT = "to be or not to be\n" * 700
VOCAB = Vocab(["<pad>", "<unk>", *(f"w{number}" for number in range(500))])
WEIGHT: NDArray[np.float32] = np.random.default_rng(0).standard_normal((300, 12)).astype(np.float32)

Write = Callable[[Path], object]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={DISK_PAGES * PAGE}"
    mounted = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "none", folder], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("may not mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a corpus, so that some of its ids are in a buffer when all are encoded."""
    monkeypatch.setattr("embrow.corpus.WINDOW_BYTES", 300)


def write_corpus(disk: Path) -> None:
    (disk.parent / "corpus.txt").write_text(TEXT, encoding="utf-8")
    encode_file(VOCAB, disk.parent / "corpus.txt", disk / "ids.npy", dtype="int32")


def write_rows(disk: Path) -> None:
    (disk.parent / "corpus.txt").write_text(TEXT, encoding="utf-8")
    encode_file(VOCAB, disk.parent / "corpus.txt", disk / "ids.npy", dtype="int32", max_length=5)


def write_model(disk: Path) -> None:
    TextClassifier(epochs=1, random_state=0, embedding_dim=20).fit(["good day", "bad day"] * 4, [1, 0] * 4).save(
        disk / "model"
    )


def write_report(disk: Path) -> None:
    write_folder({"a.md": b"a" * 9000, "b.json": b"b" * 20_000}, disk / "report")


def vectors(name: str, format: str) -> Write:
    return lambda disk: WordVectors([f"w{number}" for number in range(300)], WEIGHT).save(disk / name, format)


WRITES: dict[str, Write] = {
    "vocabulary": lambda disk: VOCAB.save(disk / "vocab"),
    "word2vec-binary": vectors("v.bin", "word2vec-binary"),
    "word2vec-text": vectors("v.vec", "word2vec-text"),
    "glove": vectors("v.txt", "glove"),
    "npy": vectors("v.npy", "npy"),
    "safetensors": vectors("v.safetensors", "safetensors"),
    "finalfusion": vectors("v.fifu", "finalfusion"),
    "corpus": write_corpus,
    "corpus of rows": write_rows,
    "model": write_model,
    "report": write_report,
}


def contents(disk: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(disk.rglob("*")) if path.is_file() and path.name != "filler"}


def leave(disk: Path, pages: int) -> None:
    """Fill the disk but for some pages."""
    with open(disk / "filler", "wb") as filler:
        free = os.statvfs(disk).f_bavail - pages
        filler.write(bytes(max(0, free) * PAGE))


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("name", WRITES)
def test_a_disk_with_any_room(name: str, is_there: bool, disk: Path) -> None:
    write = WRITES[name]
    write(disk)
    after = contents(disk)
    assert after
    old = {path: b"what was there" for path in after if is_there}
    outcomes = set()
    for pages in range(DISK_PAGES):
        for path in after:
            path.unlink(missing_ok=True)
        for path, data in old.items():
            path.write_bytes(data)
        leave(disk, pages)
        try:
            write(disk)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            assert error.filename in map(str, after) or name == "report"
            assert contents(disk) == old
            outcomes.add("full")
        else:
            assert contents(disk).keys() == after.keys()
            assert {path: len(data) for path, data in contents(disk).items()} == {
                path: len(data) for path, data in after.items()
            }
            outcomes.add("written")
    assert outcomes == {"full", "written"}


@pytest.mark.parametrize("name", WRITES)
def test_a_disk_that_is_only_read(name: str, disk: Path) -> None:
    write = WRITES[name]
    write(disk)
    before = contents(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(OSError, match="Read-only file system"):
        write(disk)
    assert contents(disk) == before
