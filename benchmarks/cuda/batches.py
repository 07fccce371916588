"""Batches of ids on a device: many of them, so that no cache holds what the next call reads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from measure import Call
from torch import Tensor

SETS = 8
UNIFORM, ZIPF, ONE_ROW = "uniform", "zipf", "one row"


@dataclass(frozen=True)
class Batches:
    """Batches of one kind, and how many different rows one of them asks for, on average."""

    ids: list[Tensor]
    touched: int


def make_batches(spread: str, rows: int, count: int, device: torch.device) -> Batches:
    """Draw batches of `count` ids of a table of `rows`: evenly, by Zipf's law (exponent 1), or one row each."""
    random = torch.Generator(device).manual_seed(0)
    if spread == UNIFORM:
        ids = [torch.randint(rows, (count,), generator=random, device=device) for _ in range(SETS)]
    elif spread == ZIPF:
        cumulative = torch.arange(1, rows + 1, dtype=torch.float64, device=device).reciprocal_().cumsum_(0)
        # Frequent words lie anywhere in the table.
        order = torch.randperm(rows, generator=random, device=device)
        ids = []
        for _ in range(SETS):
            drawn = torch.rand(count, dtype=torch.float64, generator=random, device=device) * cumulative[-1]
            ids.append(order[torch.searchsorted(cumulative, drawn).clamp_(max=rows - 1)])
    else:
        ids = [torch.full((count,), rows * turn // SETS, device=device) for turn in range(SETS)]
    return Batches(ids, sum(len(torch.unique(one)) for one in ids) // SETS)


def in_turn(call: Callable[[Any], Any], inputs: Sequence[Any]) -> Call:
    """Return a call that takes the next of `inputs` each time; all contenders begin with the first."""
    turn = itertools.cycle(inputs)
    return lambda: call(next(turn))
