"""batch -> rows, under no_grad unless said: `python -m pytest benchmarks/bench_gather.py -s`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from table import Peer, Table
from torch import Tensor

import embrow.functional as F
from embrow.nn import Embedding

TITLE = (
    "embrow.functional.embedding and embedding_bag under no_grad unless said, each on the float32 table of its layer"
)
UNIT = "ids"
TORCH = f"torch {torch.__version__}"
SHAPES = [(10_000, 100, 2_048), (100_000, 300, 16_384), (1_000_000, 128, 32_768), (2_000_000, 64, 65_536)]


def batches(rows: int, count: int) -> Iterator[tuple[str, Tensor]]:
    """Draw `count` ids of a table of `rows`, evenly and by Zipf's law (exponent 1)."""
    random = np.random.default_rng(0)
    yield "uniform", torch.from_numpy(random.integers(0, rows, count))
    cumulative = np.cumsum(1 / np.arange(1, rows + 1))
    ranks = np.searchsorted(cumulative, random.random(count) * cumulative[-1])
    # Frequent words lie anywhere in the table.
    yield "zipf", torch.from_numpy(random.permutation(rows)[np.minimum(ranks, rows - 1)])


def tables(rows: int, dim: int) -> tuple[Tensor, Tensor]:
    """Make a table twice, each in the memory that its own layer asks for."""
    ours, theirs = (layer(rows, dim).weight.detach() for layer in (Embedding, torch.nn.Embedding))
    return ours, theirs.copy_(ours)


def same(ours: Tensor, theirs: Tensor) -> None:
    assert torch.equal(ours, theirs)


def test_embedding(table: Table, scaled: Callable[[int], int], threads: int) -> None:
    """Look up batches in tables from one that the caches hold to one far beyond them."""
    assert torch.get_num_threads() == threads
    for full_rows, dim, full_count in SHAPES:
        rows, count = scaled(full_rows), scaled(full_count)
        ours_table, their_table = tables(rows, dim)
        for name, ids in batches(rows, count):

            def ours(ids: Tensor = ids, weight: Tensor = ours_table) -> Tensor:
                return F.embedding(ids, weight)

            def theirs(ids: Tensor = ids, weight: Tensor = their_table) -> Tensor:
                return torch.nn.functional.embedding(ids, weight)

            with torch.no_grad():
                table.compare(
                    f"{rows:,} x {dim}, {count:,} ids, {name}",
                    ours,
                    [Peer(TORCH, theirs, same)],
                    items=count,
                    moved=2 * count * dim * 4 + count * 8,
                )
    table.note_ratios("torch")


LARGE_BYTES = 512 << 20


@pytest.mark.parametrize("dim", [128, 300])
def test_out(table: Table, scaled: Callable[[int], int], dim: int) -> None:
    """Look up into memory that is there, from a table many times as large as caches are: see "of copy rate"."""
    rows, count = scaled(LARGE_BYTES) // (dim * 4), scaled(LARGE_BYTES // 8) // (dim * 4)
    ours, theirs = tables(rows, dim)
    out, other = torch.empty(count, dim), torch.empty(count, dim)
    for name, ids in batches(rows, count):
        table.compare(
            f"{rows:,} x {dim}, {count:,} ids, {name}, out=",
            lambda ids=ids: F.embedding(ids, ours, out=out),
            [Peer(f"{TORCH} index_select", lambda ids=ids: torch.index_select(theirs, 0, ids, out=other), same)],
            items=count,
            moved=2 * count * dim * 4,
        )


BAG = 20
BAG_SHAPES = [(100_000, 300, 16_400), (1_000_000, 128, 32_760)]


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag(table: Table, scaled: Callable[[int], int], mode: str) -> None:
    """Pool bags of 20 ids, as nn.EmbeddingBag does in training, where its forward pass prepares for backward."""
    for full_rows, dim, full_count in BAG_SHAPES:
        rows, count = scaled(full_rows), scaled(full_count) // BAG * BAG
        ours_table, their_table = tables(rows, dim)
        for name, flat in batches(rows, count):
            for trained in (False, True):
                ours_table.requires_grad_(trained)
                their_table.requires_grad_(trained)
                ids = flat.reshape(-1, BAG)

                def ours(ids: Tensor = ids, weight: Tensor = ours_table) -> Tensor:
                    return F.embedding_bag(ids, weight, mode=mode)

                def theirs(ids: Tensor = ids, weight: Tensor = their_table) -> Tensor:
                    return torch.nn.functional.embedding_bag(ids, weight, mode=mode)

                table.compare(
                    f"{rows:,} x {dim}, {count:,} ids, {name}, {mode} of 20{', with grad' if trained else ''}",
                    ours,
                    [Peer(f"{TORCH} embedding_bag", theirs, close, aim=1.3)],
                    items=count,
                    moved=(count + count // BAG) * dim * 4 + count * 8,
                )
            ours_table.requires_grad_(False)
            their_table.requires_grad_(False)


@pytest.mark.parametrize("grad", [False, True])
def test_layer_overhead(table: Table, grad: bool) -> None:
    """Call the layer a thousand times on three ids, so that milliseconds read as microseconds a call."""
    theirs = torch.nn.Embedding(1000, 8)
    ours = Embedding.from_nn(theirs)
    ids = torch.tensor([1, 2, 3])

    def thousand(layer: torch.nn.Module) -> Tensor:
        for _ in range(1000):
            rows: Tensor = layer(ids)
        return rows

    with torch.set_grad_enabled(grad):
        table.compare(
            f"1,000 calls of 3 ids, {'with grad' if grad else 'no_grad'}",
            lambda: thousand(ours),
            [Peer(f"{TORCH} nn.Embedding", lambda: thousand(theirs), same)],
            items=3000,
            moved=1000 * (2 * 3 * 8 * 4 + 3 * 8),
        )
