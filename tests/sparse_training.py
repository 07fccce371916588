"""A model with a table, batches for it and a loop that trains it: what the tests of the optimizers share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

ROWS, DIM = 50, 13


class Model(nn.Module):
    """A table, and a dense layer after it."""

    def __init__(self, sparse: bool, dtype: torch.dtype = torch.float64):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        weight = torch.randn(ROWS, DIM, generator=generator, dtype=dtype)
        self.table = nn.Embedding(ROWS, DIM, sparse=sparse, padding_idx=0, _weight=weight)
        self.linear = nn.Linear(DIM, 1, dtype=dtype)
        nn.init.constant_(self.linear.weight, 0.3)
        nn.init.constant_(self.linear.bias, 0.1)

    def forward(self, ids: Tensor) -> Tensor:
        return self.linear(self.table(ids)).tanh().mean()

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.table.weight]}, {"params": self.linear.parameters(), "lr": 0.02}]


def batches(steps: int, seed: int = 0) -> list[Tensor]:
    """Batches with duplicates and padding; most rows are seen now and then, the last fifteen once in thirty steps."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(0, ROWS if step % 30 == 0 else ROWS - 15, (3, 5), generator=generator) for step in range(steps)
    ]


def train(
    model: Model,
    optimizers: list[Any],
    data: list[Tensor],
    schedule: bool = False,
    scale: float = 1.0,
) -> list[float]:
    schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(one, 40) for one in optimizers] if schedule else []
    losses = []
    for ids in data:
        loss = model(ids)
        losses.append(loss.item())
        for one in optimizers:
            one.zero_grad()
        (loss * scale).backward()
        for one in optimizers:
            one.step()
        for scheduler in schedulers:
            scheduler.step()
    return losses


def assert_same(ours: Model, theirs: Model, atol: float = 1e-6) -> None:
    for name, found in ours.state_dict().items():
        torch.testing.assert_close(
            found, theirs.state_dict()[name], rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}"
        )
