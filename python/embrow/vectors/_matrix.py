"""A vocabulary and its vectors -> one table, row i for token i."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._arguments import integer
from embrow._threads import resolve_num_threads
from embrow.vectors._load import load_wanted
from embrow.vectors._word_vectors import WordVectors
from embrow.vectors._words import surrogates_named, words_in_order

if TYPE_CHECKING:
    from embrow.vectors._subwords import KnownSubwords, Subwords

POLICIES = ("normal", "uniform", "zeros", "mean", "subword")
_BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a vocabulary has vectors. The pad token counts nowhere.

    Attributes
    ----------
    size : int
        Tokens of the vocabulary.
    matched : int
        Those that have a vector as they are.
    case_matched : int
        Those that have one in another case.
    oov : int
        Those that have none.
    type_fraction : float
        (matched + case_matched) / size; 0 for no tokens.
    token_fraction : float or None
        The same, each token weighed by how often it occurs; None without counts.
    """

    size: int
    matched: int
    case_matched: int
    oov: int
    type_fraction: float
    token_fraction: float | None


@dataclass(frozen=True, slots=True)
class EmbeddingMatrix:
    """The result of embedding_matrix.

    Attributes
    ----------
    weight : float32 array, shape (len(vocab), dim)
    coverage : Coverage
    """

    weight: npt.NDArray[np.float32]
    coverage: Coverage


def embedding_matrix(
    vocab: Any,
    vectors_or_path: WordVectors | str | os.PathLike[str],
    *,
    oov: str = "normal",
    case_fallback: bool = False,
    seed: int = 0,
) -> EmbeddingMatrix:
    """Lay vectors out in the order of a vocabulary.

    Parameters
    ----------
    vocab : Vocab, sequence of str, or dict of str to int
        Row i is for token i. Of a dict token -> id the ids are 0 to n - 1, each once.
    vectors_or_path : WordVectors, path or str
        A path is read with load_vectors, of which only the rows needed are kept.
    oov : {"normal", "uniform", "zeros", "mean", "subword"}
        Rows of tokens without a vector: drawn with the mean and standard deviation, per dimension, of the rows that
        were found, from a normal or a uniform distribution (Kim 2014, section 3.3); zeros; the mean row; or, from
        vectors that have them, made of subwords.
    case_fallback : bool
        Try a token without a vector in lower case, then capitalised, then in upper case.
    seed : int
        For "normal" and "uniform".

    Returns
    -------
    EmbeddingMatrix
        `.weight`, float32, shape (len(vocab), dim), and `.coverage`.

    Raises
    ------
    ValueError
        `oov` is unknown, or "subword" for vectors without subwords; the ids of a dict have gaps; a token has a lone
        surrogate, which no file can hold.
    TypeError
        `vocab` is a set, which has no order, or a token is no str.

    Notes
    -----
    A row found has the vector's bits; the pad row is zero. A drawn row depends on the seed, the token's text and the
    mean and spread alone, so it is the same whatever the order of words in the file or the vocabulary. With no row
    found, mean is 0 and spread 1.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = WordVectors(["up", "down"], np.array([[1.0, 2.0], [3.0, 4.0]], dtype="float32"))
    >>> table = embedding_matrix(["down", "left", "up"], vectors, oov="zeros")
    >>> table.weight
    array([[3., 4.],
           [0., 0.],
           [1., 2.]], dtype=float32)
    >>> table.coverage.oov
    1
    """
    if oov not in POLICIES:
        raise ValueError(f"embedding_matrix: oov must be one of {', '.join(POLICIES)}, found {oov!r}")
    tokens = words_in_order(vocab, "embedding_matrix", "vocab")
    with surrogates_named(tokens, "embedding_matrix: vocab"):
        return _lay_out(vocab, tokens, vectors_or_path, oov, case_fallback, seed)


def _lay_out(
    vocab: Any,
    tokens: list[str],
    vectors_or_path: WordVectors | str | os.PathLike[str],
    oov: str,
    case_fallback: bool,
    seed: int,
) -> EmbeddingMatrix:
    pad_id: int | None = getattr(vocab, "pad_id", None)
    if isinstance(vectors_or_path, WordVectors):
        vectors = vectors_or_path
    else:
        wanted = tokens
        if case_fallback:
            wanted = [form for token in tokens for form in (token, *_other_cases(token))]
        vectors = load_wanted(vectors_or_path, wanted, tokens if oov == "subword" else ())
    subwords = vectors._subwords
    if oov == "subword" and subwords is None:
        raise ValueError('embedding_matrix: oov="subword" needs vectors with subwords, and these have none')

    rows = np.fromiter((vectors._row(token) for token in tokens), np.int64, len(tokens))
    exact = rows >= 0
    if case_fallback:
        for i in np.flatnonzero(~exact):
            rows[i] = next((row for form in _other_cases(tokens[i]) if (row := vectors._row(form)) >= 0), -1)
    counted = np.ones(len(tokens), bool)
    if pad_id is not None:
        counted[pad_id] = False
    found = np.flatnonzero((rows >= 0) & counted)
    missing = np.flatnonzero((rows < 0) & counted)

    weight = np.zeros((len(tokens), vectors.dim), np.float32)
    for begin in range(0, len(found), _BLOCK_ROWS):
        block = found[begin : begin + _BLOCK_ROWS]
        weight[block] = vectors.weight[rows[block]]
    if oov == "subword" and subwords is not None:
        _fill_by_subwords(weight, missing, tokens, subwords)
    elif len(missing) and oov != "zeros":
        _fill_by_moments(weight, found, missing, tokens, oov, seed)
    return EmbeddingMatrix(weight, _coverage(vocab, tokens, counted, exact, rows >= 0))


def _other_cases(token: str) -> tuple[str, str, str]:
    return token.lower(), token.capitalize(), token.upper()


def _fill_by_subwords(
    weight: npt.NDArray[np.float32],
    missing: npt.NDArray[np.intp],
    tokens: Sequence[str],
    subwords: Subwords | KnownSubwords,
) -> None:
    strange = next((i for i in missing if tokens[i] not in subwords), None)
    if strange is not None:
        raise ValueError(
            f'embedding_matrix: oov="subword": the vectors were loaded for another vocabulary, without token {strange}'
        )
    for begin in range(0, len(missing), _BLOCK_ROWS):
        block = missing[begin : begin + _BLOCK_ROWS]
        weight[block] = subwords.vectors([tokens[i] for i in block])


def _fill_by_moments(
    weight: npt.NDArray[np.float32],
    found: npt.NDArray[np.intp],
    missing: npt.NDArray[np.intp],
    tokens: Sequence[str],
    oov: str,
    seed: int,
) -> None:
    """Fill rows that are missing with the mean of those found, or draw them with their spread."""
    mean, spread = _moments(weight, found, tokens)
    if oov == "mean":
        weight[missing] = mean
        return
    _core.vectors_fill_oov(
        weight,
        missing.tolist(),
        [tokens[i] for i in missing],
        uniform=oov == "uniform",
        seed=integer("embedding_matrix: seed", seed) % 2**64,
        mean=mean,
        spread=spread,
        threads=resolve_num_threads(None),
    )


def _moments(
    weight: npt.NDArray[np.float32], found: npt.NDArray[np.intp], tokens: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each column over the rows found.

    Sums of floats depend on their order, so rows are added in the order of their tokens' text, which neither the file
    nor the vocabulary decides.
    """
    dim = weight.shape[1]
    if not len(found):
        return np.zeros(dim), np.ones(dim)
    order = np.array(sorted(found.tolist(), key=tokens.__getitem__))
    mean = np.zeros(dim)
    square = np.zeros(dim)
    for begin in range(0, len(order), _BLOCK_ROWS):
        mean += weight[order[begin : begin + _BLOCK_ROWS]].sum(axis=0, dtype=np.float64)
    mean /= len(order)
    for begin in range(0, len(order), _BLOCK_ROWS):
        square += ((weight[order[begin : begin + _BLOCK_ROWS]] - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(square / len(order))


def _coverage(
    vocab: Any,
    tokens: Sequence[str],
    counted: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.bool_],
    matched: npt.NDArray[np.bool_],
) -> Coverage:
    size = int(counted.sum())
    any_case = int((matched & counted).sum())
    as_is = int((exact & counted).sum())
    token_fraction = None
    counts = getattr(vocab, "counts", None)
    if counts is not None:
        if isinstance(counts, Mapping):
            occurrences = np.array([counts.get(token, 0) for token in tokens], np.float64)
        else:
            occurrences = np.asarray(counts, np.float64)
        total = occurrences[counted].sum()
        token_fraction = float(occurrences[counted & matched].sum() / total) if total else 0.0
    return Coverage(
        size=size,
        matched=as_is,
        case_matched=any_case - as_is,
        oov=size - any_case,
        type_fraction=any_case / size if size else 0.0,
        token_fraction=token_fraction,
    )
