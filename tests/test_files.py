"""Files that are written: what takes which name, and what is no file."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from embrow import Vocab
from embrow._files import check_writable

VOCAB = Vocab(["<pad>", "<unk>", "a"])


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    there, link = tmp_path / "folder/there", tmp_path / "link"
    link.symlink_to(there)
    for _ in range(2):
        VOCAB.save(link)
        assert link.is_symlink() and Vocab.load(there).tokens == VOCAB.tokens
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["there"]


def test_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.touch(mode=0o640)
    path.chmod(0o640)
    VOCAB.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_names_may_be_as_long_as_the_system_takes(tmp_path: Path) -> None:
    for name in ("v" * 255, "ä" * 127):
        VOCAB.save(tmp_path / name)
        assert Vocab.load(tmp_path / name).tokens == VOCAB.tokens


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    VOCAB.save(pipe)
    reader.join(10)
    VOCAB.save(tmp_path / "file")
    assert read == [(tmp_path / "file").read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_to() -> None:
    before = os.stat(os.devnull)
    VOCAB.save(os.devnull)
    after = os.stat(os.devnull)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
