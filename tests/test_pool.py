"""Bags of ids -> one row per bag, and back: the pooling kernels, each variant against the loops of reference.py."""

from __future__ import annotations

import mmap
import re
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import embrow.functional as F
import reference
from embrow import _core
from rounding import EPS, SUM_EPS

pytestmark = pytest.mark.usefixtures("variant", "float64_reference")

MODES = ["sum", "mean", "max"]


def ragged(lengths: list[int], rows: int, id_type: torch.dtype = torch.int64) -> tuple[list[list[int]], Tensor, Tensor]:
    """Draw bags; return them as lists, and as ids and offsets."""
    bags = [torch.randint(0, rows, (length,)).tolist() for length in lengths]
    ids = torch.tensor([id for bag in bags for id in bag], dtype=id_type)
    offsets = torch.tensor([sum(lengths[:b]) for b in range(len(lengths))], dtype=id_type)
    return bags, ids, offsets


def check(
    table: Tensor,
    lengths: list[int],
    mode: str,
    *,
    weighted: bool = False,
    padding_idx: int | None = None,
    **settings: Any,
) -> None:
    """Check the result and both gradients, within two roundings plus the share of the terms' sizes."""
    rows, dim = table.shape
    bags, ids, offsets = ragged(lengths, rows)
    table = table.clone().requires_grad_()
    weights = torch.randn(len(ids)).to(table.dtype).requires_grad_() if weighted else None
    grads = torch.randn(len(bags), dim).to(table.dtype)
    settings |= {"padding_idx": padding_idx, "mode": mode}
    found = F.embedding_bag(ids, table, offsets, per_sample_weights=weights, **settings)
    found.backward(grads)
    assert found.dtype == table.dtype and table.grad is not None and table.grad.dtype == table.dtype

    def by_bag(values: Tensor) -> list[list[float]]:
        return [part.tolist() for part in values.detach().double().split(lengths)]

    def both(values: Tensor, ups: Tensor, per_id: Tensor | None) -> list[Tensor]:
        shared = {"weights": None if per_id is None else by_bag(per_id), "padding_idx": padding_idx}
        rows_of_bags = reference.pool(values.tolist(), bags, mode, **shared)
        by_freq = {"scale_grad_by_freq": settings.get("scale_grad_by_freq", False)}
        grad, shares = reference.gradients_of_bags(values.tolist(), bags, ups.tolist(), mode, **shared, **by_freq)
        return [torch.tensor(part).reshape(-1) for part in (rows_of_bags, grad, [x for bag in shares for x in bag])]

    with torch.no_grad():
        expected = both(table.double(), grads.double(), weights)
        # Which rows are the greatest must not change.
        size_of_table = table.double() if mode == "max" else table.double().abs()
        sizes = both(size_of_table, grads.double().abs(), None if weights is None else weights.abs())
    results = [found.detach(), table.grad, weights.grad if weights is not None else None]
    for result, exact, size in zip(results, expected, sizes, strict=True):
        if result is None:
            continue
        eps, sum_eps = EPS[table.dtype], SUM_EPS[table.dtype]
        budget = 2 * eps * exact.abs() + (len(ids) + dim) * sum_eps * size.abs()
        budget += 2.0**-25 if table.dtype == torch.float16 else 0  # half the smallest subnormal
        assert ((result.double().reshape(-1) - exact).abs() <= budget).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(
    "dim", [1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 79, 95, 96, 97, 100, 127, 129, 200]
)
def test_every_width_equals_the_reference(dim: int, dtype: torch.dtype, mode: str) -> None:
    check(torch.randn(11, dim).to(dtype), [3, 0, 5, 1], mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("length", [0, 1, 2, 20, 63, 64, 65, 128, 129, 300])
def test_every_length_equals_the_reference(length: int, dtype: torch.dtype, mode: str) -> None:
    check(torch.randn(13, 21).to(dtype), [length, 2, length], mode)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("padding_idx", [None, 3])
@pytest.mark.parametrize("scale_grad_by_freq", [False, True])
def test_weights_padding_and_frequency(padding_idx: int | None, scale_grad_by_freq: bool, dtype: torch.dtype) -> None:
    if dtype.itemsize == 2 and torch.__version__ < (2, 7):
        pytest.skip("gradients of weights are PyTorch's kernel's, which in 2.6 adds 16 bits in 16 bits")
    check(
        torch.randn(5, 19).to(dtype),
        [7, 0, 1, 90, 2, 1, 1],
        "sum",
        weighted=True,
        padding_idx=padding_idx,
        scale_grad_by_freq=scale_grad_by_freq,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding_idx", [0, 4])
def test_padding_leaves_the_bag(padding_idx: int, mode: str) -> None:
    check(torch.randn(5, 19), [7, 1, 1, 1, 1, 0, 30], mode, padding_idx=padding_idx)


@pytest.mark.parametrize("mode", MODES)
def test_a_negative_padding_idx_counts_from_the_end(mode: str) -> None:
    table, ids = torch.randn(5, 3), torch.tensor([[4, 1, 4], [4, 4, 4]])
    found = F.embedding_bag(ids, table, mode=mode, padding_idx=-1)
    assert torch.equal(found, torch.stack([table[1], torch.zeros(3)]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
@pytest.mark.parametrize("offset_type", [torch.int32, torch.int64])
def test_bags_may_be_given_three_ways(id_type: torch.dtype, offset_type: torch.dtype, mode: str) -> None:
    table = torch.randn(9, 70)
    ids = torch.randint(0, 9, (6, 4), dtype=id_type)
    expected = F.embedding_bag(ids, table, mode=mode)
    offsets = torch.arange(0, 24, 4, dtype=offset_type)
    assert torch.equal(F.embedding_bag(ids.flatten(), table, offsets, mode=mode), expected)
    offsets = torch.arange(0, 25, 4, dtype=offset_type)
    assert torch.equal(F.embedding_bag(ids.flatten(), table, offsets, mode=mode, include_last_offset=True), expected)
    assert torch.equal(F.embedding_bag(ids, table, mode=mode, include_last_offset=True), expected)


@pytest.mark.parametrize("mode", MODES)
def test_no_ids_and_no_bags(mode: str) -> None:
    table = torch.randn(4, 3, requires_grad=True)
    none = torch.empty(0, dtype=torch.int64)
    for ids, offsets, bags in [
        (torch.empty(0, 5, dtype=torch.int64), None, 0),
        (none, torch.zeros(2, dtype=torch.int64), 2),
        (none, none, 0),
    ]:
        out = F.embedding_bag(ids, table, offsets, mode=mode)
        assert out.shape == (bags, 3) and not out.any()
        (grad,) = torch.autograd.grad(out.sum(), table)
        assert grad.shape == (4, 3) and not grad.any()


@pytest.mark.parametrize("mode", MODES)
def test_columns_may_be_none(mode: str) -> None:
    table = torch.empty(4, 0, requires_grad=True)
    out = F.embedding_bag(torch.tensor([[1, 2]]), table, mode=mode)
    assert out.shape == (1, 0)
    out.sum().backward()
    assert table.grad is not None and table.grad.shape == (4, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", EPS)
def test_the_thread_count_changes_no_bit(dtype: torch.dtype, mode: str) -> None:
    # One row is hot enough to be split by columns, and one bag long.
    lengths = [20] * 1000 + [7000] + [0, 1, 2] * 300
    _, ids, offsets = ragged(lengths, 3000)
    ids[::4] = 17
    table = torch.randn(3000, 90).to(dtype).requires_grad_()
    weights = torch.randn(len(ids)).to(dtype).requires_grad_() if mode == "sum" else None
    grads = torch.randn(len(offsets), 90).to(dtype)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            out = F.embedding_bag(ids, table, offsets, mode=mode, per_sample_weights=weights)
            inputs = [table] if weights is None else [table, weights]
            found.append([out, *torch.autograd.grad(out, inputs, grads)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("dim", [5, 77, 300])
def test_variants_agree_to_the_bit(dim: int, dtype: torch.dtype, mode: str) -> None:
    table = torch.randn(40, dim).to(dtype).requires_grad_()
    _, ids, offsets = ragged([100, 3, 0, 64, 1], 40)
    weights = torch.randn(len(ids)).to(dtype) if mode == "sum" else None
    grads = torch.randn(5, dim).to(dtype)
    found = []
    for name in (_core.active_variant(), "serial"):
        _core.use_variant(name)
        out = F.embedding_bag(ids, table, offsets, mode=mode, per_sample_weights=weights)
        found.append([out, *torch.autograd.grad(out, table, grads)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False)])
@pytest.mark.parametrize("vectors", [*range(1, 27), 49])
def test_every_number_of_registers_sums_to_the_same_bits(vectors: int, mode: str, weighted: bool, variant: str) -> None:
    """Compare with the plain loop: rows that begin cache lines and others, gaps, ids of both types, large bags."""
    lengths = [100, 3, 0, 64, 1, 65]
    for dim in (16 * vectors - 11, 16 * vectors):
        stride = dim + 64
        memory = torch.randn(40 * stride + 1, dtype=torch.float32)
        packed, gapped = memory[: 40 * dim].view(40, dim), memory[1:].view(40, stride)[:, :dim]
        _, ids, offsets = ragged(lengths, 40)
        weights = torch.randn(len(ids), dtype=torch.float32) if weighted else None
        settings = {"mode": mode, "per_sample_weights": weights, "padding_idx": 7}
        for table, id_type in ((packed, torch.int64), (gapped, torch.int32)):
            found = []
            for name in ("serial", variant):
                _core.use_variant(name)
                found.append(F.embedding_bag(ids.to(id_type), table, offsets.to(id_type), **settings))
            assert torch.equal(*found)


@pytest.mark.parametrize("dim", [1, 15, 16, 17, 100, 300, 384, 400, 500])
def test_nothing_is_written_behind_the_last_row(dim: int) -> None:
    table, ids = torch.randn(9, dim, dtype=torch.float32), torch.randint(0, 9, (2, 5))
    out = torch.full((2 * dim + 32,), 7.0, dtype=torch.float32)
    of_table = (_core.Pooling.sum, _core.Element.float32, table.data_ptr(), 9, dim * 4, dim)
    of_bags = (ids.data_ptr(), 10, True, 0, False, 2, 5)
    _core.pool_bags(*of_table, *of_bags, 0, -1, out.data_ptr(), 0, 1)
    torch.testing.assert_close(out[: 2 * dim].view(2, dim), table[ids].sum(1))
    assert (out[2 * dim :] == 7).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", EPS)
def test_nan_and_infinity_are_torch_s(dtype: torch.dtype, mode: str) -> None:
    special = [float("nan"), float("inf"), -float("inf"), 1.0, -0.0]
    table = torch.tensor([[a, b, 2.0] for a in special for b in special]).to(dtype).requires_grad_()
    ids = torch.randint(0, 25, (200, 3))
    ids[:25] = torch.arange(25).unsqueeze(1)
    results = []
    for pool in (F.embedding_bag, torch.nn.functional.embedding_bag):
        out = pool(ids, table, mode=mode)
        results.append((out, *torch.autograd.grad(out.nan_to_num(0).sum(), table)))
    # torch adds 16-bit gradients in 16 bits.
    tolerance = {"rtol": 0.05, "atol": 0.05} if dtype.itemsize == 2 else {}
    torch.testing.assert_close(*results, equal_nan=True, **tolerance)


@pytest.mark.skipif(sys.platform != "linux", reason="needs memory that takes none until it is written")
@pytest.mark.parametrize("variant", ["serial"], indirect=True)
def test_bags_beyond_32_bits_have_gradients_of_their_own(variant: str) -> None:
    """Only the last of them has an id; without the upper bits of its number the second one's gradient were taken."""
    bags = 2**32 + 2
    without_reserve = 0x4000  # Linux's; mmap has a name for it from Python 3.13 on

    def zeros(size: int) -> Any:
        return np.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | without_reserve), np.uint8)

    offsets, grads = zeros(4 * bags), zeros(2 * bags).view(np.float16)
    grads[-1] = 1
    ids, out = np.array([1]), np.empty(3, np.float16)
    of_bags = (ids.ctypes.data, 1, True, offsets.ctypes.data, False, bags, 0, _core.Pooling.sum, 0)
    of_table = (grads.ctypes.data, 2, out.ctypes.data, 3, 1, _core.Element.float16, -1, False)
    _core.scatter_bags(*of_bags, *of_table, _core.TableState.anything, 1)
    assert out.tolist() == [0, 1, 0]


def test_maxima_of_equals_go_to_the_first() -> None:
    table = torch.tensor([[1.0, 2.0], [1.0, 3.0], [1.0, 3.0]], requires_grad=True)
    F.embedding_bag(torch.tensor([[0, 1, 2]]), table, mode="max").sum().backward()
    assert table.grad is not None and table.grad.tolist() == [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    assert not table.grad._is_view()


def test_a_table_past_the_allocator_s_own_memory() -> None:
    rows = 300_000
    ids = torch.randint(0, rows, (500, 20))
    table = torch.randn(rows, 33, dtype=torch.float32).requires_grad_()
    grads = torch.randn(500, 33)
    F.embedding_bag(ids, table, mode="sum").backward(grads.float())
    expected = torch.zeros(rows, 33).index_add_(0, ids.flatten(), grads.float().double().repeat_interleave(20, 0))
    assert table.grad is not None
    assert torch.allclose(table.grad.double(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        lambda table: table[:, :5],
        lambda table: table[::2],
        lambda table: table[3:, 2:9],
        lambda table: table[:1].expand(12, -1),
        lambda table: table.t(),
        lambda table: table[:, ::3],
    ],
    ids=["columns", "every other row", "corner", "one row", "transposed", "every third column"],
)
@pytest.mark.parametrize("mode", MODES)
def test_strided_tables(make: Any, mode: str) -> None:
    table = make(torch.randn(24, 12))
    ids = torch.tensor([[0, 11, 3, 3], [1, 2, 0, 5]])
    torch.testing.assert_close(F.embedding_bag(ids, table, mode=mode), F.embedding_bag(ids, table.clone(), mode=mode))


def test_strided_ids_offsets_and_weights() -> None:
    table = torch.randn(24, 6)
    ids, weights = torch.randint(0, 24, (6, 8)), torch.randn(6, 8)
    found = F.embedding_bag(ids.t(), table, mode="sum", per_sample_weights=weights.t())
    expected = F.embedding_bag(ids.t().contiguous(), table, mode="sum", per_sample_weights=weights.t().contiguous())
    assert torch.equal(found, expected)
    found = F.embedding_bag(ids[:, ::2], table, mode="sum", per_sample_weights=weights[:, ::2])
    assert torch.equal(
        found,
        F.embedding_bag(ids[:, ::2].clone(), table, None, None, 2.0, False, "sum", False, weights[:, ::2].clone()),
    )
    flat = torch.randint(0, 24, (20,))
    offsets = torch.tensor([0, 9, 3, 9, 7, 9])
    found = F.embedding_bag(flat[::2], table, offsets[::2], mode="sum", per_sample_weights=weights[0, :1].expand(10))
    expected = F.embedding_bag(
        flat[::2].clone(), table, offsets[::2].clone(), mode="sum", per_sample_weights=weights[0, :1].repeat(10)
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "make",
    [lambda grads: grads[:, ::2], lambda grads: grads.t(), lambda grads: grads.sum().expand(6, 6)],
    ids=["columns", "transposed", "one number"],
)
@pytest.mark.parametrize("mode", MODES)
def test_strided_gradients(make: Any, mode: str) -> None:
    grads = make(torch.randn(6, 6))
    table = torch.randn(9, grads.size(1), requires_grad=True)
    weights = torch.randn(6, 4, requires_grad=True) if mode == "sum" else None
    out = F.embedding_bag(torch.randint(0, 9, (6, 4)), table, mode=mode, per_sample_weights=weights)
    inputs = [table] if weights is None else [table, weights]
    found = torch.autograd.grad(out, inputs, grads, retain_graph=True)
    expected = torch.autograd.grad(out, inputs, grads.contiguous())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("settings", [{}, {"max_norm": 0.5}], ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
@pytest.mark.parametrize(("position", "value"), [(0, 9), (5, -1), (11, 9), (7, -(2**31)), (3, 2**31 - 1)])
def test_an_id_outside_the_table_is_named(
    position: int, value: int, id_type: torch.dtype, mode: str, settings: dict[str, Any]
) -> None:
    ids = torch.zeros(12, dtype=id_type)
    ids[position] = value
    table = torch.ones(9, 3)
    text = (
        f"Index {position} of input takes value {value} which is not in the valid range [0, 9): Expected idx >= 0 && "
        f"idx < num_embeddings but found idx to be {value}"
    )
    with pytest.raises(RuntimeError, match="^" + re.escape(text) + "$"):
        F.embedding_bag(ids.reshape(3, 4), table, mode=mode, **settings)
    assert torch.equal(table, torch.ones(9, 3))


def test_the_first_of_many_bad_ids_is_named(threads: int) -> None:
    ids = torch.zeros(50_000, dtype=torch.int64)
    ids[[31_234, 31_235, 49_000]] = torch.tensor([100, 200, -1])
    with pytest.raises(RuntimeError, match=r"^Index 31234 of input takes value 100 which"):
        F.embedding_bag(ids.reshape(-1, 20), torch.randn(7, 64))


def test_any_id_is_outside_a_table_without_rows() -> None:
    with pytest.raises(RuntimeError, match=r"not in the valid range \[0, 0\)"):
        F.embedding_bag(torch.tensor([[0]]), torch.empty(0, 3))


def test_what_went_bad_behind_torch_s_back_is_refused() -> None:
    for change, text in [
        (lambda ids, offsets: ids.__setitem__(1, 4), "Index 1 of input takes value 4"),
        (lambda ids, offsets: offsets.__setitem__(1, 4), "the offsets were changed"),
    ]:
        ids, offsets = torch.tensor([0, 1, 2]), torch.tensor([0, 1])
        out = F.embedding_bag(ids, torch.randn(4, 2, requires_grad=True), offsets)
        change(ids.numpy(), offsets.numpy())
        with pytest.raises(RuntimeError, match=text):
            out.sum().backward()


@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
@pytest.mark.parametrize(("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False)])
def test_sparse_is_torch_s_entry_for_entry(
    mode: str, weighted: bool, padding_idx: int | None, id_type: torch.dtype
) -> None:
    ids, offsets = torch.tensor([1, 2, 1, 4, 2, 0], dtype=id_type), torch.tensor([0, 3, 3, 4], dtype=id_type)
    weights = torch.randn(6) if weighted else None
    grads, table = torch.randn(4, 5), torch.randn(5, 5, requires_grad=True)
    found, expected = (
        torch.autograd.grad(
            pool(ids, table, offsets, mode=mode, sparse=True, per_sample_weights=weights, padding_idx=padding_idx),
            table,
            grads,
        )[0]
        for pool in (F.embedding_bag, torch.nn.functional.embedding_bag)
    )
    assert not found.is_coalesced() and found.shape == (5, 5)
    assert torch.equal(found._indices(), expected._indices())
    torch.testing.assert_close(found._values(), expected._values())


def test_sparse_with_scale_grad_by_freq_raises_in_backward_only() -> None:
    table = torch.zeros(5, 2, requires_grad=True)
    out = F.embedding_bag(torch.tensor([[1]]), table, mode="sum", sparse=True, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq"):
        out.sum().backward()


class Stops(torch.autograd.Function):
    """Passes numbers on, and no gradient back."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> None:
        return None


@pytest.mark.parametrize("count", [3, 4000])
def test_no_gradient_makes_none(count: int) -> None:
    ids = torch.arange(count).view(1, -1) % 9
    table, weights = torch.ones(9, 32, requires_grad=True), torch.ones(1, count, requires_grad=True)
    for sparse in (False, True):
        for rows in (
            F.embedding(ids, table, sparse=sparse),
            F.embedding_bag(ids, table, mode="sum", per_sample_weights=weights, sparse=sparse),
            F.embedding_bag(ids, table, sparse=sparse),
        ):
            Stops.apply(rows).sum().backward()
            assert table.grad is None
            assert weights.grad is None
    assert torch.autograd.grad(Stops.apply(F.embedding_bag(ids, table)).sum(), table, allow_unused=True) == (None,)
