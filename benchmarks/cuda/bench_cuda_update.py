"""row gradients -> table on a GPU: `python -m pytest benchmarks/cuda/bench_cuda_update.py --device cuda -s`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import peers
import pytest
import torch
from batches import ONE_ROW, UNIFORM, ZIPF, in_turn, make_batches
from bench_update import LR, RULES, TORCH, TORCHS
from measure import Call
from table import Peer, Table
from torch import Tensor

from embrow import optim
from embrow.nn import Embedding

TITLE = "Backward and step of a float32 table with sparse gradients"
UNIT = "ids"
SHAPES = [(4_000_000, 128, 1_000_000), (8_000_000, 64, 2_000_000)]

# A row's gradients are added in different orders.
near = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        yield


def trainer(layer: torch.nn.Module, optimizer: torch.optim.Optimizer, ids: list[Tensor], grads: Tensor) -> Call:
    """Return what updates a table from the gradients of rows that were looked up before."""

    def step(rows: Tensor) -> Tensor:
        optimizer.zero_grad()
        rows.backward(grads, retain_graph=True)
        optimizer.step()
        return layer.weight.detach()  # type: ignore[no-any-return, union-attr, operator]

    return in_turn(step, [layer(one) for one in ids])


def contender(name: str, weight: Tensor, ids: list[Tensor], grads: Tensor) -> Call:
    layer = Embedding(*weight.shape, sparse=True, _weight=weight.clone())
    return trainer(layer, RULES[name][0](layer.parameters(), lr=LR), ids, grads)


@pytest.mark.parametrize("spread", [UNIFORM, ZIPF])
@pytest.mark.parametrize(("full_rows", "dim", "full_count"), SHAPES)
@pytest.mark.parametrize("name", RULES)
def test_step(
    table: Table,
    scaled: Callable[[int], int],
    device: torch.device,
    name: str,
    full_rows: int,
    dim: int,
    full_count: int,
    spread: str,
) -> None:
    rows, count = scaled(full_rows), scaled(full_count)
    weight, grads = torch.randn(rows, dim, device=device), torch.randn(count, dim, device=device)
    batches = make_batches(spread, rows, count, device)
    others = []
    if name in TORCHS:
        theirs = torch.nn.Embedding(rows, dim, sparse=True, _weight=weight.clone())
        optimizer = TORCHS[name][0](theirs.parameters(), lr=LR)
        others.append(Peer(f"{TORCH} sparse", trainer(theirs, optimizer, batches.ids, grads), near))
    if name in ("SGD", "RowwiseAdagrad"):
        others += [
            peers.fbgemm_backward(name, weight, batches.ids, grads, LR, pooling, near) for pooling in ("NONE", "SUM")
        ]
    # Rowwise Adagrad keeps one number a row.
    states = 8 * batches.touched if name == "RowwiseAdagrad" else 0
    table.compare(
        f"{name}, {rows:,} x {dim}, {count:,} ids, {spread}",
        contender(name, weight, batches.ids, grads),
        others,
        items=count,
        moved=(count + RULES[name][1] * batches.touched) * dim * 4 + states + count * 8,
        copy_aim=0.5,
    )


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_one_row(table: Table, scaled: Callable[[int], int], device: torch.device, name: str) -> None:
    """All gradients of a batch go to one row."""
    full_rows, dim, full_count = SHAPES[0]
    rows, count = scaled(full_rows), scaled(full_count)
    weight, grads = torch.randn(rows, dim, device=device), torch.randn(count, dim, device=device)
    hot, even = (make_batches(spread, rows, count, device) for spread in (ONE_ROW, UNIFORM))
    table.compare(
        f"{name}, {rows:,} x {dim}, {count:,} ids, {ONE_ROW}",
        contender(name, weight, hot.ids, grads),
        [Peer(f"embrow, {UNIFORM}", contender(name, weight, even.ids, grads), aim=1 / 1.5)],
        items=count,
        moved=(count + RULES[name][1] * hot.touched) * dim * 4 + count * 8,
    )


@pytest.mark.parametrize("spread", [UNIFORM, ZIPF])
def test_dense_training(table: Table, scaled: Callable[[int], int], device: torch.device, spread: str) -> None:
    """Adam with the numbers of dense gradients, from sparse ones, beside the fused step of dense ones."""
    full_rows, dim, full_count = SHAPES[0]
    rows, count = scaled(full_rows), scaled(full_count)
    weight, grads = torch.randn(rows, dim, device=device), torch.randn(count, dim, device=device)
    batches = make_batches(spread, rows, count, device)
    layer = Embedding(rows, dim, sparse=True, _weight=weight.clone())
    ours = optim.Adam(layer.parameters(), lr=LR, catch_up=True)
    ours.attach(layer)
    dense = torch.nn.Embedding(rows, dim, _weight=weight.clone())
    theirs = torch.optim.Adam(dense.parameters(), lr=LR, fused=True)

    def training(layer: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Call:
        # The lookup belongs to it: that is when rows catch up.
        def step(ids: Tensor) -> Tensor:
            optimizer.zero_grad()
            layer(ids).backward(grads)
            optimizer.step()
            return layer.weight.detach()  # type: ignore[no-any-return, union-attr, operator]

        return in_turn(step, batches.ids)

    table.compare(
        f"forward and Adam that catches up, {rows:,} x {dim}, {count:,} ids, {spread}",
        training(layer, ours),
        [Peer(f"{TORCH} dense fused", training(dense, theirs), near)],
        items=count,
        # The forward pass reads each row once and writes the batch; the rest is a step's.
        moved=(2 * count + 7 * batches.touched) * dim * 4 + count * 8,
    )
