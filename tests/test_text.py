"""Text to tokens: every code point, every variant, every kind of input."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import embrow
import reference
from embrow import _core
from texts import EDGES, SPACES, rows

TOKENIZERS = ["whitespace", "words"]


def split(texts: object, tokenizer: str, lowercase: bool = False) -> list[list[str]]:
    """Tokens of each row, through a vocabulary made of them."""
    counter = embrow.TokenCounter(tokenizer=tokenizer, lowercase=lowercase)
    counter.update(texts, num_threads=1)
    vocab = embrow.Vocab([token for token, _ in counter.most_common()], tokenizer=tokenizer, lowercase=lowercase)
    values, offsets = vocab.encode_ragged(texts, num_threads=1)
    tokens = vocab.tokens
    return [[tokens[i] for i in values[begin:end]] for begin, end in itertools.pairwise(offsets)]


def test_there_are_29_spaces() -> None:
    assert len(SPACES) == 29
    assert _core.unicode_version == unicodedata.unidata_version


CODE_POINTS = [chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i < 0xE000]


def check_code_points(pattern: str, tokenizer: str, lowercase: bool) -> None:
    """Compare the tokens of rows of 50 code points each, in every variant."""
    texts = ["".join(pattern.replace("?", c) for c in CODE_POINTS[i : i + 50]) for i in range(0, len(CODE_POINTS), 50)]
    expected = [reference.split(text, tokenizer, lowercase) for text in texts]
    flat = [token for row in expected for token in row]
    ids = {token: i for i, token in enumerate(dict.fromkeys(flat))}
    vocab = embrow.Vocab(ids, tokenizer=tokenizer, lowercase=lowercase)
    for name in _core.available_variants():
        _core.use_variant(name)
        values, offsets = vocab.encode_ragged(texts)
        assert np.diff(offsets).tolist() == [len(row) for row in expected]
        assert np.array_equal(values, [ids[token] for token in flat])
    _core.use_variant("")


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_every_code_point_splits_as_python_does(tokenizer: str) -> None:
    check_code_points("a?b?.", tokenizer, False)


def test_every_code_point_lowers_as_python_does() -> None:
    check_code_points(" A?Σ Σ?", "whitespace", True)


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_edges(variant: str, tokenizer: str, lowercase: bool) -> None:
    assert split(EDGES, tokenizer, lowercase) == [reference.split(text, tokenizer, lowercase) for text in EDGES]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@given(texts=st.lists(rows, max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_text(tokenizer: str, lowercase: bool, texts: list[str]) -> None:
    expected = [reference.split(text, tokenizer, lowercase) for text in texts]
    for name in _core.available_variants():
        _core.use_variant(name)
        assert split(texts, tokenizer, lowercase) == expected
    _core.use_variant("")


def test_a_token_of_many_megabytes(variant: str) -> None:
    long = "x" * (5 << 20)
    assert split([f"a {long} b", long], "whitespace") == [["a", long, "b"], [long]]


def kinds() -> dict[str, object]:
    """The same rows in each kind of input."""
    pa = pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    texts = input_rows()
    return {
        "list": texts,
        "tuple": tuple(texts),
        "iterator": iter(texts),
        "bytes": [text.encode() for text in texts],
        "mixed": [text.encode() if i % 2 else text for i, text in enumerate(texts)],
        "tokens": [text.split() for text in texts],
        "numpy U": np.array(texts),
        "numpy U swapped": np.array(texts).astype(np.array(texts).dtype.newbyteorder()),
        "numpy U strided": np.repeat(np.array(texts), 2)[::2],
        "numpy S": np.array([text.encode() for text in texts]),
        "numpy object": np.array(texts, dtype=object),
        "numpy StringDType": np.array(texts, dtype=np.dtypes.StringDType()),
        "arrow utf8": pa.array(texts),
        "arrow large_utf8": pa.array(texts, pa.large_string()),
        "arrow string_view": pa.array(texts, pa.string_view()),
        "arrow binary": pa.array([text.encode() for text in texts]),
        "arrow large_binary": pa.array([text.encode() for text in texts], pa.large_binary()),
        "arrow dictionary": pa.array(texts).dictionary_encode(),
        "arrow dictionary chunked": pa.chunked_array(
            [pa.array(part).dictionary_encode() for part in (texts[:3], texts[3:])]
        ),
        "arrow sliced": pa.array(["skipped", *texts, "skipped"]).slice(1, len(texts)),
        "arrow chunked": pa.chunked_array([texts[:2], [], texts[2:]], pa.string()),
        "pandas object": pd.Series(texts, dtype=object),
        "pandas str": pd.Series(texts),
        "pandas string": pd.Series(texts, dtype="string"),
        "pandas category": pd.Series(texts, dtype="category"),
        "polars": pl.Series(texts),
        "polars categorical": pl.Series(texts, dtype=pl.Categorical),
    }


def input_rows() -> list[str]:
    return ["to be", "", "é café 漢語 🙂", "not to", "a token beyond twelve bytes, and more", "ÿ", "x"]


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_input(kind: str) -> None:
    expected = [text.split() for text in input_rows()]
    vocab = embrow.Vocab.build(input_rows())
    values, offsets = vocab.encode_ragged(kinds()[kind])
    found = [vocab.decode(values[a:b]) for a, b in itertools.pairwise(offsets)]
    assert found == expected
    assert embrow.Vocab.build(kinds()[kind]).tokens == vocab.tokens


@pytest.mark.parametrize("kind", ["list", "arrow", "dictionary", "numpy"])
def test_nulls(kind: str) -> None:
    pa = pytest.importorskip("pyarrow")
    texts = ["a", None, "b"]
    given_rows = {
        "list": texts,
        "arrow": pa.array(texts),
        "dictionary": pa.array(texts).dictionary_encode(),
        "numpy": np.array(texts, dtype=np.dtypes.StringDType(na_object=None)),
    }[kind]
    vocab = embrow.Vocab(["<pad>", "<unk>", "a", "b"])
    assert vocab.encode(given_rows, nulls="empty").tolist() == [[2], [0], [3]]
    with pytest.raises(TypeError, match=re.escape('encode: row 1 is None; drop it or pass nulls="empty"')):
        vocab.encode(given_rows)


@pytest.mark.parametrize("tokenizer", ["whitespace", str.split])
@pytest.mark.parametrize("dtype", [str, bytes, object, np.dtypes.StringDType(), np.dtypes.StringDType(na_object=None)])
def test_what_is_masked_is_null(tokenizer: Any, dtype: Any) -> None:
    vocab = embrow.Vocab(["<pad>", "<unk>", "a", "b"], tokenizer=tokenizer)
    texts = np.ma.array(np.array(["a", "b", "a b"], dtype), mask=[False, True, False])
    assert vocab.encode(texts, nulls="empty").tolist() == [[2, 0], [0, 0], [2, 3]]
    assert vocab.encode(texts[::2]).tolist() == [[2, 0], [2, 3]]
    for call in (vocab.encode, embrow.TokenCounter(tokenizer=tokenizer).update):
        with pytest.raises(TypeError, match="row 1 is None; drop it or pass nulls="):
            call(texts)


@pytest.mark.parametrize("tokenizer", ["whitespace", str.split])
def test_nulls_beside_what_is_masked(tokenizer: Any) -> None:
    vocab = embrow.Vocab(["<pad>", "<unk>", "a", "b"], tokenizer=tokenizer)
    texts = np.array(["a", np.nan, "b", "b"], np.dtypes.StringDType(na_object=np.nan))
    for mask, last in ((np.ma.nomask, 3), ([False, False, False, True], 0)):
        masked = np.ma.array(texts, mask=mask)
        assert vocab.encode(masked, nulls="empty").tolist() == [[2], [0], [3], [last]]
        with pytest.raises(TypeError, match="row 1 is None; drop it or pass nulls="):
            vocab.encode(masked)


def test_masked_arrays_that_hold_no_text() -> None:
    vocab = embrow.Vocab(["<pad>", "<unk>", "a", "b"])
    for texts in (np.array([1, 2]), np.array([("a", "b")] * 2, dtype="U1,U1")):
        for mask in (False, True):
            with pytest.raises(TypeError, match="encode: expected an array of strings, found dtype"):
                vocab.encode(np.ma.array(texts, mask=mask), nulls="empty")


def test_masked_rows_of_tokens_and_tokens() -> None:
    vocab = embrow.Vocab(["<pad>", "<unk>", "a", "b"])
    rows_of_tokens = np.ma.array([["a"], ["b"], None], dtype=object, mask=[False, True, True])
    assert vocab.encode(rows_of_tokens, nulls="empty").tolist() == [[2], [0], [0]]
    assert embrow.Vocab(np.ma.array(["a", "b"]), unk_token=None).tokens == ["a", "b"]
    with pytest.raises(TypeError, match="Vocab: token 1 is None"):
        embrow.Vocab(np.ma.array(["a", "b"], mask=[False, True]))


def test_columns_that_are_all_null_or_empty() -> None:
    pa = pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    vocab = embrow.Vocab(["<pad>", "a"])
    for nulls in (
        pa.nulls(2),
        pa.chunked_array([pa.nulls(1), pa.nulls(1)]),
        pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.nulls(1)),
        pd.Series([None, None], dtype=object),
        pd.Series([None, None], dtype="category"),
        pl.Series([None, None]),
    ):
        assert vocab.encode(nulls, nulls="empty").shape == (2, 0)
        with pytest.raises(TypeError, match="row 0 is None; drop it or pass nulls="):
            vocab.encode(nulls)
    for empty in (pa.nulls(0), pd.Series([], dtype=object), pd.Series([], dtype="category")):
        assert vocab.encode(empty).shape == (0, 0)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one", TypeError, "encode: expected rows of text, found one str; pass [text]"),
        (b"one", TypeError, "encode: expected rows of text, found one bytes; pass [text]"),
        (7, TypeError, "encode: expected rows of text, found int"),
        (
            {"a": 1},
            TypeError,
            "encode: expected rows of text, found one dict; pass a list of its keys or of its values",
        ),
        (Counter("a"), TypeError, "encode: expected rows of text, found one Counter; pass a list of its keys or of"),
        (["a", 7], TypeError, "encode: row 1 is int; rows are str, bytes or lists of them, of one kind"),
        (["a", ["b"]], TypeError, "encode: row 1 is list; rows are str, bytes or lists of them, of one kind"),
        ([["a", 7]], TypeError, "encode: row 0, token 1 is int; tokens are str or bytes"),
        (["a", "b\ud800"], ValueError, "encode: row 1 has a lone surrogate at character 1"),
        ([b"a", b"b\xff"], ValueError, "encode: row 1 is not valid UTF-8 at byte 1"),
        ([["a"], ["b", b"b\xff"]], ValueError, "encode: row 1, token 1 is not valid UTF-8 at byte 1"),
        ([["a"], ["b", "c", "b\ud800"]], ValueError, "encode: row 1, token 2 has a lone surrogate at character 1"),
        ([b"\xed\xa0\x80"], ValueError, "encode: row 0 is not valid UTF-8 at byte 0"),
        ([b"\xc0\x80"], ValueError, "encode: row 0 is not valid UTF-8 at byte 0"),
        ([b"ok \xe2\x82"], ValueError, "encode: row 0 is not valid UTF-8 at byte 3"),
        (np.array([1, 2]), TypeError, "encode: expected an array of strings, found dtype int64"),
        (np.array([["a"]]), ValueError, "encode: expected an array of one dimension, found 2"),
    ],
)
def test_errors_name_the_row(texts: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        embrow.Vocab(["<unk>"]).encode(texts)


@pytest.mark.parametrize("index", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_dictionaries_of_every_index_type(index: str) -> None:
    pa = pytest.importorskip("pyarrow")
    texts = [f"word{i % 120}" for i in range(500)]
    vocab = embrow.Vocab.build(texts)
    rows = pa.array(texts).dictionary_encode().cast(pa.dictionary(getattr(pa, index)(), pa.string()))
    assert rows.type.index_type == getattr(pa, index)()
    assert np.array_equal(vocab.encode(rows), vocab.encode(texts))
    assert np.array_equal(vocab.encode(rows[100:400]), vocab.encode(texts[100:400]))


def test_a_dictionary_is_encoded_as_its_rows_are() -> None:
    pa = pytest.importorskip("pyarrow")
    texts = [f"a b{i % 7} unseen" for i in range(20000)]
    vocab = embrow.Vocab.build(texts[:3])
    for length in (None, 2):
        expected = vocab.encode(texts, max_length=length)
        assert np.array_equal(vocab.encode(pa.array(texts).dictionary_encode(), max_length=length), expected)
    unused = pa.DictionaryArray.from_arrays(pa.array([1, 1]), pa.array([b"\xff", b"a b0"]))
    assert vocab.encode(unused).tolist() == vocab.encode(["a b0", "a b0"]).tolist()
    bad = pa.array([b"a", b"b", b"\xff"]).dictionary_encode().take(pa.array([0, 1, 2, 2]))
    with pytest.raises(ValueError, match="row 2 is not valid UTF-8"):
        vocab.encode(bad)


@pytest.mark.parametrize("tokenizer", ["whitespace", str.split])
def test_mappings_and_tables_are_no_rows(tokenizer: Any) -> None:
    pd = pytest.importorskip("pandas")
    for rows_of_keys, message in (
        (Counter(["a b"]), "expected rows of text, found one Counter; pass a list of its keys or of its values"),
        (MappingProxyType({"a": 1}), "expected rows of text, found one mappingproxy"),
        (pd.DataFrame({"text": ["a"]}), "holds no text" if tokenizer == "whitespace" else "found one DataFrame; pass"),
    ):
        with pytest.raises(TypeError, match=message):
            embrow.Vocab.build(rows_of_keys, tokenizer=tokenizer)


def test_pandas_without_pyarrow() -> None:
    code = """
import sys
sys.modules["pyarrow"] = None
import pandas, embrow
for dtype in (object, "str"):
    counter = embrow.TokenCounter()
    counter.update(pandas.Series(["a b", None], dtype=dtype), nulls="empty")
    assert counter.most_common() == [("a", 1), ("b", 1)]
try:
    embrow.Vocab.build(pandas.DataFrame({"text": ["a b"]}))
except TypeError as error:
    assert "found one DataFrame; pass one of its columns" in str(error)
else:
    raise AssertionError
"""
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_callable_takes_arrow_arrays_and_lowers_tokens() -> None:
    pa = pytest.importorskip("pyarrow")
    vocab = embrow.Vocab.build(pa.array(["A b"]), tokenizer=str.split, lowercase=True)
    assert vocab.tokens[2:] == ["a", "b"]
    assert vocab.encode([["B", "A"]]).tolist() == [[3, 2]]


def test_a_callable_takes_what_only_exports_an_arrow_array() -> None:
    pa = pytest.importorskip("pyarrow")

    class Exported:
        def __arrow_c_array__(self, requested_schema: object = None) -> object:
            return pa.array(["a,b", None]).__arrow_c_array__(requested_schema)

    vocab = embrow.Vocab(["<pad>", "a", "b"], tokenizer=lambda row: row.split(","))
    assert vocab.encode(Exported(), nulls="empty").tolist() == [[1, 2], [0, 0]]


@pytest.mark.parametrize("returned", [None, "abc", b"abc", 7, {"ids": [1]}])
def test_a_callable_that_returns_no_tokens(returned: Any) -> None:
    kind = type(returned).__name__
    message = rf"row 1: the tokenizer returned {kind}; it returns a list of str$"

    def tokenizer(row: str) -> Any:
        return returned if row == "b" else [row]

    with pytest.raises(TypeError, match="^encode: " + message):
        embrow.Vocab(["a", "<unk>"], tokenizer=tokenizer).encode(["a", "b"])
    with pytest.raises(TypeError, match=r"^Vocab\.build: " + message):
        embrow.Vocab.build(["a", "b"], tokenizer=tokenizer)


@pytest.mark.parametrize("tokenizer", ["whitespace", str.split])
def test_nulls_of_every_library(tokenizer: Any) -> None:
    pd = pytest.importorskip("pandas")
    vocab = embrow.Vocab(["<pad>", "<unk>", "a"], tokenizer=tokenizer)
    for nulls in (
        *(pd.Series(["a", null], dtype=object) for null in (None, np.nan, pd.NA)),
        *(pd.Series(["a", None], dtype=dtype) for dtype in ("str", "string", "category")),
        *(pd.Index(["a", null]) for null in (None, np.nan, pd.NA)),
        *(np.array(["a", null], np.dtypes.StringDType(na_object=null)) for null in (None, np.nan, pd.NA, "NA", "")),
    ):
        assert vocab.encode(nulls, nulls="empty").tolist() == [[2], [0]]
        with pytest.raises(TypeError, match="row 1 is None; drop it or pass nulls="):
            vocab.encode(nulls)


@pytest.mark.parametrize("tokenizer", ["whitespace", str.split])
def test_rows_that_pandas_cannot_export_are_named(tokenizer: Any) -> None:
    pd = pytest.importorskip("pandas")
    vocab = embrow.Vocab(["<pad>", "<unk>", "a"], tokenizer=tokenizer)
    for row, error, message in (
        (3, TypeError, "row 2 is int"),
        ("\ud800", ValueError, r"row 2(, token 0)? has a lone surrogate at character 0"),
    ):
        for null in (None, np.nan, pd.NA):
            with pytest.raises(error, match=message):
                vocab.encode(pd.Series(["a", null, row], dtype=object), nulls="empty")
    # Before 3.0 a Series is no Arrow array.
    is_arrow = tokenizer == "whitespace" and hasattr(pd.Series, "__arrow_c_stream__")
    with pytest.raises(TypeError, match="holds no text" if is_arrow else "row 0 is int"):
        vocab.encode(pd.Series([1, 2]))


def test_what_cannot_be_exported_nor_iterated_over_says_why() -> None:
    class Closed:
        def __arrow_c_array__(self, requested_schema: object = None) -> object:
            raise ValueError("it is closed")

    with pytest.raises(ValueError, match=r"^it is closed$"):
        embrow.Vocab(["a"]).encode(Closed())


def test_arrow_that_holds_no_text() -> None:
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match=re.escape('Arrow type with format "l" holds no text')):
        embrow.Vocab(["<unk>"]).encode(pa.array([1, 2]))
    for lists in (pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.string(), 1)):
        with pytest.raises(TypeError, match=r"holds no text; pass a list of lists of tokens \(\.tolist\(\)\)"):
            embrow.Vocab(["<unk>"]).encode(pa.array([["a"]], lists))
    with pytest.raises(TypeError, match=r'format "\+s" holds no text; pass one of its columns'):
        embrow.Vocab(["<unk>"]).encode(pa.table({"text": ["a"]}))


def test_an_arrow_stream_that_fails() -> None:
    pa = pytest.importorskip("pyarrow")

    def batches() -> Iterator[object]:
        raise OSError("the disk is gone")
        yield

    stream = pa.RecordBatchReader.from_batches(pa.schema([("text", pa.string())]), batches())
    with pytest.raises(ValueError, match=r"^encode: the Arrow stream fails: .*the disk is gone"):
        embrow.Vocab(["a"]).encode(stream)


def test_arrow_that_has_been_read_already() -> None:
    pa = pytest.importorskip("pyarrow")
    vocab = embrow.Vocab(["a"])
    capsule = pa.chunked_array([["a"]]).__arrow_c_stream__()
    stream = SimpleNamespace(__arrow_c_stream__=lambda: capsule)
    assert vocab.encode(stream).tolist() == [[0]]
    with pytest.raises(ValueError, match="encode: the Arrow stream has been read already; export it anew"):
        vocab.encode(stream)
    pair = pa.array(["a"]).__arrow_c_array__()
    array = SimpleNamespace(__arrow_c_array__=lambda: pair)
    assert vocab.encode(array).tolist() == [[0]]
    with pytest.raises(ValueError, match="encode: the Arrow schema has been read already; export it anew"):
        vocab.encode(array)
    array.__arrow_c_array__ = lambda: (pa.string().__arrow_c_schema__(), pair[1])
    with pytest.raises(ValueError, match="encode: the Arrow array has been read already; export it anew"):
        vocab.encode(array)


@given(data=st.binary(max_size=40))
def test_invalid_utf8_is_found_where_python_finds_it(data: bytes) -> None:
    vocab = embrow.Vocab(["<unk>"])
    try:
        data.decode()
    except UnicodeDecodeError as error:
        with pytest.raises(ValueError, match=f"at byte {error.start};"):
            vocab.encode([data])
    else:
        vocab.encode([data])


def test_an_invalid_byte_is_found_wherever_it_is() -> None:
    vocab = embrow.Vocab(["<unk>"])
    for size in range(1, 90):
        for place in {0, size // 2, size - 1, *range(max(size - 40, 0), size)}:
            with pytest.raises(ValueError, match=f"at byte {place};"):
                vocab.encode([b"a" * place + b"\x80" + b"b" * (size - place - 1)])


@pytest.mark.parametrize("tokenizer", ["whitespace", "words"])
def test_bytes_are_encoded_as_str_wherever_they_leave_ascii(tokenizer: str) -> None:
    rows = ["a b", "a\u3000b \u00e9", "b a", "x" * 70 + "\u2003a", "a b " * 600, "a b " * 600 + "\u00e9", "b"]
    vocab = embrow.Vocab.build(rows, tokenizer=tokenizer)
    expected = vocab.encode(rows)
    for turn in range(len(rows)):
        turned = [row.encode() for row in rows[turn:] + rows[:turn]]
        assert np.array_equal(vocab.encode(turned), np.roll(expected, -turn, axis=0))


@pytest.mark.parametrize("tokenizer", ["whitespace", "words"])
def test_a_row_that_is_not_utf8_has_no_unknown_token(tokenizer: str) -> None:
    vocab = embrow.Vocab(["a"], specials=(), tokenizer=tokenizer)
    for size in (1, 1023, 1024, 5000):  # around a segment of 2,048 bytes
        with pytest.raises(ValueError, match=f"row 1 is not valid UTF-8 at byte {2 * size};"):
            vocab.encode([b"a", b"b " * size + b"\xff"])


def test_text_is_not_cached_inside_str_objects() -> None:
    text = "é" * 1000
    before = sys.getsizeof(text)
    embrow.Vocab.build([text]).encode([text])
    assert sys.getsizeof(text) == before


def test_the_first_row_at_fault_is_named_whatever_the_order_of_a_dictionary() -> None:
    vocab = embrow.Vocab(["a", "b"], specials=())
    pa = pytest.importorskip("pyarrow")
    rows = pa.DictionaryArray.from_arrays(pa.array([2, 1, 0], pa.int8()), pa.array(["unknown 0", "unknown 1", "a"]))
    with pytest.raises(KeyError, match=r"row 1, token 0 \('unknown'\)"):
        vocab.encode_ragged(rows)
    swapped = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int8()), pa.array(["z", "y"]))
    with pytest.raises(KeyError, match=r"row 0, token 0 \('y'\)"):
        vocab.encode_ragged(swapped)
