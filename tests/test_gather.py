"""Batch -> rows: the kernels of the forward lookup, each variant against the loop of reference.py."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import embrow.functional as F
import reference
from embrow import _core

pytestmark = pytest.mark.usefixtures("variant")

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
Lookup = Callable[[Tensor, Tensor], Tensor]


def into_out(ids: Tensor, table: Tensor) -> Tensor:
    return F.embedding(ids, table, out=table.new_empty((*ids.shape, table.size(1))))


@pytest.fixture(params=[F.embedding, into_out], ids=["few rows", "out"])
def lookup(request: pytest.FixtureRequest) -> Lookup:
    """Look few rows up: PyTorch's operator does, or with `out` the kernels."""
    found: Lookup = request.param
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 300, 1000])
def test_every_width_equals_the_reference(lookup: Lookup, dim: int, dtype: torch.dtype) -> None:
    table = torch.randn(23, dim).to(dtype)
    ids = torch.randint(0, 23, (41,))
    found = lookup(ids, table)
    assert found.dtype == dtype
    assert found.tolist() == reference.gather(table.tolist(), ids.tolist())


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 15, 16, 17, 1000])
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_every_count_equals_the_reference(lookup: Lookup, count: int, id_type: torch.dtype) -> None:
    table = torch.randn(5, 12)
    ids = torch.randint(0, 5, (count,), dtype=id_type)
    assert lookup(ids, table).tolist() == reference.gather(table.tolist(), ids.tolist())


@pytest.mark.parametrize("dim", [5, 64, 300])
def test_large_batches_are_torch_s_to_the_bit(dim: int, threads: int) -> None:
    table = torch.randn(5000, dim)
    ids = torch.randint(0, 5000, (197, 301))
    assert torch.equal(F.embedding(ids, table), torch.nn.functional.embedding(ids, table))


def test_batches_larger_than_the_cache_are_torch_s_to_the_bit(threads: int) -> None:
    table = torch.randn(2000, 256)
    ids = torch.randint(0, 2000, (70_001,), dtype=torch.int32)
    assert torch.equal(F.embedding(ids, table), torch.nn.functional.embedding(ids, table))


# Rows of bytes that the stores around the caches take, alone, in pairs and before or after pairs, and do not take.
@pytest.mark.parametrize("dim", [4, 8, 12, 20, 30, 100, 140])
@pytest.mark.parametrize("skipped", [0, 1, 4])
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_results_that_no_cache_holds(dim: int, skipped: int, id_type: torch.dtype, threads: int) -> None:
    table = torch.randn(999, dim)
    count = (32 << 20) // (4 * dim) + 5
    ids = torch.randint(0, 999, (count,), dtype=id_type)
    memory = torch.full((skipped + count * dim + 1,), torch.nan)
    F.embedding(ids, table, out=memory[skipped:-1].view(count, dim))
    assert torch.equal(memory[skipped:-1].view(count, dim), table[ids])
    assert memory[:skipped].isnan().all()
    assert memory[-1].isnan()


def test_an_id_outside_the_table_is_named_in_a_large_batch(threads: int) -> None:
    ids = torch.zeros(1 << 17, dtype=torch.int64)
    ids[100_003:] = 7
    with pytest.raises(IndexError, match="position 100003 of the ids is 7,"):
        F.embedding(ids, torch.zeros(7, 64))


def test_nan_payloads_survive(lookup: Lookup) -> None:
    bits = torch.tensor([[0x7FA00001, -1, 0x7F800000, -0x80000000]], dtype=torch.int32)
    found = lookup(torch.tensor([0, 0]), bits.view(torch.float32))
    assert torch.equal(found.view(torch.int32), bits.expand(2, 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda table: table[:, :5],
        lambda table: table[::2],
        lambda table: table[3:, 2:9],
        lambda table: table[:1].expand(12, -1),
        lambda table: table.t(),
        lambda table: table[:, ::3],
        lambda table: table[:, :1],
    ],
    ids=["columns", "every other row", "corner", "one row", "transposed", "every third column", "one column"],
)
def test_strided_tables(lookup: Lookup, make) -> None:
    table = make(torch.randn(24, 12))
    ids = torch.tensor([0, 11, 3, 3])
    assert torch.equal(lookup(ids, table), table[ids])


@pytest.mark.parametrize(
    "ids",
    [
        torch.tensor(3),
        torch.empty(2, 0, dtype=torch.int64),
        torch.arange(12).reshape(3, 4).t(),
        torch.arange(24)[::3],
        torch.tensor(5).expand(3, 2),
    ],
    ids=["0-dim", "no columns", "transposed", "every third", "expanded"],
)
def test_ids_of_any_shape(lookup: Lookup, ids: Tensor) -> None:
    table = torch.randn(24, 6)
    found = lookup(ids, table)
    assert found.shape == (*ids.shape, 6)
    assert torch.equal(found, table[ids])


def test_a_table_without_rows_serves_an_empty_batch(lookup: Lookup) -> None:
    assert lookup(torch.empty(0, 3, dtype=torch.int64), torch.empty(0, 4)).shape == (0, 3, 4)


@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
@pytest.mark.parametrize(("position", "value"), [(0, 9), (5, -1), (11, 9), (7, -(2**31)), (3, 2**31 - 1)])
def test_an_id_outside_the_table_is_named(lookup: Lookup, position: int, value: int, id_type: torch.dtype) -> None:
    ids = torch.zeros(12, dtype=id_type)
    ids[position] = value
    text = f"index out of range in self: position {position} of the ids is {value}, the table has rows 0 to 8"
    with pytest.raises(IndexError, match="^" + re.escape(text) + "$"):
        lookup(ids.reshape(3, 4), torch.randn(9, 3))


@pytest.mark.parametrize("value", [2**32, 2**63 - 1, -(2**63), 2**32 - (2**63)])
def test_an_id_wider_than_32_bits_is_named(lookup: Lookup, value: int) -> None:
    with pytest.raises(IndexError, match=re.escape(f"position 1 of the ids is {value}, ")):
        lookup(torch.tensor([0, value]), torch.randn(9, 3))


@pytest.mark.parametrize("rows", [0, 1, 9, 2**31 - 1, 2**31, 2**31 + 5, 2**62, 2**63 - 1])
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_ids_are_checked_against_any_number_of_rows(rows: int, id_type: torch.dtype) -> None:
    of_type = torch.iinfo(id_type)
    edges = {rows - 1, rows, rows + 1, 0, 1, -1, of_type.min, of_type.min + 1, of_type.max, of_type.max - 1}
    for value in (value for value in edges if of_type.min <= value <= of_type.max):
        # Before, among and behind what vectors hold.
        for count, position in ((1, 0), (7, 3), (33, 32)):
            ids = torch.zeros(count, dtype=id_type)
            ids[position] = value
            job = (ids.data_ptr(), count, id_type is torch.int64, rows)
            if rows and 0 <= value < rows:
                _core.check_ids(*job)
            else:
                with pytest.raises(IndexError, match=f"position {position if rows else 0} of the ids is "):
                    _core.check_ids(*job)


def test_the_first_of_many_bad_ids_is_named(threads: int) -> None:
    ids = torch.zeros(50_000, dtype=torch.int64)
    ids[[31_234, 31_235, 49_000]] = torch.tensor([100, 200, -1])
    with pytest.raises(IndexError, match="position 31234 of the ids is 100,"):
        F.embedding(ids, torch.randn(7, 64))


def test_any_id_is_outside_a_table_without_rows(lookup: Lookup) -> None:
    with pytest.raises(IndexError, match="position 0 of the ids is 0, the table has no rows"):
        lookup(torch.tensor([0]), torch.empty(0, 3))


def test_an_id_outside_a_table_without_columns_is_named(lookup: Lookup) -> None:
    with pytest.raises(IndexError, match="position 1 of the ids is -1, the table has rows 0 to 4"):
        lookup(torch.tensor([0, -1]), torch.empty(5, 0))


def test_max_norm_reads_no_bad_id() -> None:
    table = torch.ones(3, 4)
    with pytest.raises(IndexError, match=r"^index out of range in self: position 1 of the ids is -1,"):
        F.embedding(torch.tensor([0, -1]), table, max_norm=0.5)
    assert torch.equal(table, torch.ones(3, 4))


def test_numpy_memory_is_read_where_it_lies(lookup: Lookup) -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = lookup(torch.from_numpy(np.array([3, 1])), torch.from_numpy(table))
    assert np.array_equal(found.numpy(), table[[3, 1]])


def test_out_receives_the_rows(threads: int) -> None:
    table, ids = torch.randn(500, 300), torch.randint(0, 500, (40, 31))
    out = torch.empty(40, 31, 300)
    version = out._version
    assert F.embedding(ids, table, out=out) is out
    assert out._version > version
    assert torch.equal(out, table[ids])
    numbers = torch.zeros(3, 2, dtype=torch.int64)
    assert F.embedding(torch.tensor([1, 0, 1]), torch.tensor([[1, 2], [3, 4]]), out=numbers) is numbers
    assert numbers.tolist() == [[3, 4], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (torch.empty(3, 3), r"out must be a torch.float32 tensor of shape \(2, 3\) on cpu, found torch.float32, shape"),
        (torch.empty(2, 3).double(), "on cpu, found torch.float64, shape"),
        (torch.empty(3, 2).T, r"out must be contiguous, found strides \(1, 2\)"),
    ],
)
def test_out_that_does_not_fit(out: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        F.embedding(torch.tensor([1, 0]), torch.randn(4, 3), out=out)


@pytest.mark.parametrize("first_row", [0, 1, 30, 39])
@pytest.mark.parametrize("dim", [3, 3000])
def test_out_may_be_part_of_the_table(first_row: int, dim: int, threads: int) -> None:
    table, ids = torch.randn(60, dim), torch.arange(20, -1, -1)
    expected = table[ids]
    assert torch.equal(F.embedding(ids, table[:40], out=table[first_row : first_row + 21]), expected)


def test_out_may_be_the_memory_of_the_ids() -> None:
    memory = torch.tensor([[2, 0, 1]], dtype=torch.int32)
    table = torch.tensor([[1.0], [2.0], [3.0]])
    out = memory.view(torch.float32).view(3, 1)
    assert F.embedding(memory.view(3), table, out=out).tolist() == [[3.0], [1.0], [2.0]]


def test_out_of_a_failed_lookup_counts_as_written() -> None:
    out = torch.zeros(2, 3)
    with pytest.raises(IndexError, match="position 1"):
        F.embedding(torch.tensor([1, 9]), torch.randn(4, 3), out=out)
    assert out._version == 1


def test_out_is_not_for_training() -> None:
    table = torch.randn(4, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"out=\.\.\. arguments don't support automatic differentiation"):
        F.embedding(torch.tensor([1, 0]), table, out=torch.empty(2, 3))
    with torch.no_grad():
        assert torch.equal(F.embedding(torch.tensor([1, 0]), table, out=torch.empty(2, 3)), table[[1, 0]])
