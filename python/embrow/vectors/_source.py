"""The bytes of a file of vectors, in bounded windows."""

from __future__ import annotations

from collections.abc import Callable

from embrow._compression import Source
from embrow._progress import Progress

WINDOW_BYTES = 2 << 20
# Fewer are shown at the end of the source only.
_LEAST_BYTES = 64 << 10


class Window:
    """The part of a source in memory: bytes not yet used, then what follows them in the file."""

    def __init__(self, source: Source, progress: Progress | None = None, capacity: int = WINDOW_BYTES) -> None:
        self._source = source
        self._progress = progress
        self._capacity = capacity
        self._left = memoryview(b"")
        self.last = False
        self._fault: EOFError | ValueError | None = None

    @property
    def size(self) -> int:
        return len(self._left)

    def fill(self, where: str = "before its first token") -> None:
        """Show more bytes behind what is left, or set `last`.

        What precedes a fault in the source is handed out first; the next call raises the fault, and says `where`.

        Raises
        ------
        EOFError, ValueError
            A compressed source is cut short, or damaged.
        """
        if self._fault is not None:
            raise type(self._fault)(f"{self._fault}, {where}")
        try:
            self._left, self.last = self._source.more(self._left, self._capacity)
            while not self.last and self.size < _LEAST_BYTES <= self._capacity:
                self._left, self.last = self._source.more(self._left, self._capacity)
        except (EOFError, ValueError) as fault:
            self._fault = fault
        if self._progress is not None:
            self._progress(self._source.done, self._source.total)

    def use(self, size: int) -> None:
        """Drop `size` bytes from the front."""
        self._left = self._left[size:]

    def pass_over(self, size: int) -> int:
        """Pass over bytes that follow an empty window; return how many were passed without being read."""
        return 0 if self._fault is not None else self._source.pass_over(size)

    def peek(self, size: int | None = None) -> bytes:
        """Copy the first bytes not yet used."""
        return bytes(self._left[:size])

    def view(self) -> memoryview:
        return self._left[:]

    def read_into(self, out: memoryview, fill: Callable[[int], None]) -> None:
        """Move the next bytes to all of `out`; with none left, `fill` is told how many were moved and fills."""
        moved = 0
        while moved < len(out):
            if self.size == 0:
                fill(moved)
            with self._left[: len(out) - moved] as part:
                out[moved : moved + len(part)] = part
                moved += len(part)
                self.use(len(part))
