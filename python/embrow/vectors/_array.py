"""An array within a file -> rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow.vectors._choice import Choice
from embrow.vectors._request import Request
from embrow.vectors._source import Window
from embrow.vectors._word_vectors import LoadReport, WordVectors

_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array of two dimensions in a file, its first byte at `start`.

    `bfloat16`: the elements, of dtype uint16, are the upper halves of float32.
    """

    rows: int
    dim: int
    dtype: np.dtype[Any]
    start: int
    fortran: bool = False
    bfloat16: bool = False

    @property
    def data_bytes(self) -> int:
        return self.rows * self.dim * int(self.dtype.itemsize)

    @property
    def dtype_name(self) -> str:
        return "bfloat16" if self.bfloat16 else str(self.dtype.newbyteorder("="))


def load_array(request: Request, array: StoredArray, choice: Choice, *, ends_file: bool = True) -> WordVectors:
    """Read the rows of a request. The window stands at the array; `ends_file`: nothing may follow it."""
    if choice.total != array.rows:
        raise ValueError(f"there are {choice.total} tokens and {array.rows} rows")
    read = min(request.limit, array.rows)
    weight = read_rows(request, array, rows=choice.rows, limit=read)
    if read == array.rows and ends_file:
        read_to_end(request, array.start + array.data_bytes, array.rows)
    report = LoadReport(read, array.rows, len(choice.tokens), choice.duplicates, choice.bad_utf8)
    return WordVectors(choice.tokens, weight, report)


def read_to_end(request: Request, offset: int, declared: int, blank: bytes = b"") -> None:
    """Read on over bytes of `blank`, to the end, which checks a compressed file's checksum, or to something else."""
    window = request.window
    while True:
        held = window.peek()
        skipped = len(held) - len(held.lstrip(blank)) if blank else 0
        if skipped < len(held):
            request.note_more(offset + skipped, declared)
            return
        if window.last:
            return
        offset += skipped
        window.use(len(held))
        window.fill(f"in token {declared}, past the last")


def read_rows(request: Request, array: StoredArray, *, rows: npt.NDArray[np.intp], limit: int) -> npt.NDArray[Any]:
    """Read the rows numbered `rows`, ascending and all below `limit`."""
    source = request.source
    if array.start + array.data_bytes > source.most_bytes:
        row_bytes = array.dim * int(array.dtype.itemsize)
        held = max(0, source.total - array.start) // max(1, row_bytes)
        raise EOFError(
            f"the file holds {source.total} bytes, the header declares {array.rows} rows of {array.dim} in "
            f"{array.data_bytes}; it ends before token {held}"
        )
    try:
        return _read_rows(request, array, rows, limit)
    except MemoryError:
        # Of a pipe nothing else shows that a header is damaged.
        raise ValueError(
            f"{len(rows)} of the {array.rows} rows of {array.dim} that the header declares take more than memory holds"
        ) from None


def _read_rows(request: Request, array: StoredArray, rows: npt.NDArray[np.intp], limit: int) -> npt.NDArray[Any]:
    reader = _Reader(request.window, array)
    result = np.empty((len(rows), array.dim), request.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities and any NaN are as good as others
        if array.fortran:
            _read_columns(reader, array, rows, result)
        else:
            _read_lines(reader, array, rows, limit, result)
    return result


class _Reader:
    """Whole items of the array's data, in file order."""

    def __init__(self, window: Window, array: StoredArray) -> None:
        self._window = window
        self._array = array
        self._at = array.start
        self._whole = np.empty(0, array.dtype)

    def take(self, count: int) -> npt.NDArray[Any]:
        """Return the next `count` items; they last until the next call."""
        if count > len(self._whole):
            self._whole = np.empty(count, self._array.dtype)
        items = self._whole[:count]
        raw = memoryview(items.view(np.uint8).data) if count else memoryview(b"")
        self._window.read_into(raw, self._fill)
        self._at += len(raw)
        if self._array.bfloat16:
            return (items.astype(np.uint32) << 16).view(np.float32)
        return items

    def _fill(self, moved: int) -> None:
        array = self._array
        at = self._at + moved
        item = (at - array.start) // array.dtype.itemsize
        token = item % array.rows if array.fortran else item // array.dim
        if self._window.last:
            raise EOFError(
                f"the file ends at byte {at}, in token {token}; its header declares {array.rows} rows of {array.dim}"
            )
        self._window.fill(f"in token {token}")


def _read_lines(
    reader: _Reader, array: StoredArray, rows: npt.NDArray[np.intp], limit: int, result: npt.NDArray[Any]
) -> None:
    step = max(1, _BLOCK_BYTES // max(1, array.dim * array.dtype.itemsize))
    end = min(limit, array.rows)
    for begin in range(0, end, step):
        count = min(step, end - begin)
        block = reader.take(count * array.dim).reshape(count, array.dim)
        first, last = np.searchsorted(rows, [begin, begin + count])
        if last - first == count:
            result[first:last] = block
        else:
            result[first:last] = block[rows[first:last] - begin]


def _read_columns(reader: _Reader, array: StoredArray, rows: npt.NDArray[np.intp], result: npt.NDArray[Any]) -> None:
    column_bytes = max(1, array.rows * array.dtype.itemsize)
    columns = max(1, _BLOCK_BYTES // column_bytes)
    step = math.ceil(array.rows / math.ceil(column_bytes / _BLOCK_BYTES)) if array.rows else 0
    for left in range(0, array.dim, columns):
        if columns == 1:
            # A column may be longer than a block.
            for begin in range(0, array.rows, step):
                count = min(step, array.rows - begin)
                first, last = np.searchsorted(rows, [begin, begin + count])
                result[first:last, left] = reader.take(count)[rows[first:last] - begin]
            continue
        right = min(left + columns, array.dim)
        block = reader.take((right - left) * array.rows).reshape(right - left, array.rows)
        result[:, left:right] = (block if len(rows) == array.rows else block[:, rows]).T
