"""
embrow's compiled kernels; private, use the package's Python names
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = [
    "TokenCounts",
    "VocabTable",
    "active_variant",
    "available_variants",
    "checksum",
    "encode_padded",
    "encode_ragged",
    "pad_ragged",
    "ragged_from_rows",
    "unicode_version",
    "use_variant",
]

class VocabTable:
    """
    An immutable table of tokens: vocab/table.h.
    """
    @staticmethod
    def from_parts(
        seed: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8],
        index: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8],
        keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8],
        arena: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8],
    ) -> VocabTable: ...
    def __init__(self, tokens: typing.Any) -> None: ...
    def __len__(self) -> int: ...
    def decode(
        self,
        ids: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
        skipped: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    ) -> list[str]: ...
    def find(self, token: str) -> int:
        """
        The id, or -1.
        """
    def parts(self) -> dict[str, numpy.typing.NDArray[numpy.uint8]]: ...
    def tokens(self) -> list[str]: ...

class TokenCounts:
    """
    Counts of tokens, first seen first: vocab/counter.h.
    """
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(
        self, tokens: list[str], times: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]
    ) -> None: ...
    def items(
        self, ranked: bool, by_token: bool, limit: typing.SupportsInt | typing.SupportsIndex
    ) -> list[tuple[str, int]]: ...
    def merge(self, other: TokenCounts) -> None: ...
    def table(
        self,
        specials: list[str],
        specials_first: bool,
        min_freq: typing.SupportsInt | typing.SupportsIndex,
        max_size: typing.SupportsInt | typing.SupportsIndex,
        by_token: bool,
    ) -> tuple[VocabTable, numpy.typing.NDArray[numpy.int64]]:
        """
        A VocabTable and the counts of its tokens.
        """
    def update(
        self,
        texts: typing.Any,
        tokenizer: str,
        lowercase: bool,
        nulls_empty: bool,
        threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

def active_variant() -> str: ...
def available_variants() -> list[str]: ...
def checksum(
    bytes: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8], threads: typing.SupportsInt | typing.SupportsIndex
) -> int: ...
def encode_padded(
    table: VocabTable,
    texts: typing.Any,
    tokenizer: str,
    lowercase: bool,
    nulls_empty: bool,
    unk_id: typing.SupportsInt | typing.SupportsIndex,
    bos_id: typing.SupportsInt | typing.SupportsIndex,
    eos_id: typing.SupportsInt | typing.SupportsIndex,
    max_length: typing.SupportsInt | typing.SupportsIndex,
    truncate_left: bool,
    pad_left: bool,
    pad_id: typing.SupportsInt | typing.SupportsIndex,
    multiple: typing.SupportsInt | typing.SupportsIndex,
    wide: bool,
    out: typing.Any,
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> tuple[numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], numpy.typing.NDArray[numpy.int64]]:
    """
    Ids, shape (rows, width), and lengths. Ids and max_length are -1 for none.
    """

def encode_ragged(
    table: VocabTable,
    texts: typing.Any,
    tokenizer: str,
    lowercase: bool,
    nulls_empty: bool,
    unk_id: typing.SupportsInt | typing.SupportsIndex,
    bos_id: typing.SupportsInt | typing.SupportsIndex,
    eos_id: typing.SupportsInt | typing.SupportsIndex,
    max_length: typing.SupportsInt | typing.SupportsIndex,
    truncate_left: bool,
    wide: bool,
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> tuple[numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], numpy.typing.NDArray[numpy.int64]]:
    """
    Values and offsets. Ids and max_length are -1 for none.
    """

def pad_ragged(
    values: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    max_length: typing.SupportsInt | typing.SupportsIndex,
    pad_left: bool,
    truncate_left: bool,
    value: typing.SupportsInt | typing.SupportsIndex,
    multiple: typing.SupportsInt | typing.SupportsIndex,
    wide: bool,
    out: typing.Any,
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> tuple[numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], numpy.typing.NDArray[numpy.int64]]:
    """
    Ids, shape (rows, width), and the lengths kept. max_length is -1 for none.
    """

def ragged_from_rows(
    sequences: typing.Any,
) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]:
    """
    Values and offsets of ragged rows of int.
    """

def use_variant(name: str) -> None: ...

__version__: str = "0.1.0"
unicode_version: str = "14.0.0"
