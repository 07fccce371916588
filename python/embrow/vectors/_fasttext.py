"""fastText's models (.bin, .ftz) -> words and vectors as fastText's own get_word_vector gives them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embrow import _core
from embrow.vectors._dictionary import Words, load_dictionary, read_dictionary
from embrow.vectors._request import Facts, Request
from embrow.vectors._sniff import FASTTEXT_ARGUMENTS, FASTTEXT_MAGIC, MAX_DIM
from embrow.vectors._stream import Bytes, Stream
from embrow.vectors._subwords import MAX_NGRAM_CHARS, Ngrams
from embrow.vectors._vector_rows import DenseRows, Floats, Keep, QuantisedRows, Rows
from embrow.vectors._word_vectors import WordVectors

_VERSIONS = (11, 12)
_SUPERVISED = 3
# A word's NUL, count and type.
_LEAST_ENTRY_BYTES = 10
_CENTROIDS = 256


class FastTextHeader:
    """What stands before the words (Args::save and Dictionary::save in fastText's source)."""

    def __init__(self, stream: Stream) -> None:
        first, second = stream.fields("2i")
        self.has_magic = first == int.from_bytes(FASTTEXT_MAGIC, "little")
        if self.has_magic:
            version = second
            if version not in _VERSIONS:
                raise ValueError(f"byte 4: this is version {version} of fastText's files; versions 11 and 12 are read")
            at, arguments = 8, stream.fields(FASTTEXT_ARGUMENTS)
        else:
            version, at = 0, 0
            arguments = (first, second, *stream.fields("10id"))
        self.dim, model, self.buckets, self.min_chars, self.max_chars = (arguments[i] for i in (0, 7, 8, 9, 10))
        if not 1 <= self.dim <= MAX_DIM:
            raise ValueError(f"byte {at}: the header declares vectors of {self.dim}; 1 to {MAX_DIM} are read")
        if self.buckets < 0:
            raise ValueError(f"byte {at + 32}: the header declares {self.buckets} buckets")
        if model == _SUPERVISED and version < 12:
            # Models of that time made no n-grams (FastText::loadModel).
            self.max_chars = 0
        if self.max_chars > MAX_NGRAM_CHARS:
            raise ValueError(
                f"byte {at + 40}: the header declares n-grams of {self.max_chars} characters; "
                f"{MAX_NGRAM_CHARS} at most are read"
            )
        at = stream.offset
        self.entries, self.words, labels, _ = stream.fields("3iq")
        self.pruned: int = stream.fields("q")[0] if self.has_magic else -1
        if min(self.words, labels) < 0 or self.entries != self.words + labels:
            raise ValueError(
                f"byte {at}: the header declares {self.words} words and {labels} labels, {self.entries} together"
            )
        stream.require(self.entries * _LEAST_ENTRY_BYTES, f"{self.entries} words and labels")

    def ngrams(self, stream: Stream) -> Ngrams | None:
        """Read the table of pruned buckets, which follows the words."""
        kept = None
        if self.pruned >= 0:
            stream.require(8 * self.pruned, f"{self.pruned} buckets kept")
            at = stream.offset
            kept = stream.rows(self.pruned, 8).view("<i4").reshape(-1, 2)
            if len(kept) and kept[:, 1].min() < 0:
                raise ValueError(f"byte {at}: a bucket kept has a negative row")
        least = max(1, self.min_chars)
        if self.buckets == 0 or self.max_chars < least or self.pruned == 0:
            return None
        index = _core.Ngrams.fasttext(
            # Models without magic were made when the end of a line had n-grams, too.
            self.min_chars,
            self.max_chars,
            self.buckets,
            not self.has_magic,
            kept,
        )
        return Ngrams(index, self.max_chars - least + 1, unit=False)


def facts(request: Request) -> Facts:
    stream = Stream(request.source, request.window)
    with stream.placed():
        header = FastTextHeader(stream)
        read_dictionary(stream, "fasttext", header.words, declared=header.entries, limit=0)
        header.ngrams(stream)
        return Facts(header.words, header.dim, "quantised" if _is_quantised(stream, header) else "float32")


def load(request: Request) -> WordVectors:
    return load_dictionary(request, _load)


def _load(stream: Stream, request: Request) -> WordVectors:
    header = FastTextHeader(stream)
    words = Words.read(stream, request, "fasttext", header.words, header.entries)
    ngrams = header.ngrams(stream)
    quantised = _is_quantised(stream, header)
    if header.pruned >= 0 and not quantised:
        raise ValueError(
            f"byte {stream.offset}: buckets are pruned, but the matrix is not quantised, which fastText refuses, too; "
            "get the file again from its maker"
        )
    check = partial(_check_shape, header, ngrams, stream.offset)
    with words.keep(ngrams, words_have_ngrams=True) as keep:
        own, rows = (_read_quantised if quantised else _read_dense)(stream, keep, check)
        _pass_output(stream, header, quantised)
        vectors = words.vectors(own, rows, header.dim, ngrams, words_have_ngrams=True)
    # fastText adds to zeros, which makes -0 into 0.
    vectors.weight += vectors.weight.dtype.type(0)
    return vectors


def _is_quantised(stream: Stream, header: FastTextHeader) -> bool:
    return header.has_magic and _flag(stream, "whether the matrix is quantised")


def _flag(stream: Stream, what: str) -> bool:
    at = stream.offset
    (value,) = stream.fields("B")
    if value > 1:
        raise ValueError(f"byte {at}: {what} must be 0 or 1, found {value}, {stream.place()}")
    return bool(value)


def _shape(stream: Stream) -> tuple[int, int]:
    at = stream.offset
    rows, dim = stream.fields("2q")
    if rows < 0 or not 0 <= dim <= MAX_DIM:
        raise ValueError(f"byte {at}: the matrix claims {rows} rows of {dim}, {stream.place()}")
    return rows, dim


def _check_shape(header: FastTextHeader, ngrams: Ngrams | None, at: int, rows: int, dim: int) -> None:
    if dim != header.dim:
        raise ValueError(f"byte {at}: the matrix has vectors of {dim}, the header declares {header.dim}")
    needed = header.words + (ngrams.index.bound if ngrams is not None else 0)
    if rows < needed:
        raise ValueError(f"byte {at}: the matrix has {rows} rows; {header.words} words and their n-grams need {needed}")


class _Quantiser:
    """ProductQuantizer::load in fastText's source: 256 centroids for each part of a vector, the last part shorter."""

    def __init__(self, stream: Stream, dim: int, parts: int) -> None:
        at = stream.offset
        found = stream.fields("4i")
        _, _, size, last = found
        if found[:2] != (dim, parts) or not 1 <= last <= size or (parts - 1) * size + last != dim:
            raise ValueError(f"byte {at}: the quantiser claims {found}, for {parts} parts of a vector of {dim}")
        stream.require(4 * _CENTROIDS * dim, f"{_CENTROIDS} centroids of {dim}")
        centroids = stream.floats(_CENTROIDS * dim)
        self._first = centroids[: (parts - 1) * size * _CENTROIDS].reshape(parts - 1, _CENTROIDS, size)
        self._last = centroids[(parts - 1) * size * _CENTROIDS :].reshape(_CENTROIDS, last)

    def decode(self, codes: Bytes) -> Floats:
        parts, _, size = self._first.shape
        first = self._first[np.arange(parts), codes[:, :-1]].reshape(len(codes), parts * size)
        return np.concatenate([first, self._last[codes[:, -1]]], axis=1)


class _Decoder:
    def __init__(self, vectors: _Quantiser, norms: _Quantiser | None) -> None:
        self._vectors, self._norms = vectors, norms

    def __call__(self, codes: Bytes, norm_codes: Bytes | None) -> Floats:
        rows = self._vectors.decode(codes)
        if self._norms is not None and norm_codes is not None:
            with np.errstate(all="ignore"):
                rows *= self._norms.decode(norm_codes)
        return rows


def _read_dense(stream: Stream, keep: Keep, check: partial[None]) -> tuple[Rows, Rows]:
    rows, dim = _shape(stream)
    check(rows, dim)
    own, ngrams = (DenseRows(part, dim) for part in keep.read(stream, rows, 4 * dim))
    return own, ngrams


def _read_quantised(stream: Stream, keep: Keep, check: partial[None]) -> tuple[Rows, Rows]:
    at = stream.offset
    has_norms = _flag(stream, "whether norms are quantised")
    rows, dim = _shape(stream)
    check(rows, dim)
    (code_bytes,) = stream.fields("i")
    parts = code_bytes // rows if rows else 0
    if not 1 <= parts <= dim or parts * rows != code_bytes:
        raise ValueError(f"byte {at}: {code_bytes} bytes of codes do not make {rows} rows of {dim}")
    codes = keep.read(stream, rows, parts)
    vectors = _Quantiser(stream, dim, parts)
    norm_codes: tuple[Any, Any] = (None, None)
    norms = None
    if has_norms:
        norm_codes = keep.read(stream, rows, 1)
        norms = _Quantiser(stream, 1, 1)
    decode = _Decoder(vectors, norms)
    own, ngrams = (QuantisedRows(part, norm, decode) for part, norm in zip(codes, norm_codes, strict=True))
    return own, ngrams


def _pass_output(stream: Stream, header: FastTextHeader, quantised: bool) -> None:
    """Pass over the output matrix, which tells whether the file is whole."""
    stream.enter(f"past token {header.words - 1}, in the output matrix")
    if not (header.has_magic and _flag(stream, "whether the output is quantised") and quantised):
        rows, dim = _shape(stream)
        size = 4 * rows * dim
    else:
        has_norms = _flag(stream, "whether norms are quantised")
        rows, dim = _shape(stream)
        (code_bytes,) = stream.fields("i")
        if code_bytes < 0:
            raise ValueError(f"byte {stream.offset - 4}: {code_bytes} bytes of codes, {stream.place()}")
        size = code_bytes + 16 + 4 * _CENTROIDS * dim + has_norms * (rows + 16 + 4 * _CENTROIDS)
    stream.require(size, f"an output matrix of {rows} rows of {dim}")
    stream.skip(size)
