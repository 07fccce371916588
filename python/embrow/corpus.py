"""A text file of any size to a file of ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._arguments import int_dtype, positive
from embrow._encoding import padded_here, text_arguments
from embrow._files import WINDOW_BYTES, StrPath, beside, lines_of, name_of, opened, settle, windows, written_atomically
from embrow._threads import resolve_num_threads
from embrow.vocab import Vocab


def offsets_path(output: StrPath) -> Path:
    """Return where the offsets of ragged ids lie.

    `ids.npy` has `ids.offsets.npy` beside it, and a file of another suffix, `ids.train`, has `ids.train.offsets.npy`.
    """
    return beside(output, (".npy",), ".offsets.npy")


def encode_file(
    vocab: Vocab,
    path: StrPath,
    output: StrPath,
    *,
    max_length: int | None = None,
    dtype: Any = "int64",
    encoding: str = "utf-8",
    errors: str = "strict",
    num_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[int, int]:
    """Encode the lines of a text file into a .npy file, which ``numpy.load(output, mmap_mode="r")`` maps.

    Memory is bounded by 8 MB of text, as much of a rectangle and the longest line, whatever the file's size. Files are
    written under temporary names and renamed at the end. A CPU encodes, wherever the vocabulary lies.

    Parameters
    ----------
    vocab : Vocab
    path : str or path
        Text, plain or compressed as .gz, .bz2, .xz, .zst or the single member of a .zip; "-" is standard input.
    output : str or path
        With `max_length` an array of shape (lines, max_length); without it the ids of all lines one after another,
        shape (ids,), and beside it ``offsets_path(output)``, int64, shape (lines + 1,).
    max_length : int, optional
    dtype : "int64" or "int32"
    encoding, errors
        As of ``open``.
    num_threads : int, optional
        As for ``Vocab.encode``.
    progress : callable, optional
        Called with the number of bytes of text read so far.

    Returns
    -------
    (lines, ids)
        How many of each were written, padding not counted.

    Raises
    ------
    ValueError
        The text is not in its encoding, or the compressed data is damaged.
    """
    width = None if max_length is None else positive("max_length", max_length, default=1)
    kind = int_dtype(dtype)
    doing, threads = f"{name_of(path)}: encode", resolve_num_threads(num_threads)
    rows_at_once = WINDOW_BYTES if width is None else max(1, WINDOW_BYTES // (width * kind.itemsize))
    lines, ids, read = 0, 0, 0
    with opened(path, encoding, errors) as file, written_atomically(output, as_stream=False) as values_file:
        _write_header(values_file, kind, 0, width)

        def encode_rows(rows: list[bytes]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
            """Return ids, and the lengths of rows in a rectangle or the offsets of ragged ones."""
            arguments = text_arguments(vocab, rows, width, kind, threads, doing, first_row=lines)
            return _core.encode_ragged(vocab._table, **arguments) if width is None else padded_here(vocab, arguments)

        def encode(offsets_file: BinaryIO | None) -> None:
            nonlocal lines, ids, read
            for window in windows(file, b"\n", WINDOW_BYTES):
                rows = lines_of(window)
                for begin in range(0, len(rows), rows_at_once):
                    batch = rows[begin : begin + rows_at_once]
                    values, bounds = encode_rows(batch)
                    values_file.write(values.data)
                    if offsets_file is None:
                        ids += int(bounds.sum())
                    else:
                        offsets_file.write((bounds[1:] + ids).data)
                        ids += len(values)
                    lines += len(batch)
                read += len(window)
                if progress is not None:
                    progress(read)

        if width is None:
            with written_atomically(offsets_path(output), as_stream=False) as offsets_file:
                _write_header(offsets_file, np.dtype(np.int64), 0, None)
                offsets_file.write(np.zeros(1, dtype=np.int64).data)
                encode(offsets_file)
                _write_header(offsets_file, np.dtype(np.int64), lines + 1, None)
                _write_header(values_file, kind, ids, None)
                settle(values_file)
        else:
            encode(None)
            _write_header(values_file, kind, lines, width)
    return lines, ids


def _write_header(file: BinaryIO, dtype: np.dtype[Any], rows: int, width: int | None) -> None:
    """Write the .npy header, of one size for any number of rows: NumPy leaves room for the first axis to grow."""
    file.seek(0)
    shape = (rows,) if width is None else (rows, width)
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    if rows:
        file.seek(0, 2)
