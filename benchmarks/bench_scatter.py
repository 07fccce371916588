"""row gradients -> table gradient: `python -m pytest benchmarks/bench_scatter.py -s`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from bench_gather import BAG, BAG_SHAPES, SHAPES, TORCH, batches
from table import Peer, Table
from torch import Tensor

import embrow.functional as F

TITLE = "Dense backward of embrow.functional.embedding, and with forward of embedding_bag, float32 tables"
UNIT = "ids"


def test_dense_backward(table: Table, scaled: Callable[[int], int], threads: int) -> None:
    """Sum a batch's gradients into that of the whole table."""
    assert torch.get_num_threads() == threads
    # Both add thousands of gradients to one row in float32, in different orders.
    same = functools.partial(torch.testing.assert_close, rtol=1e-5, atol=1e-3)
    for full_rows, dim, full_count in SHAPES:
        rows, count = scaled(full_rows), scaled(full_count)
        weight = torch.zeros(rows, dim, requires_grad=True)
        grads = torch.randn(count, dim)
        for name, ids in batches(rows, count):

            def backward(out: Tensor, weight: Tensor = weight, grads: Tensor = grads) -> Tensor:
                return torch.autograd.grad(out, weight, grads, retain_graph=True)[0]

            ours = functools.partial(backward, F.embedding(ids, weight))
            theirs = functools.partial(backward, torch.nn.functional.embedding(ids, weight))
            touched = len(torch.unique(ids))
            # The table's zeros come as fresh memory from the system; only rows that were seen must be written.
            table.compare(
                f"{rows:,} x {dim}, {count:,} ids, {name}",
                ours,
                [Peer(TORCH, theirs, same)],
                items=count,
                moved=(count + touched) * dim * 4 + count * 8,
            )
    table.note_ratios("torch")


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_forward_and_dense_backward(table: Table, scaled: Callable[[int], int], mode: str) -> None:
    """Pool bags of 20 ids and sum the bags' gradients into that of the whole table."""
    same = functools.partial(torch.testing.assert_close, rtol=1e-5, atol=1e-3)
    for full_rows, dim, full_count in BAG_SHAPES:
        rows, count = scaled(full_rows), scaled(full_count) // BAG * BAG
        weight = torch.zeros(rows, dim, requires_grad=True)
        grads = torch.randn(count // BAG, dim)
        for name, ids in batches(rows, count):

            def step(pool: Callable[..., Tensor], ids: Tensor = ids, weight: Tensor = weight) -> Tensor:
                out = pool(ids.reshape(-1, BAG), weight, mode=mode)
                return torch.autograd.grad(out, weight, grads)[0]  # noqa: B023

            touched = len(torch.unique(ids))
            table.compare(
                f"{rows:,} x {dim}, {count:,} ids, {name}, {mode} of 20",
                functools.partial(step, F.embedding_bag),
                [
                    Peer(
                        f"{TORCH} embedding_bag",
                        functools.partial(step, torch.nn.functional.embedding_bag),
                        same,
                        aim=4,
                    )
                ],
                items=count,
                moved=(count + touched + 2 * count // BAG) * dim * 4 + count * 8,
            )
