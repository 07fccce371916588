"""
embrow's compiled kernels; private, use the package's Python names
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing
import typing_extensions

__all__: list[str] = [
    "DictionaryReader",
    "Element",
    "Ngrams",
    "PackedRows",
    "Pooling",
    "RowReader",
    "TableState",
    "TokenCounts",
    "UpdateRule",
    "UpdatedTable",
    "VocabTable",
    "active_variant",
    "alone_bytes",
    "are_bag_offsets",
    "available_variants",
    "brief_bytes",
    "check_bag_ids",
    "check_ids",
    "checksum",
    "encode_padded",
    "encode_ragged",
    "gather_rows",
    "has_helper_awake",
    "most_threads",
    "pad_ragged",
    "pool_bags",
    "prefer_huge_pages",
    "ragged_from_rows",
    "scatter_bags",
    "scatter_rows",
    "unicode_version",
    "use_variant",
    "vectors_add_rows",
    "vectors_binary_rows",
    "vectors_fill_oov",
    "vectors_find_tokens",
    "vectors_read_rows",
    "vectors_text_rows",
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
    @property
    def longest(self) -> int:
        """
        Bytes of the longest token.
        """

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
        nulls_empty: bool | None,
        threads: typing.SupportsInt | typing.SupportsIndex,
        doing: str,
        first_row: typing.SupportsInt | typing.SupportsIndex,
    ) -> None:
        """
        Errors begin with `doing` and count rows from first_row.
        """

class PackedRows:
    """
    Rows of text, to be packed: encode/pack.h.
    """
    def __init__(
        self, texts: typing.Any, nulls_empty: bool, threads: typing.SupportsInt | typing.SupportsIndex
    ) -> None: ...
    def __len__(self) -> int: ...
    def raise_unknown(
        self,
        row: typing.SupportsInt | typing.SupportsIndex,
        token: typing.SupportsInt | typing.SupportsIndex,
        text: str,
    ) -> None: ...
    def write(
        self, offsets: typing.SupportsInt | typing.SupportsIndex, text: typing.SupportsInt | typing.SupportsIndex
    ) -> None:
        """
        Packs the text, and writes where each row begins and the last ends, once.
        """
    @property
    def bytes(self) -> int: ...
    @property
    def tokenized(self) -> bool:
        """
        Whether rows are lists of tokens, not packed.
        """

class Element:
    """
    Members:

      float32

      float64

      bfloat16

      float16
    """

    __members__: typing.ClassVar[dict[str, Element]]
    bfloat16: typing.ClassVar[Element]
    float16: typing.ClassVar[Element]
    float32: typing.ClassVar[Element]
    float64: typing.ClassVar[Element]
    @typing.overload
    def __eq__(self, other: Element) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: Element) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class Pooling:
    """
    Members:

      sum

      mean

      max
    """

    __members__: typing.ClassVar[dict[str, Pooling]]
    max: typing.ClassVar[Pooling]
    mean: typing.ClassVar[Pooling]
    sum: typing.ClassVar[Pooling]
    @typing.overload
    def __eq__(self, other: Pooling) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: Pooling) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class TableState:
    """
    What a table holds before gradients are summed into it: anything, zeros, or no page yet.

    Members:

      anything

      zeros

      untouched
    """

    __members__: typing.ClassVar[dict[str, TableState]]
    anything: typing.ClassVar[TableState]
    untouched: typing.ClassVar[TableState]
    zeros: typing.ClassVar[TableState]
    @typing.overload
    def __eq__(self, other: TableState) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: TableState) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class UpdateRule:
    """
    Members:

      sgd

      momentum

      adagrad

      rowwise_adagrad

      adam

      amsgrad
    """

    __members__: typing.ClassVar[dict[str, UpdateRule]]
    adagrad: typing.ClassVar[UpdateRule]
    adam: typing.ClassVar[UpdateRule]
    amsgrad: typing.ClassVar[UpdateRule]
    momentum: typing.ClassVar[UpdateRule]
    rowwise_adagrad: typing.ClassVar[UpdateRule]
    sgd: typing.ClassVar[UpdateRule]
    @typing.overload
    def __eq__(self, other: UpdateRule) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: UpdateRule) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class UpdatedTable:
    def __init__(
        self,
        rule: UpdateRule,
        type: Element,
        rows: typing.SupportsInt | typing.SupportsIndex,
        dim: typing.SupportsInt | typing.SupportsIndex,
        step: typing.SupportsInt | typing.SupportsIndex,
        row_steps: typing.SupportsInt | typing.SupportsIndex,
        trained: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def catch_up(
        self,
        ids: typing.SupportsInt | typing.SupportsIndex,
        count: typing.SupportsInt | typing.SupportsIndex,
        ids_are_int64: bool,
        threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> int: ...
    def catch_up_rows(self, threads: typing.SupportsInt | typing.SupportsIndex) -> int: ...
    def place(
        self,
        table: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
        first: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
        second: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
        greatest: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    ) -> None: ...
    def round_stochastically(
        self, seed: typing.SupportsInt | typing.SupportsIndex, step: typing.SupportsInt | typing.SupportsIndex
    ) -> None: ...
    def step(
        self,
        ids: typing.SupportsInt | typing.SupportsIndex,
        count: typing.SupportsInt | typing.SupportsIndex,
        grads: typing.SupportsInt | typing.SupportsIndex,
        grad_stride_bytes: typing.SupportsInt | typing.SupportsIndex,
        scale: typing.SupportsFloat | typing.SupportsIndex,
        size: typing.SupportsFloat | typing.SupportsIndex,
        direct: typing.SupportsFloat | typing.SupportsIndex,
        eps: typing.SupportsFloat | typing.SupportsIndex,
        beta1: typing.SupportsFloat | typing.SupportsIndex,
        beta2: typing.SupportsFloat | typing.SupportsIndex,
        gain: typing.SupportsFloat | typing.SupportsIndex,
        decay: typing.SupportsFloat | typing.SupportsIndex,
        shrink: typing.SupportsFloat | typing.SupportsIndex,
        threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    @property
    def remembered(self) -> int: ...

class RowReader:
    def __init__(
        self,
        format: str,
        dim: typing.SupportsInt | typing.SupportsIndex,
        declared: typing.SupportsInt | typing.SupportsIndex | None,
        limit: typing.SupportsInt | typing.SupportsIndex,
        offset: typing.SupportsInt | typing.SupportsIndex,
        dtype: numpy.dtype[typing.Any],
        unicode_errors: str,
        wanted: list[str] | None,
    ) -> None: ...
    def feed(
        self, window: typing_extensions.Buffer, last: bool, threads: typing.SupportsInt | typing.SupportsIndex
    ) -> int: ...
    def new_tokens(self) -> list[str]: ...
    def reserve(self, rows: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def weight(self) -> numpy.ndarray[typing.Any, numpy.dtype[typing.Any]]: ...
    @property
    def bad_utf8(self) -> int: ...
    @property
    def done(self) -> bool: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def kept(self) -> int: ...
    @property
    def kept_ids(self) -> list[int]: ...
    @property
    def offset(self) -> int: ...
    @property
    def rows_read(self) -> int: ...

class Ngrams:
    @staticmethod
    def fasttext(
        min_chars: typing.SupportsInt | typing.SupportsIndex,
        max_chars: typing.SupportsInt | typing.SupportsIndex,
        buckets: typing.SupportsInt | typing.SupportsIndex,
        end_has_ngrams: bool,
        kept: typing.Annotated[numpy.typing.ArrayLike, numpy.int32] | None,
    ) -> Ngrams: ...
    @staticmethod
    def finalfusion(
        power: bool,
        min_chars: typing.SupportsInt | typing.SupportsIndex,
        max_chars: typing.SupportsInt | typing.SupportsIndex,
        size: typing.SupportsInt | typing.SupportsIndex,
    ) -> Ngrams: ...
    @staticmethod
    def listed(
        min_chars: typing.SupportsInt | typing.SupportsIndex,
        max_chars: typing.SupportsInt | typing.SupportsIndex,
        tokens: list[str],
        rows: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    ) -> Ngrams: ...
    def __getstate__(self) -> tuple[typing.Any, ...]: ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    def rows(
        self, tokens: list[typing.Any], threads: typing.SupportsInt | typing.SupportsIndex
    ) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]: ...
    @property
    def bound(self) -> int: ...

class DictionaryReader:
    def __init__(
        self,
        entries: str,
        words: typing.SupportsInt | typing.SupportsIndex,
        declared: typing.SupportsInt | typing.SupportsIndex,
        limit: typing.SupportsInt | typing.SupportsIndex,
        offset: typing.SupportsInt | typing.SupportsIndex,
        unicode_errors: str,
        wanted: list[str] | None,
    ) -> None: ...
    def feed(self, window: typing_extensions.Buffer, last: bool) -> int: ...
    def mended(self) -> dict[int, bytes]: ...
    def rows(self) -> numpy.typing.NDArray[numpy.int64]: ...
    def tokens(self) -> list[str]: ...
    @property
    def bad_utf8(self) -> int: ...
    @property
    def done(self) -> bool: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def entry(self) -> int: ...
    @property
    def kept_ids(self) -> list[int]: ...

def active_variant() -> str: ...
def are_bag_offsets(
    offsets: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    offsets_are_int64: bool,
    ids: typing.SupportsInt | typing.SupportsIndex,
    with_end: bool,
) -> bool: ...
def available_variants() -> list[str]: ...
def check_bag_ids(
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    rows: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def check_ids(
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    rows: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def checksum(
    bytes: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8], threads: typing.SupportsInt | typing.SupportsIndex
) -> int: ...
def encode_padded(
    table: VocabTable,
    texts: typing.Any,
    tokenizer: str,
    lowercase: bool,
    nulls_empty: bool | None,
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
    lengths: bool,
    threads: typing.SupportsInt | typing.SupportsIndex,
    doing: str = "encode",
    first_row: typing.SupportsInt | typing.SupportsIndex = 0,
) -> tuple[numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], numpy.typing.NDArray[numpy.int64] | None]:
    """
    Ids, shape (rows, width), and lengths if asked for. Ids and max_length are -1 for none.
    Errors begin with `doing` and count rows from first_row.
    """

def encode_ragged(
    table: VocabTable,
    texts: typing.Any,
    tokenizer: str,
    lowercase: bool,
    nulls_empty: bool | None,
    unk_id: typing.SupportsInt | typing.SupportsIndex,
    bos_id: typing.SupportsInt | typing.SupportsIndex,
    eos_id: typing.SupportsInt | typing.SupportsIndex,
    max_length: typing.SupportsInt | typing.SupportsIndex,
    truncate_left: bool,
    wide: bool,
    threads: typing.SupportsInt | typing.SupportsIndex,
    doing: str = "encode",
    first_row: typing.SupportsInt | typing.SupportsIndex = 0,
) -> tuple[numpy.ndarray[typing.Any, numpy.dtype[typing.Any]], numpy.typing.NDArray[numpy.int64]]:
    """
    Values and offsets. Ids and max_length are -1 for none.
    Errors begin with `doing` and count rows from first_row.
    """

def gather_rows(
    table: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    row_bytes: typing.SupportsInt | typing.SupportsIndex,
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    out: typing.SupportsInt | typing.SupportsIndex,
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def has_helper_awake() -> bool:
    """
    Whether a thread of embrow's other than the callers' works or spins, and so is soon at hand.
    """

def most_threads() -> int:
    """
    What any number of threads asked for is bounded by.
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

def pool_bags(
    mode: Pooling,
    type: Element,
    table: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    offsets_are_int64: bool,
    bags: typing.SupportsInt | typing.SupportsIndex,
    width: typing.SupportsInt | typing.SupportsIndex,
    weights: typing.SupportsInt | typing.SupportsIndex,
    padding_idx: typing.SupportsInt | typing.SupportsIndex,
    out: typing.SupportsInt | typing.SupportsIndex,
    winners: typing.SupportsInt | typing.SupportsIndex,
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def prefer_huge_pages(
    begin: typing.SupportsInt | typing.SupportsIndex, bytes: typing.SupportsInt | typing.SupportsIndex
) -> None:
    """
    Advice for memory that is about to be written.
    """

def ragged_from_rows(
    sequences: typing.Any,
) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]:
    """
    Values and offsets of ragged rows of int.
    """

def scatter_bags(
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    offsets: typing.SupportsInt | typing.SupportsIndex,
    offsets_are_int64: bool,
    bags: typing.SupportsInt | typing.SupportsIndex,
    width: typing.SupportsInt | typing.SupportsIndex,
    mode: Pooling,
    weights: typing.SupportsInt | typing.SupportsIndex,
    grads: typing.SupportsInt | typing.SupportsIndex,
    grad_stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    out: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    type: Element,
    padding_idx: typing.SupportsInt | typing.SupportsIndex,
    mean: bool,
    state: TableState,
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def scatter_rows(
    ids: typing.SupportsInt | typing.SupportsIndex,
    count: typing.SupportsInt | typing.SupportsIndex,
    ids_are_int64: bool,
    grads: typing.SupportsInt | typing.SupportsIndex,
    grad_stride_bytes: typing.SupportsInt | typing.SupportsIndex,
    out: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.SupportsInt | typing.SupportsIndex,
    dim: typing.SupportsInt | typing.SupportsIndex,
    type: Element,
    padding_idx: typing.SupportsInt | typing.SupportsIndex,
    mean: bool,
    state: TableState,
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def use_variant(name: str) -> None: ...
def vectors_add_rows(
    sums: numpy.typing.NDArray[numpy.float32],
    table: numpy.typing.NDArray[numpy.float32],
    offsets: numpy.typing.NDArray[numpy.int64],
    ids: numpy.typing.NDArray[numpy.int64],
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def vectors_binary_rows(tokens: list[str], weight: numpy.typing.NDArray[numpy.float32]) -> bytes: ...
def vectors_fill_oov(
    weight: numpy.typing.NDArray[numpy.float32],
    rows: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    tokens: list[str],
    uniform: bool,
    seed: typing.SupportsInt | typing.SupportsIndex,
    mean: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    spread: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
def vectors_find_tokens(
    descriptor: typing.SupportsInt | typing.SupportsIndex,
    seed: numpy.typing.NDArray[numpy.uint64],
    index: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    keys: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    arena: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
    tokens: list[str],
) -> numpy.typing.NDArray[numpy.int64]:
    """
    The id of each, or -1.
    """

def vectors_read_rows(
    descriptor: typing.SupportsInt | typing.SupportsIndex,
    begin: typing.SupportsInt | typing.SupportsIndex,
    rows: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    out: numpy.ndarray[typing.Any, numpy.dtype[typing.Any]],
    threads: typing.SupportsInt | typing.SupportsIndex,
) -> None: ...
@typing.overload
def vectors_text_rows(tokens: list[str], weight: numpy.typing.NDArray[numpy.float32]) -> bytes: ...
@typing.overload
def vectors_text_rows(tokens: list[str], weight: numpy.typing.NDArray[numpy.float64]) -> bytes: ...

__version__: str = "0.1.0"
alone_bytes: int = 524288
brief_bytes: int = 1048576
unicode_version: str = "14.0.0"
