"""Files that are written: what takes which name, and what is no file."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from embrow import Vocab
from embrow._files import check_writable, written_atomically
from embrow.corpus import encode_file, offsets_path
from embrow.vectors import WordVectors

VOCAB = Vocab(["<pad>", "<unk>", "a"])


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    there, link = tmp_path / "folder/there", tmp_path / "link"
    link.symlink_to(there)
    for _ in range(2):
        VOCAB.save(link)
        assert link.is_symlink() and Vocab.load(there).tokens == VOCAB.tokens
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["there"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_permissions_stay(tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v"
    path.touch()
    path.chmod(mode)
    seen: list[int] = []
    replace = os.replace

    def watched(temporary: Path, target: Path) -> None:
        seen.append(stat.S_IMODE(temporary.stat().st_mode))
        replace(temporary, target)

    monkeypatch.setattr("os.replace", watched)
    with written_atomically(path) as file:
        # What is written may be read by nobody else meanwhile.
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
    assert seen == [mode]
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_permissions_that_cannot_be_kept_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v"
    path.write_bytes(b"old")
    path.chmod(0o666)

    def refused(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    with pytest.raises(PermissionError, match="cannot be written: Operation not permitted"):
        check_writable(path)
    assert [file.name for file in tmp_path.iterdir()] == ["v"] and path.read_bytes() == b"old"


@pytest.mark.parametrize("as_stream", [True, False])
def test_a_folder_is_told_at_once(tmp_path: Path, as_stream: bool) -> None:
    with pytest.raises(IsADirectoryError, match="the output must be a file, and this is a folder"):
        check_writable(tmp_path, as_stream=as_stream)
    assert list(tmp_path.iterdir()) == []


def test_names_may_be_as_long_as_the_system_takes(tmp_path: Path) -> None:
    for name in ("v" * 255, "ä" * 127):
        VOCAB.save(tmp_path / name)
        assert Vocab.load(tmp_path / name).tokens == VOCAB.tokens


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_pipe_is_written_to_and_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    VOCAB.save(pipe)
    reader.join(10)
    assert not reader.is_alive()
    VOCAB.save(tmp_path / "file")
    assert read == [(tmp_path / "file").read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    writer = threading.Thread(target=VOCAB.save, args=(pipe,), daemon=True)
    writer.start()
    assert Vocab.load(pipe).tokens == VOCAB.tokens
    writer.join()


def test_what_is_not_one_stream_needs_a_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a")
    pipe = tmp_path / "ids.npy"
    os.mkfifo(pipe)
    vectors = WordVectors(["a"], np.zeros((1, 2), np.float32))
    for write in (
        lambda: encode_file(VOCAB, tmp_path / "text", pipe),
        lambda: encode_file(VOCAB, tmp_path / "text", pipe, max_length=2),
        lambda: vectors.save(pipe, "npy"),
        lambda: check_writable(pipe, as_stream=False),
    ):
        with pytest.raises(OSError, match=r"the output must be a file, .*ids\.npy"):
            write()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ids.npy", "text"]


def write_ids(path: Path) -> None:
    (path.parent / "text").write_text("a\n" * 2000)
    encode_file(VOCAB, path.parent / "text", path)


@pytest.mark.parametrize(
    "write",
    [
        Vocab(map(str, range(9999))).save,
        lambda path: WordVectors(["a"], np.zeros((1, 9999), np.float32)).save(path, "npy"),
        lambda path: WordVectors(["a"], np.zeros((1, 9999), np.float32)).save(path, "word2vec-text"),
        write_ids,
    ],
)
def test_what_keeps_a_file_from_being_written_names_it(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="there are no such limits")
    path = tmp_path / "v"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9999, hard))
    try:
        with pytest.raises(OSError, match=r"cannot be written: File too large") as met:
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert met.value.filename in (str(path), str(offsets_path(path)))

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match=r"cannot be written: Input/output error") as met:
        write(path)
    assert met.value.filename in (str(path), str(offsets_path(path)))
    assert {file.name for file in tmp_path.iterdir()} <= {"text"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_a_full_device_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot be written: No space left on device: '/dev/full'"):
        VOCAB.save("/dev/full")


def test_a_device_is_written_to() -> None:
    before = os.stat(os.devnull)
    VOCAB.save(os.devnull)
    after = os.stat(os.devnull)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
