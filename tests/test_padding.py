"""Ragged ids to a batch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import embrow
import reference
from embrow import _core

SIDES = st.sampled_from(["left", "right"])


def ragged(sequences: list[list[int]], dtype: str = "int64") -> tuple[Any, Any]:
    lengths = [len(row) for row in sequences]
    values = np.array([i for row in sequences for i in row], dtype=dtype)
    return values, np.cumsum([0, *lengths])


@given(
    sequences=st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9), max_size=9),
    max_length=st.none() | st.integers(0, 6),
    padding_side=SIDES,
    truncation_side=SIDES,
    value=st.integers(-3, 3),
    multiple=st.none() | st.integers(1, 4),
    dtype=st.sampled_from(["int32", "int64"]),
    threads=st.integers(1, 4),
)
@settings(max_examples=200, deadline=None)
def test_every_kind_equals_the_reference(
    sequences: list[list[int]],
    max_length: int | None,
    padding_side: Any,
    truncation_side: Any,
    value: int,
    multiple: int | None,
    dtype: str,
    threads: int,
) -> None:
    expected = reference.pad(
        sequences,
        max_length=max_length,
        padding_side=padding_side,
        truncation_side=truncation_side,
        value=value,
        multiple=multiple or 1,
    )
    kinds = [
        sequences,
        tuple(tuple(row) for row in sequences) if len(sequences) != 2 else sequences,
        iter(sequences),
        [np.array(row, dtype=np.int32) for row in sequences],
        ragged(sequences),
        embrow.Ragged(*ragged(sequences, "int32")),
    ]
    for kind in kinds:
        found, lengths = embrow.pad_sequences(
            kind,
            max_length,
            padding_side=padding_side,
            truncation_side=truncation_side,
            value=value,
            dtype=dtype,
            pad_to_multiple_of=multiple,
            return_lengths=True,
            num_threads=threads,
        )
        assert found.dtype == dtype
        assert found.tolist() == expected
        room = 99 if max_length is None else max_length
        assert lengths.tolist() == [min(len(row), room) for row in sequences]


def test_a_batch_of_many_tasks() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 99, n).tolist() for n in rng.integers(0, 40, 9000)]
    expected = embrow.pad_sequences(sequences, num_threads=1)
    assert np.array_equal(embrow.pad_sequences(ragged(sequences), num_threads=4), expected)
    assert expected[17].tolist() == sequences[17] + [0] * (39 - len(sequences[17]))


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    rows = [torch.tensor([1, 2]), torch.tensor([], dtype=torch.int64), torch.tensor([3], dtype=torch.int32)]
    found = embrow.pad_sequences(rows, return_tensors="pt")
    assert found.tolist() == [[1, 2], [0, 0], [3, 0]]
    out = torch.empty(3, 2, dtype=torch.int64)
    assert embrow.pad_sequences(rows, out=out) is out
    assert out.tolist() == found.tolist()
    values, offsets = torch.tensor([1, 2, 3]), torch.tensor([0, 2, 2, 3])
    assert embrow.pad_sequences((values, offsets)).tolist() == found.tolist()
    with pytest.raises(TypeError, match="tensors have one dimension and an integer dtype"):
        embrow.pad_sequences([torch.tensor([1.5])])
    with pytest.raises(TypeError, match="tensors have one dimension and an integer dtype"):
        embrow.pad_sequences([torch.tensor([1]), torch.tensor([[1]])])
    for first in ([], [torch.tensor([1])]):
        with pytest.raises(TypeError, match=f"row {len(first)} is a tensor of dtype torch.bool; rows are sequences of"):
            embrow.pad_sequences([*first, torch.tensor([True])])
    unsigned = [torch.tensor(row, dtype=torch.uint64) for row in ([1], [], [2, 2**63 + 5])]
    with pytest.raises(ValueError, match="row 2 has a value beyond int64 at position 1, 9223372036854775813"):
        embrow.pad_sequences(unsigned)
    assert embrow.pad_sequences([*unsigned[:2], unsigned[2][:1]]).tolist() == [[1], [0], [2]]
    with pytest.raises(TypeError, match=r"rows are tensors of torch.int64 and torch.uint64; give rows of one dtype"):
        embrow.pad_sequences([torch.tensor([1]), unsigned[0], unsigned[1]])
    with pytest.raises(TypeError, match="rows are tensors and list; give rows of one kind"):
        embrow.pad_sequences([torch.tensor([1]), [1]])


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        ([[1], [2, "x"]], TypeError, "pad_sequences: row 1 has str at position 1; rows are sequences of int"),
        ([[1], 5], TypeError, "pad_sequences: row 1 is int"),
        ([[1.0]], TypeError, "pad_sequences: row 0 has float at position 0"),
        ([np.array([1.5])], TypeError, "pad_sequences: row 0 is ndarray of dtype float64 with 1 dimensions"),
        ([np.array([[1]])], TypeError, "pad_sequences: row 0 is ndarray of dtype int64 with 2 dimensions"),
        ([[2**63]], ValueError, "pad_sequences: row 0 has a value beyond int64 at position 0"),
        ("12", TypeError, "pad_sequences: expected rows of ids, found one str"),
        ((np.arange(3), np.array([0, 2, 1])), ValueError, "offsets decrease from 2 to 1 at position 2"),
        ((np.arange(3), np.array([0, 2])), ValueError, "offsets run from 0 to 2; there are 3 values"),
        ((np.arange(3), np.array([1, 3])), ValueError, "offsets run from 1 to 3; there are 3 values"),
        ((np.arange(3), np.array([-(2**63), 2**63 - 1])), ValueError, f"offsets run from {-(2**63)} to {2**63 - 1}"),
        ((np.arange(3), np.array([], dtype=int)), ValueError, "there is one offset or more"),
        ((np.arange(3.0), np.array([0, 3])), TypeError, "values are float64; they are integers"),
    ],
)
def test_errors(sequences: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        embrow.pad_sequences(sequences)


@pytest.mark.parametrize("value", [2**32, 2**31, -(2**31) - 1])
def test_values_that_do_not_fit_int32(value: int) -> None:
    rows = [[1, 2, 3], [], [-(2**31), 2**31 - 1, value]]
    for sequences in (rows, [np.array(row, np.int64) for row in rows], ragged(rows)):
        with pytest.raises(ValueError, match=f"^pad_sequences: row 2 has a value beyond int32 at position 2: {value}$"):
            embrow.pad_sequences(sequences, 1, dtype="int32")
    assert embrow.pad_sequences([row[:2] for row in rows], dtype="int32").tolist()[2] == [-(2**31), 2**31 - 1]
    with pytest.raises(ValueError, match="value 4294967296 does not fit int32"):
        embrow.pad_sequences([[1]], value=2**32, dtype="int32")


def test_out_of_a_wrong_shape() -> None:
    with pytest.raises(ValueError, match=re.escape("pad_sequences: out must be a writable C-ordered array of int64")):
        embrow.pad_sequences([[1]], out=np.empty((2, 2), np.int64))


def test_a_width_beyond_any_array() -> None:
    with pytest.raises(ValueError, match="pad_to_multiple_of is 18446744073709551615; it is 1 or more, at most"):
        embrow.pad_sequences([[1] * 100], pad_to_multiple_of=2**64 - 1)
    with pytest.raises(ValueError, match="is beyond what an array can have"):
        _core.pad_ragged(np.arange(3), np.array([0, 3]), -1, False, False, 0, 2**64 - 1, True, None, 1)


def test_an_index_that_empties_its_list() -> None:
    class Emptying:
        def __index__(self) -> int:
            row.clear()
            return 7

    row: list[Any] = [Emptying(), *range(10**6, 10**6 + 100)]
    assert embrow.pad_sequences([row]).tolist() == [[7]]


def test_values_beyond_int64() -> None:
    for sequences in (
        [np.array([1, 2**63], dtype=np.uint64)],
        (np.array([1, 2**63], dtype=np.uint64), np.array([0, 2])),
    ):
        with pytest.raises(ValueError, match="beyond int64"):
            embrow.pad_sequences(sequences)
    with pytest.raises(ValueError, match="does not fit int64"):
        embrow.pad_sequences([[1]], value=2**70)


def test_masked_ids() -> None:
    masked = np.ma.array([1, 2, 3], mask=[False, False, True])
    message = "^pad_sequences: row 1 is masked at position 2; rows are sequences of int$"
    for rows in ([[1], masked], [[1], masked.astype("u8")], np.ma.array([[1, 2, 3]] * 2, mask=[[0, 0, 0], [0, 0, 1]])):
        with pytest.raises(TypeError, match=message):
            embrow.pad_sequences(rows)
    with pytest.raises(TypeError, match=r"^pad_sequences: values are masked at position 2; give integers, none of"):
        embrow.pad_sequences((masked, np.array([0, 3])))
    with pytest.raises(TypeError, match=r"^pad_sequences: offsets are masked at position 2; give integers, none of"):
        embrow.pad_sequences((np.array([1, 2, 3]), masked))
    with pytest.raises(TypeError, match=r"^pad_sequences: values are \[\('f0', '<i8'\)\]; they are integers$"):
        embrow.pad_sequences((np.ma.array([(1,)], dtype=[("f0", "<i8")], mask=True), np.array([0, 1])))
    for whole in (np.ma.array([1, 2]), np.ma.array([1, 2], mask=[False, False])):
        assert embrow.pad_sequences([[3], whole]).tolist() == [[3, 0], [1, 2]]
        assert embrow.pad_sequences((whole, np.array([0, 2]))).tolist() == [[1, 2]]


def test_a_ragged_of_lists() -> None:
    assert embrow.pad_sequences(embrow.Ragged([1, 2, 3], [0, 2, 3])).tolist() == [[1, 2], [3, 0]]


@pytest.mark.parametrize("side", ["left", "right"])
def test_out_that_shares_memory_with_the_ids(side: Any) -> None:
    values, offsets = np.arange(1, 5), np.array([0, 1, 4])
    expected = embrow.pad_sequences((values.copy(), offsets), 2, padding_side=side)
    assert np.array_equal(
        embrow.pad_sequences((values, offsets), 2, padding_side=side, out=values.reshape(2, 2)), expected
    )


def test_rows_that_are_tensors() -> None:
    torch = pytest.importorskip("torch", reason="rows are tensors")
    rows = [torch.tensor([1, 2]), torch.tensor([]), torch.tensor([3], dtype=torch.uint8)]
    assert embrow.pad_sequences(rows).tolist() == [[1, 2], [0, 0], [3, 0]]
    for wrong in (torch.tensor(3), torch.tensor([1.5]), torch.ones(1, 1)):
        with pytest.raises(
            TypeError, match=r"pad_sequences: row 3 is a tensor of dtype torch\.float|row 3 .* shape \(\)"
        ):
            embrow.pad_sequences([*rows, wrong])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_else_items_raise_is_the_callers(error: type[BaseException]) -> None:
    class Item:
        def __index__(self) -> int:
            raise error

    class Row:
        def __array__(self, *args: Any, **kwargs: Any) -> Any:
            raise error

    for rows in ([[1], [2, Item()]], [[1], Row()]):
        with pytest.raises(error):
            embrow.pad_sequences(rows)
