"""Matrices of word vectors and n-gram vectors, in memory or left in the file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow.vectors._stream import Bytes, Stream

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class RowFile:
    """Rows of bytes in a file, read when indexed with their numbers, which must ascend.

    `held` are the numbers of the rows that are there, of all when it is None.
    """

    def __init__(self, file: int, offset: int, row_bytes: int, threads: int, held: Ids | None = None) -> None:
        self._file, self._offset, self._row_bytes, self._threads, self._held = file, offset, row_bytes, threads, held

    def __getitem__(self, rows: Ids) -> Bytes:
        if self._held is not None:
            rows = np.searchsorted(self._held, rows)
        found = np.empty((len(rows), self._row_bytes), np.uint8)
        _core.vectors_read_rows(self._file, self._offset, rows, found, self._threads)
        return found


class _ByteRows(Protocol):
    def __getitem__(self, rows: Ids, /) -> Bytes: ...


class DenseRows:
    """Rows of float32."""

    in_memory: bool

    def __init__(self, rows: Bytes | RowFile, dim: int) -> None:
        self.dim = dim
        self.in_memory = isinstance(rows, np.ndarray)
        self._rows: _ByteRows = rows
        if isinstance(rows, np.ndarray):
            self.array: Floats = rows.view("<f4").reshape(len(rows), dim)

    def take(self, rows: Ids) -> Floats:
        """Return a copy of these rows, shape (len(rows), dim); their numbers ascend."""
        if self.in_memory:
            return self.array[rows]
        return self._rows[rows].view("<f4").reshape(len(rows), self.dim)

    def table(self, rows: Ids) -> tuple[Floats, Ids]:
        """Return a table that holds these rows, in any order, and where in it."""
        return (self.array, rows) if self.in_memory else _unique_table(self, rows)


class QuantisedRows:
    """Rows of product quantisation codes (Jegou et al. 2011): each code names a centroid of a part of the vector."""

    in_memory = False

    def __init__(
        self, codes: Bytes | RowFile, norms: Bytes | RowFile | None, decode: Callable[[Bytes, Bytes | None], Floats]
    ):
        self._codes = codes
        self._norms = norms
        self._decode = decode

    def take(self, rows: Ids) -> Floats:
        return self._decode(self._codes[rows], None if self._norms is None else self._norms[rows])

    def table(self, rows: Ids) -> tuple[Floats, Ids]:
        return _unique_table(self, rows)


Rows = DenseRows | QuantisedRows


def _unique_table(matrix: Rows, rows: Ids) -> tuple[Floats, Ids]:
    unique, places = np.unique(rows, return_inverse=True)
    return matrix.take(unique), places.astype(np.int64, copy=False)


class Keep:
    """Which rows of a matrix to hold: those of the first `words` of all `total` words, and of n-grams behind them.

    With `needed`, only rows of those numbers will be asked for, and they stay in the file, or in a temporary one that
    is gone when the context ends.
    """

    def __init__(self, words: int, total: int, ngrams: bool, threads: int, needed: Callable[[], Ids] | None) -> None:
        self.words, self.total, self.ngrams, self.threads = words, total, ngrams, threads
        self._needed = needed
        self._sorted: Ids | None = None
        self._spools = ExitStack()

    def __enter__(self) -> Keep:
        return self

    def __exit__(self, *raised: object) -> None:
        self._spools.close()

    def read(self, stream: Stream, rows: int, row_bytes: int) -> tuple[Bytes | RowFile, Bytes | RowFile]:
        """Pass over the `rows` rows that follow; return those of words and those of n-grams."""
        stream.enter_rows(row_bytes, self.total)
        stream.require(rows * row_bytes, f"{rows} rows of {row_bytes} bytes")
        if self._needed is None:
            words = stream.rows(self.words, row_bytes)
            stream.skip((self.total - self.words) * row_bytes)
            ngrams = stream.rows(rows - self.total if self.ngrams else 0, row_bytes)
            if not self.ngrams:
                stream.skip((rows - self.total) * row_bytes)
            return words, ngrams
        start = stream.offset
        behind = self.total * row_bytes
        if stream.source.descriptor is not None:
            stream.skip(rows * row_bytes)
            file = stream.source.descriptor
            return (
                RowFile(file, start, row_bytes, self.threads),
                RowFile(file, start + behind, row_bytes, self.threads),
            )
        if self._sorted is None:
            self._sorted = self._needed()
        spooled = self._spool(stream, rows, row_bytes, self._sorted)
        first = int(np.searchsorted(self._sorted, self.total))
        own, rest = self._sorted[:first], self._sorted[first:] - self.total
        return (
            RowFile(spooled.fileno(), 0, row_bytes, self.threads, own),
            RowFile(spooled.fileno(), first * row_bytes, row_bytes, self.threads, rest),
        )

    def _spool(self, stream: Stream, rows: int, row_bytes: int, needed: Ids) -> IO[bytes]:
        """Put the rows needed of a file that can only be read in order into one that can be read anywhere."""
        spooled = self._spools.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        for begin, block in stream.blocks(rows, row_bytes):
            first, last = np.searchsorted(needed, [begin, begin + len(block)])
            spooled.write(block[needed[first:last] - begin].data)
        spooled.flush()
        return spooled
