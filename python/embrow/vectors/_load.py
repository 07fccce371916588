"""load_vectors and info: a file or an installed package -> WordVectors."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._threads import resolve_num_threads
from embrow.vectors._npy import NpyHeader, choose_rows, read_rows, read_words
from embrow.vectors._packages import find_package, is_package, read_parquet_words
from embrow.vectors._save import words_path
from embrow.vectors._sniff import Layout, check_format, sniff
from embrow.vectors._source import DamagedSource, Progress, Source, Window, open_source
from embrow.vectors._word_vectors import LoadReport, WordVectors

_NO_LIMIT = 2**62
_HEAD_BYTES = 256 << 10
_BLANK = b" \t\r\n\0"


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the caller wants of the file."""

    wanted: list[str] | None
    limit: int
    dtype: np.dtype[Any]
    unicode_errors: str
    threads: int


def load_vectors(
    path: str | os.PathLike[str],
    vocab: Any = None,
    *,
    format: str = "auto",
    limit: int | None = None,
    dtype: npt.DTypeLike = "float32",
    unicode_errors: str = "strict",
    tokens: Sequence[str] | str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> WordVectors:
    """Read pretrained vectors, all of them or only those of a vocabulary.

    Parameters
    ----------
    path : path or str
        A file, plain or gzip-compressed, or the name of an installed package: "glove-6b-50d".
    vocab : Vocab or sequence of str, optional
        Keep only the rows of these tokens. Rows of other tokens are passed over unparsed.
    format : {"auto", "word2vec-binary", "word2vec-text", "glove", "npy"}
        Default: told from the file's first bytes, never from its name.
    limit : int, optional
        Rows of the file to read at most.
    dtype : {"float32", "float16", "float64"}
        Of the result. Text is read as float64, then rounded to it.
    unicode_errors : {"strict", "ignore", "replace"}
        What to do about a token that is not UTF-8, as in bytes.decode.
    tokens : sequence of str, or path, optional
        The words of a .npy array, or a file of one word a line. Default: the file beside it with suffix `.words`.
    allow_pickle : bool
        Whether formats that run code when read may be. None of those that this version reads does.
    num_threads : int, optional
        For parsing text. Default: torch's setting when torch is loaded, else the CPUs this process may use.
    progress : callable, optional
        Called as progress(bytes_done, bytes_total) after each window, in bytes of the file on disk.

    Returns
    -------
    WordVectors
        Rows in the order of the file; the first of duplicate tokens wins. `.report` counts what was met.

    Raises
    ------
    EOFError
        The file is cut short; names the byte offset and the number of the token, counted from 0.
    ValueError
        Another fault in the file, named likewise, or an argument that is none of those above.
    ModuleNotFoundError
        The named package is not installed.

    Notes
    -----
    Memory is the result and a few windows of 2 MiB, whatever the file's size. The result is the same for every number
    of threads. Rows past the number that the header declares are a UserWarning, and are not read.
    """
    check_format(format)
    result_dtype = np.dtype(dtype)
    if result_dtype not in (np.dtype("float16"), np.dtype("float32"), np.dtype("float64")):
        raise ValueError(f"load_vectors: dtype must be float16, float32 or float64, found {result_dtype}")
    if unicode_errors not in ("strict", "ignore", "replace"):
        raise ValueError(f"load_vectors: unicode_errors must be strict, ignore or replace, found {unicode_errors!r}")
    most = _NO_LIMIT if limit is None else min(operator.index(limit), _NO_LIMIT)
    if most < 0:
        raise ValueError(f"load_vectors: limit must be 0 or more, found {limit}")
    choice = _Choice(
        None if vocab is None else _tokens_of(vocab),
        most,
        result_dtype,
        unicode_errors,
        resolve_num_threads(num_threads),
    )
    with _named(path):
        if is_package(path):
            if tokens is not None:
                raise ValueError("tokens= belongs to the format 'npy'; an installed package has its own words")
            array, table = find_package(os.fspath(path))
            words: Sequence[str] = read_parquet_words(table)
            with open_source(array) as source:
                return _load_npy(source, Window(source, progress), words, 0, choice)
        with open_source(path) as source:
            window = Window(source, progress)
            window.fill()
            layout = sniff(window, format)
            if layout.format == "npy":
                words, bad = _npy_words(path, tokens, unicode_errors)
                return _load_npy(source, window, words, bad, choice)
            if tokens is not None:
                raise ValueError(f"tokens= belongs to the format 'npy', the file is {layout.format!r}")
            return _load_rows(source, window, layout, choice)


def info(path: str | os.PathLike[str], *, format: str = "auto") -> dict[str, Any]:
    """Tell what a file of vectors holds, from its first bytes.

    Parameters
    ----------
    path : path or str
        As in load_vectors.
    format : str
        As in load_vectors.

    Returns
    -------
    dict
        format; compression, "gzip" or None; rows, as declared by the file, or None; dim; dtype, "text" for decimals;
        bytes, of the file on disk.
    """
    check_format(format)
    with _named(path), open_source(find_package(os.fspath(path))[0] if is_package(path) else path) as source:
        window = Window(source, capacity=_HEAD_BYTES)
        window.fill()
        layout = sniff(window, format)
        rows, dim, dtype = layout.declared, layout.dim, "float32" if layout.format == "word2vec-binary" else "text"
        if layout.format == "npy":
            header = NpyHeader(window)
            rows, dim, dtype = header.rows, header.dim, str(header.dtype.newbyteorder("="))
        return {
            "format": layout.format,
            "compression": source.compression,
            "rows": rows,
            "dim": dim,
            "dtype": dtype,
            "bytes": source.total,
        }


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put what was being read in front of errors about its content."""
    try:
        yield
    except DamagedSource as error:
        raise type(error.fault)(f"load_vectors: {os.fspath(path)}: {error.fault}, before its first token") from None
    except EOFError as error:
        raise EOFError(f"load_vectors: {os.fspath(path)}: {error}") from None
    except UnicodeError:
        raise
    except ValueError as error:
        raise ValueError(f"load_vectors: {os.fspath(path)}: {error}") from None


def _tokens_of(vocab: Any) -> list[str]:
    if isinstance(vocab, str | bytes):
        raise TypeError(f"load_vectors: vocab must be a Vocab or a sequence of str, found {type(vocab).__name__}")
    return list(dict.fromkeys(getattr(vocab, "tokens", vocab)))


def _npy_words(
    path: str | os.PathLike[str], tokens: Sequence[str] | str | os.PathLike[str] | None, unicode_errors: str
) -> tuple[Sequence[str], int]:
    if tokens is None:
        tokens = words_path(path)
        if not tokens.is_file():
            raise ValueError(
                f"a .npy array has no words: pass tokens=, a list or the path of a file (no {tokens.name} here)"
            )
    if isinstance(tokens, str | os.PathLike):
        return read_words(tokens, unicode_errors)
    return list(tokens), 0


def _load_npy(source: Source, window: Window, tokens: Sequence[str], bad_utf8: int, choice: _Choice) -> WordVectors:
    if not window.size:
        window.fill()
    header = NpyHeader(window)
    if len(tokens) != header.rows:
        raise ValueError(f"there are {len(tokens)} tokens and {header.rows} rows")
    window.use(header.start)
    read = min(choice.limit, header.rows)
    kept, rows, duplicates = choose_rows(tokens[:read], choice.wanted)
    weight = read_rows(source, window, header, rows=rows, limit=read, dtype=choice.dtype)
    if read == header.rows:
        _warn_of_more(window, header.start + header.data_bytes, header.rows)
    return WordVectors(kept, weight, LoadReport(read, header.rows, len(kept), duplicates, bad_utf8))


def _load_rows(source: Source, window: Window, layout: Layout, choice: _Choice) -> WordVectors:
    # The fewest bytes of a row: a number and the space before it take two at least, a token and its space one.
    row_bytes = 4 * layout.dim + 1 if layout.format == "word2vec-binary" else 2 * layout.dim
    room = max(0, source.total * source.expansion - layout.start)
    goal = min(choice.limit, _NO_LIMIT if layout.declared is None else layout.declared)
    if layout.declared is not None and goal * row_bytes > room:
        raise EOFError(
            f"the header declares {layout.declared} rows of {layout.dim}, the file has only {source.total} bytes: it "
            f"ends there, at token {room // row_bytes} or before"
        )
    window.use(layout.start)
    reader = _core.RowReader(
        layout.format,
        layout.dim,
        layout.declared,
        choice.limit,
        layout.start,
        choice.dtype,
        choice.unicode_errors,
        choice.wanted,
    )
    if source.compression is None and layout.declared is not None:
        reader.reserve(goal if choice.wanted is None else min(goal, len(choice.wanted)))
    while not reader.done:
        try:
            with window.view() as held:
                window_used = reader.feed(held, len(held), window.last, choice.threads)
            window.use(window_used)
            if reader.done or (window.last and not reader.done and layout.declared is None):
                break
            window.fill()
        except DamagedSource as error:
            raise type(error.fault)(f"{error.fault}, in token {reader.rows_read}") from None
    if layout.declared is not None and reader.rows_read == layout.declared:
        _warn_of_more(window, reader.offset, layout.declared, _BLANK)
    report = LoadReport(reader.rows_read, layout.declared, reader.kept, reader.duplicates, reader.bad_utf8)
    kept = reader.tokens() if choice.wanted is None else [choice.wanted[i] for i in reader.kept_ids]
    return WordVectors(kept, reader.weight(), report)


def _warn_of_more(window: Window, offset: int, declared: int, blank: bytes = b"") -> None:
    """Read on over bytes of `blank`, to the end, which checks a compressed file's checksum, or to something else."""
    while True:
        held = window.peek()
        skipped = len(held) - len(held.lstrip(blank)) if blank else 0
        if skipped < len(held):
            warnings.warn(
                f"the header declares {declared} rows; more bytes follow at {offset + skipped} and are not read",
                UserWarning,
                stacklevel=4,
            )
            return
        if window.last:
            return
        offset += skipped
        window.use(len(held))
        try:
            window.fill()
        except DamagedSource as error:
            raise type(error.fault)(f"{error.fault}, in token {declared}, past the last") from None
