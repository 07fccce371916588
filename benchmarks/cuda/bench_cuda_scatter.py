"""row gradients -> table gradient on a GPU: `python -m pytest benchmarks/cuda/bench_cuda_scatter.py --device cuda`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from batches import ONE_ROW, UNIFORM, ZIPF, in_turn, make_batches
from bench_cuda_gather import TORCH, same
from measure import Call
from table import Peer, Table
from torch import Tensor

import embrow.cuda
import embrow.functional as F

TITLE = "Dense backward of embrow.functional.embedding, float32 tables, zeroing them included"
UNIT = "ids"
SHAPES = [(100_000, 300, 400_000), (1_000_000, 128, 1_000_000), (4_000_000, 64, 2_000_000)]


def whole_numbers(count: int, dim: int, device: torch.device) -> Tensor:
    """Return gradients whose sums are exact in any order, so that results must be equal."""
    return torch.randint(-4, 5, (count, dim), device=device).float()


def backward(lookup: Callable[..., Tensor], weight: Tensor, ids: list[Tensor], grads: Tensor) -> Call:
    """Return what sums a batch's gradients into that of the whole table."""
    return in_turn(
        lambda rows: torch.autograd.grad(rows, weight, grads, retain_graph=True)[0],
        [lookup(one, weight) for one in ids],
    )


def with_atomics(call: Call) -> Call:
    """Return a call that lets gradients be added up in any order."""

    def allowed() -> Any:
        embrow.cuda.allow_atomic_gradients()
        try:
            return call()
        finally:
            embrow.cuda.allow_atomic_gradients(False)

    return allowed


@pytest.mark.parametrize("spread", [UNIFORM, ZIPF])
@pytest.mark.parametrize(("full_rows", "dim", "full_count"), SHAPES)
def test_dense_backward(
    table: Table,
    scaled: Callable[[int], int],
    device: torch.device,
    full_rows: int,
    dim: int,
    full_count: int,
    spread: str,
) -> None:
    rows, count = scaled(full_rows), scaled(full_count)
    weight = torch.zeros(rows, dim, device=device, requires_grad=True)
    grads = whole_numbers(count, dim, device)
    batches = make_batches(spread, rows, count, device)
    table.compare(
        f"{rows:,} x {dim}, {count:,} ids, {spread}",
        backward(F.embedding, weight, batches.ids, grads),
        [
            Peer(TORCH, backward(torch.nn.functional.embedding, weight, batches.ids, grads), same),
            Peer("embrow, atomics", with_atomics(backward(F.embedding, weight, batches.ids, grads)), same),
        ],
        items=count,
        moved=(rows + count + batches.touched) * dim * 4 + count * 8,
        copy_aim=0.7,
    )


def test_one_row(table: Table, scaled: Callable[[int], int], device: torch.device) -> None:
    """All gradients of a batch go to one row, as those of padding that nobody declared do."""
    full_rows, dim, full_count = SHAPES[1]
    rows, count = scaled(full_rows), scaled(full_count)
    weight = torch.zeros(rows, dim, device=device, requires_grad=True)
    grads = whole_numbers(count, dim, device)
    hot, even = (make_batches(spread, rows, count, device) for spread in (ONE_ROW, UNIFORM))
    table.compare(
        f"{rows:,} x {dim}, {count:,} ids, {ONE_ROW}",
        backward(F.embedding, weight, hot.ids, grads),
        [
            Peer(TORCH, backward(torch.nn.functional.embedding, weight, hot.ids, grads), same),
            Peer(f"embrow, {UNIFORM}", backward(F.embedding, weight, even.ids, grads), aim=1 / 1.5),
        ],
        items=count,
        moved=(rows + count + hot.touched) * dim * 4 + count * 8,
    )
