"""The bytes of a file of vectors, in bounded windows."""

from __future__ import annotations

from embrow._compression import Source
from embrow._progress import Progress

WINDOW_BYTES = 2 << 20


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

    def fill(self, where: str = "before its first token") -> None:
        """Move what is left to the front and read behind it, to the capacity or the end of the source.

        What precedes a fault in the source is handed out first; the next call raises the fault, and says `where`.

        Raises
        ------
        EOFError, ValueError
            A compressed source is cut short, or damaged.
        """
        if self._fault is not None:
            raise type(self._fault)(f"{self._fault}, {where}")
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

    def pass_over(self, size: int) -> int:
        """Pass over bytes that follow an empty window; return how many were passed without being read."""
        return 0 if self._fault is not None else self._source.pass_over(size)

    def peek(self, size: int | None = None) -> bytes:
        """Copy the first bytes not yet used."""
        size = self.size if size is None else min(size, self.size)
        return bytes(memoryview(self.buffer)[self._begin : self._begin + size])

    def view(self) -> memoryview:
        return memoryview(self.buffer)[self._begin : self._begin + self.size]
