"""Row gradients -> table gradient: dense and sparse backward, each variant against the loop of reference.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import embrow.functional as F
import reference
from embrow import _core
from rounding import EPS, SUM_EPS

pytestmark = pytest.mark.usefixtures("variant", "kernels_look_up_few", "float64_reference")


def table_grad(ids: Tensor, grads: Tensor, rows: int, **settings: Any) -> Tensor:
    weight = torch.zeros(rows, grads.size(-1), dtype=grads.dtype, requires_grad=True)
    F.embedding(ids, weight, **settings).backward(grads)
    assert weight.grad is not None
    return weight.grad


def check(ids: Tensor, grads: Tensor, rows: int, **settings: Any) -> None:
    """Within two roundings of the result plus the blocks' share of the terms' sizes."""
    found = table_grad(ids, grads, rows, **settings)
    dim = grads.size(-1)
    flat = grads.double().reshape(ids.numel(), dim)
    expected = torch.tensor(reference.scatter(ids.flatten().tolist(), flat.tolist(), rows, dim, **settings))
    sizes = torch.tensor(reference.scatter(ids.flatten().tolist(), flat.abs().tolist(), rows, dim, **settings))
    terms = 64 + 64 + ids.numel() // 4096
    budget = 2 * EPS[grads.dtype] * expected.abs() + terms * SUM_EPS[grads.dtype] * sizes
    if grads.dtype == torch.float16:
        budget += 2.0**-25  # half the smallest subnormal
    assert found.dtype == grads.dtype
    assert ((found.double() - expected.reshape(rows, dim)).abs() <= budget.reshape(rows, dim)).all()


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("dim", [0, 1, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 99, 130, 150])
def test_every_width_equals_the_reference(dim: int, dtype: torch.dtype) -> None:
    check(torch.randint(0, 11, (3, 29)), torch.randn(3, 29, dim).to(dtype), 11)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 128, 129, 255, 256, 257, 1000])
def test_every_count_equals_the_reference(count: int, dtype: torch.dtype) -> None:
    check(torch.randint(0, 5, (count,), dtype=torch.int32), torch.randn(count, 10).to(dtype), 5)


# The ids that one thread sorts, and some that three share.
@pytest.mark.parametrize("count", [700, 20_000])
@pytest.mark.parametrize("rows", [1, 2, 255, 256, 257, 2047, 2048, 2049, 70_000, 5_000_000])
def test_every_number_of_radix_passes(rows: int, count: int, set_threads: Callable[[int], None]) -> None:
    ids = torch.randint(0, rows, (count,))
    ids[::7] = rows - 1
    grads = torch.randn(count, 1)
    padding_idx = rows // 2 if rows > 2 else None
    expected = torch.zeros(rows, 1).index_add_(0, ids, grads)
    if padding_idx is not None:
        expected[padding_idx] = 0
    set_threads(3)
    found = table_grad(ids, grads, rows, padding_idx=padding_idx)
    assert torch.allclose(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("padding_idx", [0, 4, -1, -6])
@pytest.mark.parametrize("scale_grad_by_freq", [False, True])
def test_padding_and_frequency(padding_idx: int, scale_grad_by_freq: bool) -> None:
    ids = torch.randint(0, 6, (50,))
    grads = torch.randn(50, 9)
    found = table_grad(ids, grads, 6, padding_idx=padding_idx, scale_grad_by_freq=scale_grad_by_freq)
    expected = torch.tensor(
        reference.scatter(
            ids.tolist(), grads.tolist(), 6, 9, padding_idx=padding_idx % 6, scale_grad_by_freq=scale_grad_by_freq
        )
    )
    assert torch.allclose(found, expected, rtol=1e-13, atol=1e-13)
    assert not found[padding_idx].any()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 7, 3000])
@pytest.mark.parametrize("rows", [9, 40_000])
def test_what_memory_held_before_is_gone(
    rows: int, count: int, threads: int, set_threads: Callable[[int], None]
) -> None:
    set_threads(threads)
    # Whose sums are exact.
    ids, grads = torch.randint(0, rows, (count,)), torch.randint(-9, 10, (count, 5)).float()
    expected = torch.zeros(rows, 5, dtype=torch.float32).index_add_(0, ids, grads)
    # PyTorch then fills new memory with NaN.
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).isnan().all()
        found = table_grad(ids, grads, rows)
        pooled = torch.zeros(rows, 5, dtype=torch.float32, requires_grad=True)
        F.embedding_bag(ids.unsqueeze(1), pooled, mode="sum").backward(grads)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found, expected)
    assert torch.equal(pooled.grad, expected)


def test_a_batch_of_padding_only_gives_zeros() -> None:
    assert not table_grad(torch.full((400,), 2), torch.randn(400, 3), 5, padding_idx=2).any()


@pytest.mark.parametrize("dtype", EPS)
def test_one_row_seen_by_all(dtype: torch.dtype) -> None:
    check(torch.full((9000,), 3), torch.randn(9000, 4).to(dtype), 5)


@pytest.mark.parametrize("dtype", EPS)
def test_the_thread_count_changes_no_bit(dtype: torch.dtype, set_threads: Callable[[int], None]) -> None:
    # One row is hot enough to be split by columns.
    ids = torch.cat([torch.randint(0, 3000, (20_000,)), torch.full((6000,), 17)])[torch.randperm(26_000)]
    grads = torch.randn(26_000, 90).to(dtype)
    found = []
    for threads in (1, 2, 3, 7):
        set_threads(threads)
        found.append(table_grad(ids, grads, 3000))
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("dtype", EPS)
def test_variants_agree_to_the_bit(dtype: torch.dtype, variant: str) -> None:
    ids = torch.randint(0, 40, (5000,))
    grads = torch.randn(5000, 77).to(dtype)
    found = table_grad(ids, grads, 40)
    _core.use_variant("serial")
    assert torch.equal(found, table_grad(ids, grads, 40))


def test_a_table_past_the_allocator_s_own_memory() -> None:
    rows = 300_000
    for ids in (torch.randint(0, rows, (1000,)), torch.randint(0, rows, (40_000,))):
        grads = torch.randn(len(ids), 33).float()
        found = table_grad(ids, grads, rows)
        expected = torch.zeros(rows, 33).index_add_(0, ids, grads.double())
        assert torch.allclose(found.double(), expected, rtol=0, atol=1e-4)
        assert found.is_contiguous() and not found._is_view()
        found += 1
        assert torch.allclose(found.sum(dtype=torch.float64), expected.sum() + found.numel(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_16_bit_value_passes_unchanged(dtype: torch.dtype) -> None:
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype).reshape(1024, 64)
    found = table_grad(torch.arange(1024), every, 1024)
    # Adding to zero turns -0 into 0 and keeps what a NaN is, not which.
    assert torch.equal(found.nan_to_num(12345.0), (every + 0).nan_to_num(12345.0))
    assert torch.equal(found.isnan(), every.isnan())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_of_16_bit_values_are_rounded_as_torch_rounds(dtype: torch.dtype) -> None:
    pairs = torch.randint(-(2**15), 2**15, (2, 4096, 8)).to(torch.int16).view(dtype)
    found = table_grad(torch.arange(4096).repeat(2, 1), pairs, 4096)
    expected = (pairs[0].float() + pairs[1].float()).to(dtype)
    assert torch.equal(found.nan_to_num(12345.0), expected.nan_to_num(12345.0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_reach_their_row_only(value: float) -> None:
    grads = torch.ones(4, 20)
    grads[2, 5] = value
    found = table_grad(torch.tensor([0, 1, 1, 2]), grads, 3)
    assert found[1, 5].isnan() if math.isnan(value) else found[1, 5] == value
    found[1, 5] = 2
    assert torch.equal(found, torch.tensor([1.0, 2.0, 1.0]).unsqueeze(1).expand(3, 20))


@pytest.mark.parametrize(
    "make",
    [
        lambda grads: grads[..., ::2],
        lambda grads: grads.transpose(0, 1),
        lambda grads: grads[:, :, :1].expand(6, 6, 8),
        lambda grads: grads.sum().expand(6, 6, 8),
    ],
    ids=["columns", "transposed", "expanded columns", "one number"],
)
def test_strided_gradients(make) -> None:
    grads = make(torch.randn(6, 6, 8))
    ids = torch.randint(0, 9, (6, 6))
    assert torch.equal(table_grad(ids, grads, 9), table_grad(ids, grads.contiguous(), 9))


def test_ids_that_went_bad_behind_torch_s_back_are_refused() -> None:
    ids = torch.tensor([0, 1, 2])
    out = F.embedding(ids, torch.randn(4, 2, requires_grad=True))
    ids.numpy()[1] = 4
    with pytest.raises(IndexError, match=r"^index out of range in self: position 1 of the ids is 4,"):
        out.sum().backward()


@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_sparse_is_torch_s_entry_for_entry(padding_idx: int | None, id_type: torch.dtype) -> None:
    ids = torch.tensor([[1, 2, 1], [4, 2, 0]], dtype=id_type)
    grads = torch.randn(2, 3, 5)
    found = table_grad(ids, grads, 5, padding_idx=padding_idx, sparse=True)
    weight = torch.zeros(5, 5, requires_grad=True)
    torch.nn.functional.embedding(ids, weight, padding_idx=padding_idx, sparse=True).backward(grads)
    assert weight.grad is not None
    assert not found.is_coalesced() and found.shape == (5, 5)
    assert torch.equal(found._indices(), weight.grad._indices())
    assert torch.equal(found._values(), weight.grad._values())


def test_a_second_sparse_backward_concatenates() -> None:
    weight = torch.zeros(5, 2, requires_grad=True)
    for _ in range(2):
        F.embedding(torch.tensor([1, 1, 3]), weight, sparse=True).sum().backward()
    assert weight.grad is not None
    assert weight.grad._indices().tolist() == [[1, 1, 3, 1, 1, 3]]


def test_sparse_with_scale_grad_by_freq_raises_in_backward_only() -> None:
    weight = torch.zeros(5, 2, requires_grad=True)
    out = F.embedding(torch.tensor([1]), weight, sparse=True, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq"):
        out.sum().backward()
