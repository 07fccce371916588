"""row gradients -> table: training steps with sparse gradients, `python -m pytest benchmarks/bench_update.py -s`."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import peers
import pytest
import torch
from bench_gather import SHAPES, TORCH, batches
from table import Peer, Table
from torch import Tensor

from embrow import optim
from embrow.nn import Embedding

TITLE = "Forward, backward and step of a float32 table"
UNIT = "ids"
LR = 1e-3
# A training loop does nothing but steps of its own.
TURN_S = 0.1
# Name: ours, the rows of a table and its state that a step reads and writes for each row it updates.
RULES: dict[str, tuple[Any, int]] = {
    "SGD": (optim.SGD, 2),
    "Adagrad": (optim.Adagrad, 4),
    "RowwiseAdagrad": (optim.RowwiseAdagrad, 2),
    "Adam": (optim.Adam, 6),
}
# Name: theirs, our aim.
TORCHS = {"SGD": (torch.optim.SGD, 2.5), "Adagrad": (torch.optim.Adagrad, 5), "Adam": (torch.optim.SparseAdam, 8)}


def filled(layer: torch.nn.Embedding, weight: Tensor) -> torch.nn.Embedding:
    """Give a layer numbers, in the memory that it has asked for."""
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def trainer(
    layer: torch.nn.Module, optimizer: torch.optim.Optimizer, ids: Tensor, grads: Tensor
) -> Callable[[], Tensor]:
    """Return one whole training step: forward, backward, update."""

    def step() -> Tensor:
        optimizer.zero_grad()
        layer(ids).backward(grads)
        optimizer.step()
        return layer.weight.detach()  # type: ignore[no-any-return, union-attr, operator]

    return step


# Both add thousands of gradients to one row in float32, in different orders.
near = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)


@pytest.fixture(autouse=True)
def unchecked() -> None:
    torch.sparse.check_sparse_tensor_invariants.disable()


@pytest.mark.parametrize("name", RULES)
def test_step(table: Table, scaled: Callable[[int], int], threads: int, name: str) -> None:
    """Train tables from one that the caches hold to one far beyond them."""
    assert torch.get_num_threads() == threads
    ours, passes = RULES[name]
    for full_rows, dim, full_count in SHAPES:
        rows, count = scaled(full_rows), scaled(full_count)
        weight, grads = torch.randn(rows, dim), torch.randn(count, dim)
        for spread, ids in batches(rows, count):
            layer = filled(Embedding(rows, dim, sparse=True), weight)
            others = []
            if name in TORCHS:
                theirs, aim = TORCHS[name]
                their_layer = filled(torch.nn.Embedding(rows, dim, sparse=True), weight)
                optimizer = theirs(their_layer.parameters(), lr=LR)
                others.append(Peer(f"{TORCH} sparse", trainer(their_layer, optimizer, ids, grads), near, aim))
            if name in ("SGD", "RowwiseAdagrad"):
                others += [
                    peers.fbgemm_step(name, weight, ids, grads, LR, pooling, near, 2) for pooling in ("NONE", "SUM")
                ]
            touched = len(torch.unique(ids))
            table.compare(
                f"{name}, {rows:,} x {dim}, {count:,} ids, {spread}",
                trainer(layer, ours(layer.parameters(), lr=LR), ids, grads),
                others,
                items=count,
                # Gathered rows and their gradients are the layers' before and after this one.
                moved=(count + passes * touched) * dim * 4,
                turn_s=TURN_S,
            )


# Rows, columns, texts of a batch, ids of each.
MODELS = [(10_000, 100, 32, 20), (10_000, 100, 64, 32), (100_000, 300, 256, 64), (1_000_000, 128, 512, 64)]
HIDDEN = 64


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_models(table: Table, scaled: Callable[[int], int], threads: int, sparse: bool) -> None:
    """Train a small classifier whose dense layers, PyTorch's, come between lookup and update."""
    assert torch.get_num_threads() == threads
    # The dense gradients of large tables are bench_scatter's, and their steps PyTorch's own.
    for full_rows, dim, batch, length in MODELS if sparse else MODELS[:2]:
        rows = scaled(full_rows)
        torch.manual_seed(0)
        first = torch.nn.Embedding(rows, dim, sparse=sparse)
        head = torch.nn.Sequential(torch.nn.Linear(dim, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 2))
        labels = torch.randint(2, (batch,))
        for spread, ids in batches(rows, batch * length):

            def steps(
                kind: type[torch.nn.Embedding],
                rule: Any,
                ids: Tensor = ids,
                shape: tuple[int, int] = (batch, length),
                first: torch.nn.Embedding = first,
                head: torch.nn.Module = head,
                labels: Tensor = labels,
            ) -> Callable[[], Tensor]:
                layer = filled(kind(*first.weight.shape, sparse=sparse), first.weight)
                dense = copy.deepcopy(head)
                of_rows, of_dense = rule(layer.parameters(), lr=LR), torch.optim.SGD(dense.parameters(), lr=LR)

                def step() -> Tensor:
                    of_rows.zero_grad()
                    of_dense.zero_grad()
                    torch.nn.functional.cross_entropy(dense(layer(ids.view(shape)).mean(1)), labels).backward()
                    of_rows.step()
                    of_dense.step()
                    return layer.weight.detach()

                return step

            touched = len(torch.unique(ids))
            table.compare(
                f"{'sparse' if sparse else 'dense'} model, {rows:,} x {dim}, {batch} x {length} ids, {spread}",
                steps(Embedding, optim.SGD if sparse else torch.optim.SGD),
                [Peer(f"{TORCH} nn.Embedding", steps(torch.nn.Embedding, torch.optim.SGD), near)],
                items=batch * length,
                moved=(batch * length + 2 * touched) * dim * 4,
                turn_s=TURN_S,
            )


def test_dense_training(table: Table, scaled: Callable[[int], int], threads: int) -> None:
    """Adam with the numbers of dense gradients, from sparse ones, beside the fused step of dense ones."""
    assert torch.get_num_threads() == threads
    full_rows, dim, full_count = SHAPES[2]
    rows, count = scaled(full_rows), scaled(full_count)
    weight, grads = torch.randn(rows, dim), torch.randn(count, dim)
    for spread, ids in batches(rows, count):
        layer = filled(Embedding(rows, dim, sparse=True), weight)
        ours = optim.Adam(layer.parameters(), lr=LR, catch_up=True)
        ours.attach(layer)
        dense = filled(torch.nn.Embedding(rows, dim), weight)
        theirs = torch.optim.Adam(dense.parameters(), lr=LR, fused=True)
        table.compare(
            f"Adam that catches up, {rows:,} x {dim}, {count:,} ids, {spread}",
            trainer(layer, ours, ids, grads),
            [Peer(f"{TORCH} dense fused", trainer(dense, theirs, ids, grads), near, 50)],
            items=count,
            moved=(count + 6 * len(torch.unique(ids))) * dim * 4,
            turn_s=TURN_S,
        )


def test_ratios(table: Table) -> None:
    """Sum up each optimizer against each peer."""
    for name in [*RULES, "Adam that catches up"]:
        for peer in ("torch", "fbgemm"):
            table.note_ratios(peer, f"{name},")
    for name in ("sparse model", "dense model"):
        table.note_ratios("torch", f"{name},")
