"""A source read from front to back: fields, arrays, and parts passed over."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow._compression import Source
from embrow.vectors._source import Window

Bytes = npt.NDArray[np.uint8]

_BLOCK_BYTES = 4 << 20


class Stream:
    """Reads a window's source in order; errors name the byte offset and the token.

    Attributes
    ----------
    offset : int
        Bytes used.
    """

    def __init__(self, source: Source, window: Window) -> None:
        self.source = source
        self.window = window
        self.offset = 0
        self._place = "before token 0"
        self._section: tuple[int, int, int] | None = None

    def enter(self, place: str) -> None:
        """Tell where the bytes that follow stand, for errors."""
        self._place, self._section = place, None

    def enter_rows(self, row_bytes: int, words: int) -> None:
        """The bytes that follow are rows, the first `words` of them those of tokens."""
        self._section = (self.offset, max(1, row_bytes), words)

    def place(self, at: int | None = None) -> str:
        """Return which token the byte `at` belongs to."""
        if self._section is None:
            return self._place
        start, row_bytes, words = self._section
        row = ((self.offset if at is None else at) - start) // row_bytes
        return f"in token {row}" if row < words else f"past token {words - 1}, in row {row} of the matrix"

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Name the token in errors that do not."""
        try:
            yield
        except UnicodeError:
            raise
        except (EOFError, ValueError) as error:
            if "token" in str(error):
                raise
            raise type(error)(f"{error}, {self.place()}") from None

    def require(self, size: int, what: str) -> None:
        """Raise EOFError if the file cannot hold `size` bytes more."""
        room = self.source.most_bytes - self.offset
        if size > room:
            end = self.offset + max(0, room) if self.source.compression is None else self.offset
            raise EOFError(
                f"the header declares {what}, {size} bytes from byte {self.offset} on; the file has only "
                f"{self.source.total} bytes: it ends {self.place(end)}"
            )

    def fill(self, moved: int = 0) -> None:
        """Read more behind what the window holds; `moved` bytes were taken from it that do not count as used yet."""
        at = self.offset + moved
        if self.window.last:
            end = at + self.window.size
            raise EOFError(f"the file ends at byte {end}, {self.place(end)}")
        self.window.fill(self.place(at))

    def use(self, size: int) -> None:
        self.window.use(size)
        self.offset += size

    def take(self, size: int) -> bytes:
        """Return the next few bytes."""
        while self.window.size < size:
            self.fill()
        found = self.window.peek(size)
        self.use(size)
        return found

    def fields(self, layout: str) -> tuple[Any, ...]:
        """Return the next fields, as struct.unpack gives them; little-endian."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def read_into(self, out: memoryview) -> None:
        self.window.read_into(out, self.fill)
        self.offset += len(out)

    def rows(self, rows: int, row_bytes: int) -> Bytes:
        """Return the next rows of bytes, shape (rows, row_bytes); memory grows with what a file read in order holds."""
        self.require(rows * row_bytes, f"{rows} rows of {row_bytes} bytes")
        step = rows if self.source.descriptor is not None else min(rows, max(1, 16 * _BLOCK_BYTES // row_bytes))
        array = np.empty((step, row_bytes), np.uint8)
        got = 0
        while got < rows:
            if got == len(array):
                array.resize((min(rows, got + max(1, got // 2)), row_bytes), refcheck=False)
            self.read_into(array[got:].reshape(-1).data)
            got = len(array)
        return array

    def blocks(self, rows: int, row_bytes: int) -> Iterator[tuple[int, Bytes]]:
        """Give the next rows of bytes in blocks, each with the number of its first row."""
        step = max(1, _BLOCK_BYTES // row_bytes)
        for begin in range(0, rows, step):
            block = np.empty((min(step, rows - begin), row_bytes), np.uint8)
            self.read_into(block.reshape(-1).data)
            yield begin, block

    def floats(self, count: int) -> npt.NDArray[np.float32]:
        return self.rows(1, 4 * count).view("<f4").reshape(-1) if count else np.empty(0, np.float32)

    def skip(self, size: int) -> None:
        """Pass over bytes; those of a plain file are not read."""
        while size > 0:
            if self.window.size == 0:
                passed = self.window.pass_over(size)
                self.offset += passed
                size -= passed
                if passed == 0:
                    self.fill()
                continue
            part = min(size, self.window.size)
            self.use(part)
            size -= part
