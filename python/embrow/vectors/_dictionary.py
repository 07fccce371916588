"""Formats that keep all words before all rows: the words, which of them to keep, and their vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embrow import _core
from embrow.vectors._array import read_to_end
from embrow.vectors._request import Request
from embrow.vectors._stream import Stream
from embrow.vectors._subwords import KnownSubwords, Ngrams, Subwords, word_vectors
from embrow.vectors._vector_rows import DenseRows, Ids, Keep, Rows
from embrow.vectors._word_vectors import LoadReport, WordVectors


def read_dictionary(
    stream: Stream,
    entries: str,
    words: int,
    *,
    declared: int | None = None,
    limit: int | None = None,
    unicode_errors: str = "strict",
    wanted: list[str] | None = None,
) -> _core.DictionaryReader:
    """Read `declared` entries, the first `words` of them words; `entries` names their form."""
    reader = _core.DictionaryReader(
        entries,
        words,
        words if declared is None else declared,
        words if limit is None else limit,
        stream.offset,
        unicode_errors,
        wanted,
    )
    while not reader.done:
        stream.enter(f"in token {reader.entry} of its list")
        with stream.window.view() as held:
            used = reader.feed(held, stream.window.last)
        stream.use(used)
        if not reader.done:
            stream.fill()
    stream.enter(f"past token {words - 1} of its list")
    return reader


def load_dictionary(request: Request, load: Callable[[Stream, Request], WordVectors]) -> WordVectors:
    """Load the whole file, and warn of what follows it."""
    stream = Stream(request.source, request.window)
    with stream.placed():
        vectors = load(stream, request)
    assert vectors.report is not None
    assert vectors.report.rows_declared is not None
    read_to_end(request, stream.offset, vectors.report.rows_declared)
    return vectors


@dataclass(frozen=True)
class Words:
    """Words of a file, chosen, before the rows are read."""

    request: Request
    reader: _core.DictionaryReader
    declared: int
    tokens: list[str]
    spelled: list[str | bytes]
    own: Ids
    unseen: list[str]

    @classmethod
    def read(cls, stream: Stream, request: Request, entries: str, words: int, declared: int | None = None) -> Words:
        reader = read_dictionary(
            stream,
            entries,
            words,
            declared=declared,
            limit=min(request.limit, words),
            unicode_errors=request.unicode_errors,
            wanted=request.wanted,
        )
        wanted = request.wanted
        tokens = reader.tokens() if wanted is None else [wanted[i] for i in reader.kept_ids]
        # N-grams are made of the bytes in the file.
        spelled: list[str | bytes] = list(tokens)
        for place, word in reader.mended().items():
            spelled[place] = word
        seen = set(tokens) if request.unseen else set()
        unseen = [token for token in dict.fromkeys(request.unseen) if token not in seen]
        return cls(request, reader, words, tokens, spelled, reader.rows(), unseen)

    def keep(self, ngrams: Ngrams | None, *, words_have_ngrams: bool) -> Keep:
        """Choose the rows of the matrix that are needed."""

        def needed() -> Ids:
            lists: list[Sequence[str | bytes]] = [self.unseen] if ngrams is not None else []
            if ngrams is not None and words_have_ngrams:
                lists.append(self.spelled)
            rows = [self.own]
            for words in lists:
                assert ngrams is not None
                rows.append(_ngram_rows(words, ngrams, self.request.threads) + self.declared)
            return np.unique(np.concatenate(rows))

        limit = min(self.request.limit, self.declared)
        whole = self.request.wanted is None
        return Keep(limit, self.declared, ngrams is not None, self.request.threads, None if whole else needed)

    def vectors(
        self, words: Rows, rows: Rows, dim: int, ngrams: Ngrams | None, *, words_have_ngrams: bool
    ) -> WordVectors:
        """Make the result from the words' rows and the n-grams' rows."""
        request = self.request
        out = None
        if isinstance(words, DenseRows) and words.in_memory and request.dtype == np.float32:
            out = words.array
        weight = word_vectors(
            self.spelled,
            dim,
            request.dtype,
            ngrams if words_have_ngrams else None,
            rows,
            own=self.own,
            word_rows=words,
            threads=request.threads,
            out=out,
        )
        if len(weight) > len(self.tokens):
            weight = weight[: len(self.tokens)].copy()
        subwords: Subwords | KnownSubwords | None = None
        if ngrams is not None and request.wanted is None:
            subwords = Subwords(ngrams, rows, dim)
        elif ngrams is not None:
            known = word_vectors(self.unseen, dim, request.dtype, ngrams, rows, threads=request.threads)
            subwords = KnownSubwords(self.unseen, known)
        report = LoadReport(
            min(request.limit, self.declared),
            self.declared,
            len(self.tokens),
            self.reader.duplicates,
            self.reader.bad_utf8,
        )
        return WordVectors(self.tokens, weight, report, subwords=subwords)


def _ngram_rows(words: Sequence[str | bytes], ngrams: Ngrams, threads: int) -> Ids:
    step = 1024
    rows = [
        np.unique(ngrams.index.rows(list(words[begin : begin + step]), threads)[1])
        for begin in range(0, len(words), step)
    ]
    return np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)
