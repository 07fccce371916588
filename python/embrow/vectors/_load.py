"""load_vectors and info: a file or an installed package -> WordVectors."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embrow._arguments import integer
from embrow._compression import open_source
from embrow._progress import Progress, shown_progress
from embrow._threads import resolve_num_threads
from embrow.vectors import _fasttext, _finalfusion, _gensim, _npy, _rows, _safetensors
from embrow.vectors._array import load_array
from embrow.vectors._choice import choose_rows
from embrow.vectors._packages import find_package, is_package, read_parquet_words
from embrow.vectors._request import NO_LIMIT, Facts, Request
from embrow.vectors._sniff import Layout, check_format, sniff
from embrow.vectors._source import Window
from embrow.vectors._word_vectors import WordVectors
from embrow.vectors._words import surrogates_named, words_in_order, words_of

if TYPE_CHECKING:
    from embrow.vocab import Vocab

_HEAD_BYTES = 256 << 10


class _Format(NamedTuple):
    load: Callable[[Request], WordVectors]
    facts: Callable[[Request], Facts]
    takes_tokens: bool = False


_FORMATS = {
    "word2vec-binary": _Format(_rows.load, _rows.facts),
    "word2vec-text": _Format(_rows.load, _rows.facts),
    "glove": _Format(_rows.load, _rows.facts),
    "safetensors": _Format(_safetensors.load, _safetensors.facts, takes_tokens=True),
    "npy": _Format(_npy.load, _npy.facts, takes_tokens=True),
    "gensim": _Format(_gensim.load, _gensim.facts),
    "fasttext": _Format(_fasttext.load, _fasttext.facts),
    "finalfusion": _Format(_finalfusion.load, _finalfusion.facts),
}


def load_vectors(
    path: str | os.PathLike[str],
    vocab: Any = None,
    *,
    format: str = "auto",
    limit: int | None = None,
    dtype: npt.DTypeLike = "float32",
    unicode_errors: str = "strict",
    tokens: Vocab | Sequence[str] | Mapping[str, int] | str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    num_threads: int | None = None,
    progress: Progress | bool | None = None,
) -> WordVectors:
    """Read pretrained vectors, all of them or only those of a vocabulary.

    Parameters
    ----------
    path : path or str
        A file, plain or compressed as .gz, .bz2, .xz, .zst or the single member of a .zip, which its first bytes tell;
        or the name of an installed package: "glove-6b-50d".
    vocab : Vocab or sequence of str, optional
        Keep only the rows of these tokens. Rows of other tokens are passed over unparsed. From a model with subwords,
        tokens of the vocabulary without a row have vectors, too, though no row of the result.
    format : str
        "word2vec-binary", "word2vec-text", "glove", "safetensors", "npy", "gensim", "fasttext" or "finalfusion".
        Default, "auto": told from the file's first bytes, never from its name.
    limit : int, optional
        Rows of the file to read at most.
    dtype : {"float32", "float16", "float64"}
        Of the result. Text is read as float64, then rounded to it.
    unicode_errors : {"strict", "ignore", "replace"}
        What to do about a token that is not UTF-8, as in bytes.decode.
    tokens : Vocab, sequence of str, dict of str to int, or path, optional
        The words of a .npy array or of a safetensors file that `WordVectors.save` did not write, in the order of its
        rows, which the ids of a dict are, or a file of one word a line. Default: the file beside it with suffix
        `.words`, which takes the place of `.npy`, `.safetensors` or what a compressed file ends in.
    allow_pickle : bool
        Whether gensim's own files, which are pickles, may be read.
    num_threads : int, optional
        For parsing text, as for ``Vocab.encode``.
    progress : callable or True, optional
        Called as progress(bytes_done, bytes_total) after each window, in bytes of the file on disk; bytes_total is 0
        for a pipe. True shows a bar on standard error where that is a terminal; it needs the package rich.

    Returns
    -------
    WordVectors
        Rows in the order of the file; the first of duplicate tokens wins. `.report` counts what was met. With
        subwords, `vectors[token]` makes vectors of unseen tokens, too.

    Raises
    ------
    EOFError
        The file is cut short; names the byte offset and the number of the token, counted from 0.
    ValueError
        Another fault in the file, named likewise, or an argument that is none of those above.
    TypeError
        `path` is none, `tokens` is a set, which has no order, or one of them or of `vocab` is no str.
    ModuleNotFoundError
        The named package is not installed.

    Notes
    -----
    Memory is the result and some ten windows of 2 MiB, whatever the file's size; not counted what a decompressor keeps,
    up to 65 MiB for `xz -9` and 128 MiB for `zstd --long`, gensim's pickles, which are read whole, and, with or without
    `vocab`, all the words of packages and of a compressed file that `WordVectors.save` wrote as "safetensors". The
    result is the same for every number of threads. Rows past the number that the header declares are a UserWarning, and
    are not read.

    Of a safetensors file that `WordVectors.save` wrote, all rows in the dtype they have are mapped into memory, not
    read: what is written to them is this process's own. Replace such a file by renaming a new one to its name, as
    `save` does: to cut it short in place while its rows are in use ends the process with SIGBUS. Of another one the
    rows are its only tensor of two dimensions and float or int8 elements, or the only one with as many rows as there
    are words.

    A byte order mark before text is dropped.

    .gz is inflated by zlib-ng where it is installed, else by zlib.

    fastText (.bin and .ftz, from before the format had a version to version 12): vectors are bit for bit those of
    fastText's get_word_vector: the mean of the word's row and its n-grams' rows, of n-grams alone for unseen words;
    zeros where no n-gram has a row. `</s>` has no n-grams, but had in files without a magic number; labels are not
    words. Without `vocab` the n-grams' matrix is kept for unseen words: 4 * buckets * dim bytes, 2.4 GB for the usual
    2,000,000 of 300, or its codes if quantised, and dtype "float32" alone makes rows where they were read. With it the
    rows that n-grams need are read where they lie, 24 MiB at a time; a compressed file's are put into a temporary file.

    finalfusion (version 0): a word has its row as stored, which finalfusion's tools scale to length 1; norms are passed
    over, as its libraries apply them on request only. Unseen words have the sum of their n-grams' rows, at length 1.
    """
    check_format("load_vectors", format)
    result_dtype = np.dtype(dtype)
    if result_dtype not in (np.dtype("float16"), np.dtype("float32"), np.dtype("float64")):
        raise ValueError(f"load_vectors: dtype must be float16, float32 or float64, found {result_dtype}")
    if unicode_errors not in ("strict", "ignore", "replace"):
        raise ValueError(f"load_vectors: unicode_errors must be strict, ignore or replace, found {unicode_errors!r}")
    most = NO_LIMIT if limit is None else min(integer("load_vectors: limit", limit), NO_LIMIT)
    if most < 0:
        raise ValueError(f"load_vectors: limit must be 0 or more, found {limit}")
    if tokens is not None and not isinstance(tokens, str | os.PathLike):
        tokens = words_in_order(tokens, "load_vectors", "tokens")
        with surrogates_named(tokens, "load_vectors: tokens"):
            "".join(tokens).encode()
    given = [] if vocab is None else words_of(vocab, "load_vectors", "vocab")
    wanted = None if vocab is None else list(dict.fromkeys(given))
    arguments: dict[str, Any] = {
        "wanted": wanted,
        "unseen": wanted or (),
        "limit": most,
        "dtype": result_dtype,
        "unicode_errors": unicode_errors,
        "tokens": tokens,
        "allow_pickle": allow_pickle,
        "threads": resolve_num_threads(num_threads),
    }
    with shown_progress(progress, "load") as show, surrogates_named(given, "load_vectors: vocab"):
        return _load(path, format, show, **arguments)


def load_wanted(path: str | os.PathLike[str], wanted: Sequence[str], unseen: Sequence[str]) -> WordVectors:
    """Read the rows of `wanted`, and make vectors of subwords for those of `unseen` that have none."""
    return _load(path, wanted=list(dict.fromkeys(wanted)), unseen=unseen, threads=resolve_num_threads(None))


def _load(
    path: str | os.PathLike[str],
    format: str = "auto",
    progress: Progress | None = None,
    *,
    tokens: Sequence[str] | str | os.PathLike[str] | None = None,
    **arguments: Any,
) -> WordVectors:
    findings: list[str] = []
    arguments["findings"] = findings
    with _named("load_vectors", path):
        if is_package(path):
            if tokens is not None:
                raise ValueError("tokens= is for files without words; an installed package has its own")
            array, table = find_package(os.fspath(path))
            words = read_parquet_words(table)
            with open_source(array) as source:
                window = Window(source, progress)
                request = Request(array, source, window, Layout("npy", 0, None, 0), **arguments)
                choice = choose_rows(words, request.wanted, request.limit)
                found = load_array(request, _npy.read_header(window), choice)
        else:
            with open_source(path) as source:
                window = Window(source, progress)
                window.fill()
                layout = sniff(window, format)
                chosen = _FORMATS[layout.format]
                if tokens is not None and not chosen.takes_tokens:
                    takers = ", ".join(f"'{name}'" for name, one in _FORMATS.items() if one.takes_tokens)
                    raise ValueError(f"tokens= belongs to the formats {takers}; the file is {layout.format!r}")
                found = chosen.load(
                    Request(path, source, window, layout, tokens=tokens, progress=progress, **arguments)
                )
    for finding in findings:
        warnings.warn(finding, UserWarning, stacklevel=3)
    return found


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
        format; compression, "gzip", "bz2", "xz", "zst", "zip" or None; rows, as declared by the file, dim, and dtype,
        "text" for decimals and "quantised" for codes, each None where the first bytes do not tell; bytes, of the file
        on disk.
    """
    check_format("info", format)
    with _named("info", path), open_source(find_package(os.fspath(path))[0] if is_package(path) else path) as source:
        window = Window(source, capacity=_HEAD_BYTES)
        window.fill()
        layout = sniff(window, format)
        facts = _FORMATS[layout.format].facts(Request(path, source, window, layout))
        return {
            "format": layout.format,
            "compression": source.compression,
            **facts._asdict(),
            "bytes": source.total,
        }


@contextmanager
def _named(doing: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Put what was being read in front of errors about its content; refuse a descriptor, which open would close."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"{doing}: path must be a str or a path, found {type(path).__name__}")
    try:
        yield
    except EOFError as error:
        raise EOFError(f"{doing}: {os.fspath(path)}: {error}") from None
    except UnicodeError:
        raise
    except ValueError as error:
        raise ValueError(f"{doing}: {os.fspath(path)}: {error}") from None
