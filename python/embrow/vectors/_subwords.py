"""Words -> vectors from their own rows and those of their n-grams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._threads import resolve_num_threads
from embrow.vectors._vector_rows import Floats, Ids, Rows

# As in csrc/vectors/ngrams.h.
MAX_NGRAM_CHARS = 256
# Of n-gram rows gathered from a file at a time, and of row numbers.
_TABLE_BYTES = 24 << 20
_MOST_IDS = 1 << 20


@dataclass(frozen=True)
class Ngrams:
    """The rows of words' n-grams, and how they become a vector.

    `spread` is how many sizes of n-grams there are. The vector is the mean of the rows, the word's own among them
    (fastText), or with `unit` their sum at length 1 (finalfusion); zeros for no rows.
    """

    index: _core.Ngrams
    spread: int
    unit: bool


class Subwords:
    """Vectors of any word, by its n-grams."""

    def __init__(self, ngrams: Ngrams, rows: Rows, dim: int) -> None:
        self._ngrams, self._rows, self._dim = ngrams, rows, dim

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str)

    def vectors(self, tokens: Sequence[str]) -> Floats:
        """Return rows, float32, shape (len(tokens), dim), for tokens without a row of their own."""
        return word_vectors(tokens, self._dim, np.dtype(np.float32), self._ngrams, self._rows)


class KnownSubwords:
    """Vectors of words that were named when the file was read."""

    def __init__(self, tokens: Sequence[str], rows: npt.NDArray[Any]) -> None:
        self._row_of = {token: row for row, token in enumerate(tokens)}
        self._rows = rows

    def __contains__(self, token: object) -> bool:
        return token in self._row_of

    def vectors(self, tokens: Sequence[str]) -> npt.NDArray[Any]:
        return self._rows[[self._row_of[token] for token in tokens]]


def word_vectors(
    words: Sequence[str | bytes],
    dim: int,
    dtype: np.dtype[Any],
    ngrams: Ngrams | None,
    ngram_rows: Rows | None,
    *,
    own: Ids | None = None,
    word_rows: Rows | None = None,
    threads: int | None = None,
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Return a row for each word, of its own row and its n-grams' rows, added up in that order in float32.

    `own` are the words' rows in `word_rows`, ascending; `out` may be the memory of `word_rows`.
    """
    threads = resolve_num_threads(threads)
    if out is None:
        out = np.empty((len(words), dim), dtype)
    for begin, end in _batches(words, dim, ngrams, ngram_rows):
        if own is None or word_rows is None:
            sums = np.zeros((end - begin, dim), np.float32)
        else:
            sums = word_rows.take(own[begin:end])
        with np.errstate(all="ignore"):
            if ngrams is not None and ngram_rows is not None:
                offsets, ids = ngrams.index.rows(list(words[begin:end]), threads)
                table, ids = ngram_rows.table(ids)
                _core.vectors_add_rows(sums, table, offsets, ids, threads)
                counts = np.diff(offsets) + (own is not None)
                _scale(sums, counts, ngrams.unit)
            out[begin:end] = sums
    return out


def _scale(sums: Floats, counts: Ids, unit: bool) -> None:
    if unit:
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        sums /= np.where(norms > 0, norms, 1)[:, None]
    else:
        # fastText multiplies by 1 / count rounded to float32 (Vector::mul).
        sums *= np.where(counts > 0, 1 / np.maximum(counts, 1), 1).astype(np.float32)[:, None]


def _batches(
    words: Sequence[str | bytes], dim: int, ngrams: Ngrams | None, rows: Rows | None
) -> Iterator[tuple[int, int]]:
    most_words = max(1, _TABLE_BYTES // (4 * dim))
    most_ids = _MOST_IDS if rows is None or rows.in_memory else most_words
    begin = 0
    if ngrams is not None:
        ids = 0
        for place, word in enumerate(words):
            new = (len(word) + 2) * ngrams.spread
            if place > begin and (ids + new > most_ids or place - begin == most_words):
                yield begin, place
                begin, ids = place, 0
            ids += new
    for start in range(begin, len(words), most_words):
        yield start, min(len(words), start + most_words)
