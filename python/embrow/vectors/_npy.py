"""A .npy array and its words -> rows."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow.vectors._source import DamagedSource, Source, Window, open_source

_BLOCK_BYTES = 4 << 20
_MAX_HEADER_BYTES = 64 << 10


class NpyHeader:
    """Shape, dtype and order of a .npy file (NumPy enhancement proposal 1, versions 1 to 3)."""

    def __init__(self, window: Window) -> None:
        head = window.peek(12)
        size_bytes = 2 if head[6:7] == b"\x01" else 4
        prefix = 8 + size_bytes
        if len(head) < prefix:
            raise EOFError(f"the file ends at byte {len(head)}, inside its header, before token 0")
        if not head.startswith(b"\x93NUMPY") or head[6] not in (1, 2, 3):
            raise ValueError("byte 0: this is no .npy file of version 1, 2 or 3")
        size = int.from_bytes(head[8:prefix], "little")
        if size > _MAX_HEADER_BYTES:
            raise ValueError(f"byte 8: a header of {size} bytes is too long to be true")
        text = window.peek(prefix + size)[prefix:]
        if len(text) < size:
            raise EOFError(f"the file ends at byte {prefix + len(text)}, inside its header, before token 0")
        self.start = prefix + size
        try:
            fields = ast.literal_eval(text.decode("latin1").strip())
            self.dtype = np.dtype(fields["descr"])
            self.fortran = bool(fields["fortran_order"])
            shape = fields["shape"]
        except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
            raise ValueError(f"byte {prefix}: the .npy header cannot be read") from None
        if self.dtype.kind != "f" or self.dtype.itemsize not in (2, 4, 8):
            raise ValueError(
                f"byte {prefix}: vectors must be float16, float32 or float64, the array holds {self.dtype}"
            )
        if not isinstance(shape, tuple) or len(shape) != 2 or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(
                f"byte {prefix}: vectors must be an array of two dimensions, the header says {shape!r:.60}"
            )
        self.rows: int = shape[0]
        self.dim: int = shape[1]

    @property
    def data_bytes(self) -> int:
        return self.rows * self.dim * int(self.dtype.itemsize)


def read_words(path: str | os.PathLike[str], unicode_errors: str) -> tuple[list[str], int]:
    """Read one token a line; return them and how many were not UTF-8."""
    with open_source(path) as source:
        window = Window(source)
        text = bytearray()
        while not window.last:
            window.fill()
            text += window.view()
            window.use(window.size)
    if not text:
        return [], 0
    lines = (text[:-1] if text.endswith(b"\n") else text).replace(b"\r\n", b"\n").removesuffix(b"\r").split(b"\n")
    words, bad = [], 0
    for number, line in enumerate(lines):
        try:
            words.append(line.decode())
        except UnicodeDecodeError as error:
            if unicode_errors == "strict":
                raise ValueError(
                    f"{os.fspath(path)}: token {number} is not UTF-8 (line {number + 1}, byte {error.start} of it); "
                    'pass unicode_errors="replace" or "ignore" to read it'
                ) from None
            words.append(line.decode(errors=unicode_errors))
            bad += 1
    return words, bad


def choose_rows(tokens: Sequence[str], wanted: Sequence[str] | None) -> tuple[list[str], npt.NDArray[np.intp], int]:
    """Return the tokens to keep in file order, their rows, and how many repeats were left out."""
    if wanted is None:
        first = dict.fromkeys(tokens)
        if len(first) == len(tokens):
            return list(tokens), np.arange(len(tokens)), 0
    chosen = None if wanted is None else set(wanted)
    rows: dict[str, int] = {}
    duplicates = 0
    for row, token in enumerate(tokens):
        if chosen is not None and token not in chosen:
            continue
        if rows.setdefault(token, row) != row:
            duplicates += 1
    return list(rows), np.fromiter(rows.values(), np.intp, len(rows)), duplicates


def read_rows(
    source: Source, window: Window, header: NpyHeader, *, rows: npt.NDArray[np.intp], limit: int, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Read the rows numbered `rows`, ascending and all below `limit`, of the array behind `header`."""
    if header.data_bytes + header.start > source.total * source.expansion:
        raise EOFError(
            f"the file holds {source.total} bytes, the header declares {header.rows} rows of {header.dim} in "
            f"{header.data_bytes}; it ends before token {_rows_held(source.total - header.start, header)}"
        )
    reader = _Reader(window, header)
    result = np.empty((len(rows), header.dim), dtype)
    with np.errstate(over="ignore"):  # out of float16's range is infinity
        if header.fortran:
            _read_columns(reader, header, rows, result)
        else:
            _read_lines(reader, header, rows, limit, result)
    return result


def _rows_held(size: int, header: NpyHeader) -> int:
    row_bytes = header.dim * int(header.dtype.itemsize)
    return max(0, size) // max(1, row_bytes)


class _Reader:
    """Whole items of the array's data, in file order."""

    def __init__(self, window: Window, header: NpyHeader) -> None:
        self._window = window
        self._header = header
        self._at = header.start
        self._whole = np.empty(0, header.dtype)

    def take(self, count: int) -> npt.NDArray[Any]:
        """Return the next `count` items; they last until the next call."""
        if count > len(self._whole):
            self._whole = np.empty(count, self._header.dtype)
        items = self._whole[:count]
        raw = memoryview(items.view(np.uint8).data) if count else memoryview(b"")
        got = 0
        while got < len(raw):
            if self._window.size == 0:
                self._fill(got)
                continue
            with self._window.view() as held:
                part = min(len(held), len(raw) - got)
                raw[got : got + part] = held[:part]
            self._window.use(part)
            got += part
        self._at += got
        return items

    def _fill(self, got: int) -> None:
        header = self._header
        item = (self._at + got - header.start) // header.dtype.itemsize
        token = item % header.rows if header.fortran else item // header.dim
        if self._window.last:
            raise EOFError(
                f"the file ends at byte {self._at + got}, in token {token}; its header declares "
                f"{header.rows} rows of {header.dim}"
            )
        try:
            self._window.fill()
        except DamagedSource as error:
            raise type(error.fault)(f"{error.fault}, in token {token}") from None


def _read_lines(
    reader: _Reader, header: NpyHeader, rows: npt.NDArray[np.intp], limit: int, result: npt.NDArray[Any]
) -> None:
    step = max(1, _BLOCK_BYTES // max(1, header.dim * header.dtype.itemsize))
    end = min(limit, header.rows)
    for begin in range(0, end, step):
        count = min(step, end - begin)
        block = reader.take(count * header.dim).reshape(count, header.dim)
        first, last = np.searchsorted(rows, [begin, begin + count])
        if last - first == count:
            result[first:last] = block
        else:
            result[first:last] = block[rows[first:last] - begin]


def _read_columns(reader: _Reader, header: NpyHeader, rows: npt.NDArray[np.intp], result: npt.NDArray[Any]) -> None:
    column_bytes = max(1, header.rows * header.dtype.itemsize)
    columns = max(1, _BLOCK_BYTES // column_bytes)
    step = math.ceil(header.rows / math.ceil(column_bytes / _BLOCK_BYTES)) if header.rows else 0
    for left in range(0, header.dim, columns):
        if columns == 1:
            # A column may be longer than a block.
            for begin in range(0, header.rows, step):
                count = min(step, header.rows - begin)
                first, last = np.searchsorted(rows, [begin, begin + count])
                result[first:last, left] = reader.take(count)[rows[first:last] - begin]
            continue
        right = min(left + columns, header.dim)
        block = reader.take((right - left) * header.rows).reshape(right - left, header.rows)
        result[:, left:right] = (block if len(rows) == header.rows else block[:, rows]).T
