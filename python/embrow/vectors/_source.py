"""A file, plain or compressed -> its bytes in order, in bounded windows."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO

Progress = Callable[[int, int], object]

WINDOW_BYTES = 2 << 20
_COMPRESSED_BYTES = 256 << 10
_GZIP = b"\x1f\x8b"
_UNREADABLE = {b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip"}


def _inflaters() -> list[Any]:
    """Modules with zlib's decompressobj, the fastest first: ISA-L inflates text at 2.5 times zlib's rate."""
    try:
        from isal import isal_zlib
    except ImportError:
        return [zlib]
    return [isal_zlib, zlib]


class DamagedSource(Exception):
    """A compressed file that cannot be read on; `fault` says why."""

    def __init__(self, fault: EOFError | ValueError) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Source:
    """The bytes of a file after decompression, read once from front to back.

    `total` is the size of the file on disk and `done` how much of it has been read.
    """

    compression: str | None = None
    # The most bytes that one byte of the file can become.
    expansion = 1

    def __init__(self, file: BinaryIO, total: int) -> None:
        self._file = file
        self.total = total
        self.done = 0

    def readinto(self, window: memoryview) -> int:
        """Fill the front of `window`; 0 at the end of the bytes only."""
        got = self._file.readinto(window)  # type: ignore[attr-defined]
        self.done += got
        return int(got)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _GzipSource(Source):
    """Members of a gzip file one after the other (RFC 1952); their checksums are verified."""

    compression = "gzip"
    # Deflate codes at most 258 bytes in 2 bits.
    expansion = 1032

    def __init__(self, file: BinaryIO, total: int) -> None:
        super().__init__(file, total)
        self._inflater = _inflaters()[0]
        self._member = self._inflater.decompressobj(wbits=31)
        self._input = b""

    def readinto(self, window: memoryview) -> int:
        while True:
            ended = False
            if not self._input:
                self._input = self._file.read(_COMPRESSED_BYTES)
                self.done += len(self._input)
                ended = not self._input
            if self._member.eof:
                # Writers may pad the file with zeros.
                self._input = self._input.lstrip(b"\0")
                if ended:
                    return 0
                if not self._input:
                    continue
                if not self._input.startswith(_GZIP[:1]):
                    raise ValueError(f"other bytes follow the gzip data near byte {self.done} of the file")
                self._member = self._inflater.decompressobj(wbits=31)
            elif ended:
                raise EOFError(f"the compressed data end at byte {self.done} of the file, before their end mark")
            try:
                block = self._member.decompress(self._input, len(window))
            except self._inflater.error as error:
                raise ValueError(f"the gzip data are damaged near byte {self.done} of the file ({error})") from None
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if block:
                window[: len(block)] = block
                return len(block)


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open `path` for reading, decompressing what its first bytes say is compressed."""
    file = open(path, "rb", buffering=0)  # noqa: SIM115
    try:
        total = os.fstat(file.fileno()).st_size
        magic = file.read(6)
        file.seek(0)
        for start, name in _UNREADABLE.items():
            if magic.startswith(start):
                raise ValueError(
                    f"the file is compressed as {name}, which this version cannot read; decompress it first"
                )
        return (_GzipSource if magic.startswith(_GZIP) else Source)(file, total)
    except BaseException:
        file.close()
        raise


class Window:
    """The part of a source in memory: bytes not yet used, then what follows them in the file."""

    def __init__(self, source: Source, progress: Progress | None = None, capacity: int = WINDOW_BYTES) -> None:
        self._source = source
        self._progress = progress
        self._begin = 0
        self.buffer = bytearray(capacity)
        self.size = 0
        self.last = False
        self._fault: EOFError | ValueError | None = None

    def fill(self) -> None:
        """Move what is left to the front and read behind it, to the capacity or the end of the source.

        What precedes a fault in the source is handed out first; the next call raises DamagedSource.
        """
        if self._fault is not None:
            raise DamagedSource(self._fault)
        if 2 * self.size > len(self.buffer):
            grown = bytearray(2 * len(self.buffer))
            grown[: self.size] = memoryview(self.buffer)[self._begin : self._begin + self.size]
            self.buffer = grown
        elif self._begin:
            self.buffer[: self.size] = self.buffer[self._begin : self._begin + self.size]
        self._begin = 0
        with memoryview(self.buffer) as view:
            while self.size < len(view) and not self.last:
                try:
                    with view[self.size :] as rest:
                        got = self._source.readinto(rest)
                except (EOFError, ValueError) as fault:
                    self._fault = fault
                    break
                self.size += got
                self.last = got == 0
        if self._progress is not None:
            self._progress(self._source.done, self._source.total)

    def use(self, size: int) -> None:
        """Drop `size` bytes from the front."""
        self._begin += size
        self.size -= size

    def peek(self, size: int | None = None) -> bytes:
        """Copy the first bytes not yet used."""
        size = self.size if size is None else min(size, self.size)
        return bytes(memoryview(self.buffer)[self._begin : self._begin + size])

    def view(self) -> memoryview:
        return memoryview(self.buffer)[self._begin : self._begin + self.size]
