"""batch -> rows on a GPU: `python -m pytest benchmarks/cuda/bench_cuda_gather.py --device cuda -s`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import peers
import pytest
import torch
from batches import UNIFORM, ZIPF, in_turn, make_batches
from table import Peer, Table
from torch import Tensor

import embrow.functional as F

TITLE = "embrow.functional.embedding and embedding_bag under no_grad, tables of 2 GiB, batches of 512 MiB of rows"
UNIT = "ids"
TORCH = f"torch {torch.__version__}"
TABLE_BYTES, BATCH_BYTES = 2 << 30, 512 << 20
SHAPES = [
    (torch.float32, 16),
    (torch.float32, 64),
    (torch.float32, 128),
    (torch.float32, 300),
    (torch.float32, 1024),
    (torch.bfloat16, 128),
]
BAG = 20


def same(ours: Tensor, theirs: Tensor) -> None:
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("spread", [UNIFORM, ZIPF])
@pytest.mark.parametrize(("dtype", "dim"), SHAPES)
@torch.no_grad()
def test_embedding(
    table: Table, scaled: Callable[[int], int], device: torch.device, dtype: torch.dtype, dim: int, spread: str
) -> None:
    """Look up rows of 64 bytes to 4 KiB in a table far beyond the caches."""
    row_bytes = dim * dtype.itemsize
    rows, count = scaled(TABLE_BYTES // row_bytes), scaled(BATCH_BYTES // row_bytes)
    weight = torch.randn(rows, dim, device=device).to(dtype)
    batches = make_batches(spread, rows, count, device)
    others = [Peer(TORCH, in_turn(lambda ids: torch.nn.functional.embedding(ids, weight), batches.ids), same)]
    if dtype == torch.float32:
        others.append(peers.fbgemm_lookup(weight, batches.ids, 1, "NONE", same))
    table.compare(
        f"{rows:,} x {dim} {str(dtype).removeprefix('torch.')}, {count:,} ids, {spread}",
        in_turn(lambda ids: F.embedding(ids, weight), batches.ids),
        others,
        items=count,
        moved=(count + batches.touched) * row_bytes + count * 8,
        copy_aim=0.8 if row_bytes == 512 else None,
    )


@pytest.mark.parametrize("spread", [UNIFORM, ZIPF])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@torch.no_grad()
def test_embedding_bag(
    table: Table, scaled: Callable[[int], int], device: torch.device, mode: str, spread: str
) -> None:
    """Pool bags of 20 ids."""
    dim = 128
    rows, bags = scaled(TABLE_BYTES // (dim * 4)), scaled(BATCH_BYTES // (dim * 4 * BAG))
    weight = torch.randn(rows, dim, device=device)
    batches = make_batches(spread, rows, bags * BAG, device)
    close = functools.partial(torch.testing.assert_close, rtol=1e-5, atol=1e-4)

    def pooled(pool: Callable[..., Tensor]) -> Callable[[], Tensor]:
        return in_turn(lambda ids: pool(ids.reshape(-1, BAG), weight, mode=mode), batches.ids)

    others = [Peer(f"{TORCH} embedding_bag", pooled(torch.nn.functional.embedding_bag), close)]
    if mode != "max":
        others.append(peers.fbgemm_lookup(weight, batches.ids, BAG, mode.upper(), close))
    table.compare(
        f"{rows:,} x {dim}, {bags * BAG:,} ids, {spread}, {mode} of {BAG}",
        pooled(F.embedding_bag),
        others,
        items=bags * BAG,
        moved=(batches.touched + bags) * dim * 4 + bags * BAG * 8,
    )
