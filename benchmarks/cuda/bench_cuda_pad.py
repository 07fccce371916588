"""ids -> batch on a GPU: `python -m pytest benchmarks/cuda/bench_cuda_pad.py --device cuda -s`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from batches import in_turn
from bench_cuda_gather import TORCH, same
from table import Peer, Table
from torch import Tensor

from embrow import pad_sequences

TITLE = "pad_sequences of ids and offsets on the device, 2,000,000 rows of 11 to 31 ids"
UNIT = "ids"
ROWS, SHORTEST, LONGEST = 2_000_000, 11, 31
SETS = 4


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_pad(table: Table, scaled: Callable[[int], int], device: torch.device, side: str, dtype: str) -> None:
    """Pad on either side, and write half as many bytes."""
    rows = scaled(ROWS)
    random = torch.Generator(device).manual_seed(0)
    sets: list[tuple[Tensor, Tensor]] = []
    for _ in range(SETS):
        lengths = torch.randint(SHORTEST, LONGEST + 1, (rows,), generator=random, device=device)
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        sets.append((torch.randint(2, 100_000, (int(offsets[-1]),), generator=random, device=device), offsets))
    pad = functools.partial(pad_sequences, max_length=LONGEST, padding_side=side, dtype=dtype, return_tensors="pt")
    others = []
    if side == "right" and dtype == "int64":
        nested = [torch.nested.nested_tensor_from_jagged(*one, max_seqlen=LONGEST) for one in sets]
        others = [Peer(f"{TORCH} nested, to_padded_tensor", in_turn(lambda one: one.to_padded_tensor(0), nested), same)]
    count = len(sets[0][0])
    width = 8 if dtype == "int64" else 4
    table.compare(
        f"{rows:,} rows, {side}, {dtype}",
        in_turn(pad, sets),
        others,
        items=count,
        moved=(count + rows + 1) * 8 + rows * LONGEST * width,
    )
