"""Rows of text packed into one stretch of UTF-8, as a GPU takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from embrow import _core
from texts import EDGES, rows


def pack(texts: Any, threads: int = 2, nulls_empty: bool = False) -> tuple[bytes, list[int]]:
    packed = _core.PackedRows(texts, nulls_empty=nulls_empty, threads=threads)
    text, offsets = np.empty(packed.bytes, np.uint8), np.empty(len(packed) + 1, np.int64)
    packed.write(offsets.ctypes.data, text.ctypes.data)
    return text.tobytes(), offsets.tolist()


def expected(texts: list[str]) -> tuple[bytes, list[int]]:
    encoded = [row.encode() for row in texts]
    return b"".join(encoded), [0, *np.cumsum([len(row) for row in encoded], dtype=np.int64).tolist()]


@given(row=rows)
def test_any_text(row: str) -> None:
    assert pack([row, "", row + "é"]) == expected([row, "", row + "é"])


@pytest.mark.parametrize("threads", [1, 3])
def test_text_of_every_kind(threads: int) -> None:
    texts = [*EDGES, "é", "漢", "🙂" * 500] * 40
    for kind in (texts, tuple(texts), iter(texts), [row.encode() for row in texts], np.array(texts, object)):
        assert pack(kind, threads) == expected(texts)
    trimmed = [row.rstrip("\0") for row in texts]
    for dtype in (None, np.dtypes.StringDType()):
        assert pack(np.array(trimmed, dtype), threads) == expected(trimmed)
    assert pack([]) == (b"", [0])
    assert pack([None, "a"], nulls_empty=True) == (b"a", [0, 0, 1])


def test_rows_of_tokens_are_not_packed() -> None:
    assert _core.PackedRows([["a", "b"]], nulls_empty=False, threads=1).tokenized
    assert not _core.PackedRows(["a"], nulls_empty=False, threads=1).tokenized


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", b"b\xff", b"\xfe"], r"^encode: row 1 is not valid UTF-8 at byte 1;"),
        (["é", "a", "b\ud800"], r"^encode: row 2 has a lone surrogate at character 1,"),
    ],
)
def test_the_first_fault_is_named(texts: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(texts)


def test_text_that_changes_before_it_is_packed() -> None:
    texts = np.array(["éa", "b"])
    packed = _core.PackedRows(texts, nulls_empty=False, threads=1)
    text, offsets = np.full(8, ord("."), np.uint8), np.empty(3, np.int64)
    texts[0] = "漢字"
    with pytest.raises(RuntimeError, match=r"^encode: the text changed while it was read$"):
        packed.write(offsets.ctypes.data, text.ctypes.data)
    assert text[packed.bytes :].tobytes() == b"...."
