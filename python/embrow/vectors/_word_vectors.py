"""Tokens and their rows in memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._arguments import integer
from embrow.vectors._save import save_vectors

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

    from embrow.vectors._subwords import KnownSubwords, Subwords

# Between these norms no product of float32 overflows, nor loses digits to underflow that its sum would show.
_SAFE_NORMS = (2.0**-100, 2.0**100)
_SCALED_ROWS = 4096


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What loading a file met.

    Attributes
    ----------
    rows_read : int
        Rows of the file that were looked at.
    rows_declared : int or None
        Rows that the file's header promises; None for a format without one.
    rows_kept : int
        Rows in the result.
    duplicates : int
        Rows left out because their token came before; with `vocab`, among wanted tokens.
    bad_utf8 : int
        Tokens mended by `unicode_errors`.
    """

    rows_read: int
    rows_declared: int | None
    rows_kept: int
    duplicates: int
    bad_utf8: int


class WordVectors:
    """Tokens, each with one row of `weight`.

    Parameters
    ----------
    tokens : sequence of str
    weight : float array, shape (len(tokens), dim)
    report : LoadReport, optional
        What loading them met.
    subwords : optional
        What load_vectors found in the file to make vectors of other tokens with.

    Notes
    -----
    With subwords, `vectors[token]` and `token in vectors` know tokens that are not in `tokens`, too: every str, or of
    vectors loaded for a vocabulary those of that vocabulary. A token none of whose n-grams has a vector gets zeros.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = WordVectors(["up", "down"], np.array([[1.0, 2.0], [3.0, 4.0]], dtype="float32"))
    >>> vectors["down"]
    array([3., 4.], dtype=float32)
    >>> "left" in vectors
    False
    """

    # Instead of a list of tokens, for vectors that are mapped from a file.
    _table: _core.VocabTable | None = None
    _subwords: Subwords | KnownSubwords | None = None

    def __init__(
        self,
        tokens: Sequence[str],
        weight: npt.NDArray[Any],
        report: LoadReport | None = None,
        *,
        subwords: Subwords | KnownSubwords | None = None,
    ) -> None:
        if not isinstance(weight, np.ndarray):
            raise TypeError(f"WordVectors: weight must be a NumPy array, found {type(weight).__name__}")
        if weight.ndim != 2 or weight.shape[0] != len(tokens):
            raise ValueError(f"WordVectors: weight must have shape ({len(tokens)}, dim), found {weight.shape}")
        if weight.dtype.kind != "f":
            raise ValueError(f"WordVectors: weight must be of a float dtype, found {weight.dtype}")
        self.tokens = list(tokens)
        self.weight = weight
        self.report = report
        self._subwords = subwords

    @classmethod
    def _mapped(cls, table: _core.VocabTable, weight: npt.NDArray[Any], report: LoadReport) -> WordVectors:
        """Make vectors whose tokens stay in `table` until the list of them is asked for."""
        made = cls.__new__(cls)
        made._table = table
        made.weight = weight
        made.report = report
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "weight": self.weight, "report": self.report, "_subwords": self._subwords}

    @cached_property
    def tokens(self) -> list[str]:
        """Every token, in the order of the rows."""
        assert self._table is not None
        return self._table.tokens()

    @property
    def dim(self) -> int:
        """Columns of `weight`."""
        return int(self.weight.shape[1])

    @cached_property
    def _rows(self) -> dict[str, int]:
        backwards = range(len(self.tokens) - 1, -1, -1)
        return dict(zip(reversed(self.tokens), backwards, strict=True))

    def _row(self, token: str) -> int:
        """Return the number of a token's row, or -1."""
        return self._rows.get(token, -1) if self._table is None else self._table.find(token)

    def __len__(self) -> int:
        return len(self.weight)

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and (
            self._row(token) >= 0 or (self._subwords is not None and token in self._subwords)
        )

    def __getitem__(self, token: str) -> npt.NDArray[Any]:
        """Return the row of `token`, a view, or its vector made of subwords; KeyError if there is neither."""
        row = self._row(token)
        if row >= 0:
            return self.weight[row]  # type: ignore[no-any-return]
        if self._subwords is None or token not in self._subwords:
            raise KeyError(token)
        with np.errstate(over="ignore"):
            vector: npt.NDArray[Any] = self._subwords.vectors([token])[0].astype(self.weight.dtype, copy=False)
        return vector

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} tokens, dim {self.dim}, {self.weight.dtype})"

    def most_similar(self, token: str, topn: int = 10) -> list[tuple[str, float]]:
        """Return the tokens nearest to `token` by cosine, best first, without itself.

        Parameters
        ----------
        token : str
        topn : int
            How many at most.

        Returns
        -------
        list of (token, cosine)

        Raises
        ------
        KeyError
            The token has no vector.

        Notes
        -----
        Reads the whole table once. Rows of zeros have cosine 0; of equal cosines the earlier row comes first. A vector
        that is not finite has no cosine: such rows are left out, and no token is near to one.
        """
        topn = integer("most_similar: topn", topn)
        row = self._row(token)
        vector = self[token]
        if not np.isfinite(vector).all():
            return []
        cosines = _cosines(self.weight, vector)
        if row >= 0:
            cosines[row] = np.nan
        cosines[np.isnan(cosines)] = -np.inf
        topn = min(topn, int(np.count_nonzero(cosines > -np.inf)))
        if topn <= 0:
            return []
        bound = np.partition(cosines, len(self) - topn)[len(self) - topn]
        best = np.flatnonzero(cosines >= bound)
        best = best[np.argsort(-cosines[best], kind="stable")][:topn]
        return [(self.tokens[i], float(cosines[i])) for i in best]

    def to_gensim(self) -> KeyedVectors:
        """Return gensim KeyedVectors over the same memory; subwords are lost.

        Raises
        ------
        ImportError
            gensim is not installed.
        """
        try:
            from gensim.models import KeyedVectors
        except ImportError:
            raise ImportError("to_gensim needs gensim: pip install gensim") from None
        keyed = KeyedVectors(self.dim)
        keyed.index_to_key = list(self.tokens)
        keyed.key_to_index = dict(self._rows)
        keyed.vectors = self.weight
        return keyed

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Write tokens and rows to `path`, whole or not at all.

        Parameters
        ----------
        path : path
        format : {"word2vec-binary", "word2vec-text", "glove", "npy", "safetensors", "finalfusion"}, optional
            Default: by the suffix, `.bin`, `.vec`, `.npy`, `.safetensors` or `.fifu`. "npy" writes the tokens, one a
            line, beside `path` under the suffix `.words`, in place of `.npy` or behind another, where load_vectors
            finds them. "safetensors" holds tokens, rows and an index of the tokens in one file, which load_vectors maps
            into memory within milliseconds.

        Raises
        ------
        ValueError
            A token that the format cannot hold: with a space, tab or line end in word2vec's, with a line end or a final
            space in "glove", with a line end in "npy", in both a byte order mark that starts the first; in
            "safetensors" one that occurs twice. Or a shape or dtype that it cannot hold, and load_vectors would refuse:
            vectors of 0, but for "npy" and "safetensors", and 0 rows in "glove".

        Notes
        -----
        "word2vec-binary" and "finalfusion" hold float32; text holds the shortest decimals that read back as the same
        numbers. No format holds subwords: of vectors that have them the rows of `tokens` are written, with a
        UserWarning that other tokens will have no vector.
        """
        if self._subwords is not None:
            warnings.warn(
                "save: the subwords are lost; tokens that have no row have no vector in the file",
                UserWarning,
                stacklevel=2,
            )
        save_vectors(path, format, self.tokens, self.weight)


def _cosines(weight: npt.NDArray[Any], vector: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the cosine of each row to a finite vector: 0 where either is zero, NaN where the row is not finite."""
    if weight.dtype.itemsize == 2:
        weight, vector = weight.astype(np.float32), vector.astype(np.float32)
    vector = _scaled(vector)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", weight, weight, dtype=np.float64))
        products = weight @ vector
        unsafe = np.flatnonzero(~((norms > _SAFE_NORMS[0]) & (norms < _SAFE_NORMS[1])))
        for chosen in np.split(unsafe, range(_SCALED_ROWS, len(unsafe), _SCALED_ROWS)):
            rows = _scaled(weight[chosen])
            norms[chosen] = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
            products[chosen] = rows @ vector
        scale = norms * np.sqrt(np.einsum("i,i->", vector, vector, dtype=np.float64))
        cosines: npt.NDArray[np.float64] = np.divide(products, scale, out=np.zeros(len(weight)), where=scale != 0)
    return cosines


def _scaled(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each row times the power of two, which costs no digits, that brings its largest number to 0.5 ... 1."""
    largest = np.abs(rows).max(-1, keepdims=True, initial=0)
    scaled: npt.NDArray[Any] = np.ldexp(rows, -np.frexp(largest)[1])
    return scaled
