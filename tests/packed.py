"""Bytes as each compression has them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile

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
