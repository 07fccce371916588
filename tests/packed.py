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


def with_zip_field(data: bytes, field: str, value: int) -> bytes:
    """Change a 16-bit field of the last member of a zip archive, in its own header and in the directory."""
    # Where it lies behind the two headers' marks (APPNOTE.TXT of PKWARE, 4.3.7 and 4.3.12).
    local, central = {"version": (4, 6), "flags": (6, 8), "method": (8, 10)}[field]
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        at = data.rindex(mark) + offset
        changed[at : at + 2] = value.to_bytes(2, "little")
    return bytes(changed)


@contextmanager
def piped(path: Path, data: bytes) -> Iterator[None]:
    """Make a named pipe that gives `data` to its reader."""
    os.mkfifo(path)
    writer = Thread(target=path.write_bytes, args=(data,))
    writer.start()
    yield
    writer.join()
