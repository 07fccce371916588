"""Bytes as each compression has them, or as a pipe gives them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS = ["gzip", "bz2", "xz", "zst", "zip"]


def pack(data: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(data)
    if how == "bz2":
        return bz2.compress(data)
    if how == "xz":
        return lzma.compress(data)
    if how == "zst":
        return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        archive.writestr("folder/member", data)
    return file.getvalue()


@contextmanager
def piped(path: Path, data: bytes) -> Iterator[None]:
    """Make a named pipe that gives `data` to its reader."""
    os.mkfifo(path)
    writer = Thread(target=path.write_bytes, args=(data,))
    writer.start()
    yield
    writer.join()
