"""finalfusion files -> words and vectors.

The format is finalfusion's version 0 (finalfusion.github.io/spec); where that page differs from what its libraries in
Rust and Python write and read, this is what they do.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embrow import _core
from embrow.vectors._dictionary import Words, load_dictionary, read_dictionary
from embrow.vectors._request import Facts, Request
from embrow.vectors._sniff import FINALFUSION_MAGIC, MAX_DIM
from embrow.vectors._stream import Bytes, Stream
from embrow.vectors._subwords import MAX_NGRAM_CHARS, Ngrams
from embrow.vectors._vector_rows import DenseRows, Floats, Keep, QuantisedRows, Rows
from embrow.vectors._word_vectors import WordVectors

_SIMPLE, _ARRAY, _BUCKETS, _QUANTISED, _METADATA, _NORMS, _FASTTEXT, _LISTED = range(1, 9)
_VOCABULARIES = (_SIMPLE, _BUCKETS, _FASTTEXT, _LISTED)
_UINT8, _FLOAT32 = 1, 10
_MAX_CHUNKS = 1 << 10
_MAX_EXPONENT = 47
_MOST_WORDS = 1 << 48


class FinalfusionHeader:
    """What stands before the words."""

    def __init__(self, stream: Stream) -> None:
        magic, version, chunks = stream.fields("4sII")
        if magic != FINALFUSION_MAGIC:
            raise ValueError("byte 0: this is no finalfusion file")
        if version != 0:
            raise ValueError(f"byte 4: this is version {version} of finalfusion's files; version 0 is read")
        if chunks > _MAX_CHUNKS:
            raise ValueError(f"byte 8: {chunks} chunks are too many to be true")
        self.chunks: tuple[int, ...] = stream.fields(f"{chunks}I")
        self._left = list(self.chunks)
        kind, size = self.chunk(stream)
        if kind == _METADATA:
            stream.require(size, "metadata")
            stream.skip(size)
            kind, size = self.chunk(stream)
        at = stream.offset
        if kind not in _VOCABULARIES:
            raise ValueError(f"byte {at - 12}: a chunk of kind {kind} where the vocabulary should be, before token 0")
        self.kind = kind
        self.end = at + size
        layout = {_SIMPLE: "Q", _LISTED: "QQII"}.get(kind, "QIII")
        fields = stream.fields(layout)
        self.words: int = fields[0]
        self.listed: int = fields[1] if kind == _LISTED else 0
        self.min_chars, self.max_chars, self.size = 1, 0, 0
        if kind == _LISTED:
            self.min_chars, self.max_chars = fields[2:]
        elif kind != _SIMPLE:
            self.min_chars, self.max_chars, self.size = fields[1:]
        if kind != _SIMPLE and not 1 <= self.min_chars <= self.max_chars <= MAX_NGRAM_CHARS:
            raise ValueError(
                f"byte {at}: the header declares n-grams of {self.min_chars} to {self.max_chars} characters; "
                f"1 to {MAX_NGRAM_CHARS} are read"
            )
        if kind in (_BUCKETS, _FASTTEXT) and not 1 <= self.size <= (_MAX_EXPONENT if kind == _BUCKETS else 1 << 32):
            raise ValueError(f"byte {at}: the header declares {self.size} as the number of buckets")
        stream.require(4 * self.words + 12 * self.listed, f"{self.words} words and {self.listed} n-grams")

    def chunk(self, stream: Stream) -> tuple[int, int]:
        """Read the next chunk's kind and size in bytes."""
        at = stream.offset
        if not self._left:
            raise ValueError(f"byte {at}: the header names no chunk for what is missing, {stream.place()}")
        kind, size = stream.fields("IQ")
        named = self._left.pop(0)
        if kind != named:
            raise ValueError(f"byte {at}: a chunk of kind {kind}; the header names {named} here, {stream.place()}")
        return kind, size

    def ngrams(self, stream: Stream) -> Ngrams | None:
        """Make the index of n-grams, which if listed follow the words."""
        if self.kind == _SIMPLE:
            return None
        if self.kind == _LISTED:
            reader = read_dictionary(stream, "listed", self.listed)
            index = _core.Ngrams.listed(self.min_chars, self.max_chars, reader.tokens(), reader.rows().tolist())
        else:
            index = _core.Ngrams.finalfusion(self.kind == _BUCKETS, self.min_chars, self.max_chars, self.size)
        return Ngrams(index, self.max_chars - self.min_chars + 1, unit=True)

    def check_end(self, stream: Stream) -> None:
        """Check the size of the vocabulary's chunk."""
        # finalfusion-python leaves the rows of listed n-grams out of it.
        if stream.offset - 8 * self.listed != self.end:
            _check_end(stream, self.end)

    @property
    def left(self) -> bool:
        return bool(self._left)


def facts(request: Request) -> Facts:
    stream = Stream(request.source, request.window)
    with stream.placed():
        header = FinalfusionHeader(stream)
        read_dictionary(stream, "finalfusion", header.words, limit=0)
        if header.listed:
            read_dictionary(stream, "listed", header.listed, limit=0)
        header.check_end(stream)
        kind, _ = header.chunk(stream)
        if kind == _QUANTISED:
            return Facts(header.words, stream.fields("IIII")[3], "quantised")
        return Facts(header.words, stream.fields("QI")[1], "float32")


def load(request: Request) -> WordVectors:
    return load_dictionary(request, _load)


def _load(stream: Stream, request: Request) -> WordVectors:
    header = FinalfusionHeader(stream)
    words = Words.read(stream, request, "finalfusion", header.words)
    ngrams = header.ngrams(stream)
    header.check_end(stream)
    stream.enter(f"past token {header.words - 1} of its list")
    at = stream.offset
    kind, size = header.chunk(stream)
    end = stream.offset + size
    if kind not in (_ARRAY, _QUANTISED):
        raise ValueError(f"byte {at}: a chunk of kind {kind} where the matrix should be, {stream.place()}")
    check = partial(_check_shape, header, ngrams, at)
    with words.keep(ngrams, words_have_ngrams=False) as keep:
        own, rows, dim = (_read_array if kind == _ARRAY else _read_quantised)(stream, keep, check)
        _check_end(stream, end)
        while header.left:
            stream.enter(f"past token {header.words - 1}, in what follows the matrix")
            _, size = header.chunk(stream)
            stream.require(size, "a chunk")
            stream.skip(size)
        return words.vectors(own, rows, dim, ngrams, words_have_ngrams=False)


def _check_end(stream: Stream, end: int) -> None:
    if stream.offset != end:
        raise ValueError(f"byte {stream.offset}: what the chunk holds ends here, the chunk at {end}, {stream.place()}")


def _check_shape(header: FinalfusionHeader, ngrams: Ngrams | None, at: int, rows: int, dim: int) -> None:
    if not 1 <= dim <= MAX_DIM:
        raise ValueError(f"byte {at}: the matrix has vectors of {dim}; 1 to {MAX_DIM} are read")
    needed = header.words + (ngrams.index.bound if ngrams is not None else 0)
    if rows < needed or rows > _MOST_WORDS:
        raise ValueError(f"byte {at}: the matrix has {rows} rows; {header.words} words and their n-grams need {needed}")


def _pad(stream: Stream) -> None:
    # Even where nothing would be missing, four bytes.
    stream.skip(4 - stream.offset % 4)


def _check_type(stream: Stream, expected: int) -> None:
    at = stream.offset
    (kind,) = stream.fields("I")
    if kind != expected:
        raise ValueError(f"byte {at}: elements of type {kind}; the type {expected} is read here, {stream.place()}")


def _read_array(stream: Stream, keep: Keep, check: partial[None]) -> tuple[Rows, Rows, int]:
    count, dim = stream.fields("QI")
    check(count, dim)
    _check_type(stream, _FLOAT32)
    _pad(stream)
    own, rows = (DenseRows(part, dim) for part in keep.read(stream, count, 4 * dim))
    return own, rows, dim


class _Decoder:
    def __init__(self, centroids: Floats, projection: Floats | None, at: int) -> None:
        self._centroids, self._projection, self._at = centroids, projection, at

    def __call__(self, codes: Bytes, norms: Bytes | None) -> Floats:
        parts, count, size = self._centroids.shape
        if codes.size and codes.max() >= count:
            raise ValueError(f"byte {self._at}: the codes from here on hold {codes.max()}, of {count} centroids")
        rows = self._centroids[np.arange(parts), codes].reshape(len(codes), parts * size)
        with np.errstate(all="ignore"):
            if self._projection is not None:
                rows = rows @ self._projection.T
            if norms is not None:
                rows *= norms.view("<f4").reshape(-1, 1)
        return rows


def _read_quantised(stream: Stream, keep: Keep, check: partial[None]) -> tuple[Rows, Rows, int]:
    at = stream.offset
    projected, normed, parts, dim, centroids, count = stream.fields("IIIIIQ")
    check(count, dim)
    if projected > 1 or normed > 1 or not 1 <= parts <= dim or dim % parts != 0 or not 1 <= centroids <= 256:
        raise ValueError(
            f"byte {at}: the quantiser claims {centroids} centroids of {parts} parts of a vector of {dim}, "
            f"projection {projected}, norms {normed}"
        )
    _check_type(stream, _UINT8)
    _check_type(stream, _FLOAT32)
    _pad(stream)
    stream.require(4 * dim * (dim * projected + centroids), "a quantiser")
    projection = stream.floats(dim * dim).reshape(dim, dim) if projected else None
    table = stream.floats(dim * centroids).reshape(parts, centroids, dim // parts)
    norms: tuple[Any, Any] = keep.read(stream, count, 4) if normed else (None, None)
    decode = _Decoder(table, projection, stream.offset)
    codes = keep.read(stream, count, parts)
    own, rows = (QuantisedRows(part, norm, decode) for part, norm in zip(codes, norms, strict=True))
    return own, rows, dim
