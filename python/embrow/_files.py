"""Files: written whole or not at all, read whatever they are compressed with."""

from __future__ import annotations

import contextlib
import gzip
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

StrPath = str | os.PathLike[str]


@contextlib.contextmanager
def written_atomically(path: StrPath) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name at the end, or is removed if the block raises."""
    target = Path(path)
    directory = target.parent
    if not directory.is_dir():
        raise FileNotFoundError(f"cannot write {target}: there is no directory {directory}")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp's files are private; a new file of the user's has the mode that open() gives.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def open_decompressed(path: StrPath) -> IO[bytes]:
    """Open a file for reading its bytes, decompressing .gz and .zst, which are told by their first bytes."""
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if magic == b"\x28\xb5\x2f\xfd":
        try:
            import zstandard
        except ImportError as error:
            raise ImportError(f"{os.fspath(path)} is compressed with zstd; pip install zstandard") from error
        return cast(IO[bytes], zstandard.open(path, "rb"))
    return open(path, "rb")
