"""What the checks that run in several processes at once share: the processes, a model, batches and comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

ROWS, DIM, STEPS = 23, 6, 3
# Ids of a batch, the same number in each process.
SHARE = 12


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them."""

    rank: int
    size: int
    mesh: DeviceMesh
    folder: Path  # outlives the run

    @property
    def device(self) -> torch.device:
        return torch.device(self.mesh.device_type)


Check = Callable[[World], None]


class Model(nn.Module):
    """A table, pooled or not, and a dense layer after it."""

    def __init__(self, table: nn.Module, dim: int = DIM):
        super().__init__()
        self.table = table
        self.linear = nn.Linear(dim, 3)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(3, dim, generator=generator))
            self.linear.bias.copy_(torch.randn(3, generator=generator))

    def forward(self, ids: Tensor) -> Tensor:
        return self.linear(self.table(ids)).tanh()


def table_of(kind: type[Any], rows: int = ROWS, dim: int = DIM, **settings: Any) -> Any:
    """Make a layer whose table is the same in every process and for every kind of layer."""
    weight = torch.randn(rows, dim, generator=torch.Generator().manual_seed(7))
    return kind(rows, dim, _weight=weight, **settings)


def batches(processes: int, rows: int = ROWS, steps: int = STEPS) -> list[Tensor]:
    """Batches of the whole world, shape (processes, SHARE / 3, 3), with duplicates within and between processes."""
    generator = torch.Generator().manual_seed(11)
    return [torch.randint(0, rows, (processes, SHARE // 3, 3), generator=generator) for _ in range(steps)]


def loss_of(out: Tensor) -> Tensor:
    return out.square().mean()


def whole(tensor: Tensor) -> Tensor:
    """Return all elements of a tensor that processes share, sparse ones as dense ones."""
    if isinstance(tensor, DTensor):
        tensor = tensor.full_tensor()
    return tensor.detach().to_dense().cpu()


def assert_close(found: Tensor, expected: Tensor, what: str) -> None:
    torch.testing.assert_close(whole(found), whole(expected), rtol=0, atol=1e-6, msg=lambda m: f"{what}: {m}")


def assert_same_parameters(found: nn.Module, expected: nn.Module) -> None:
    pairs = zip(found.parameters(), expected.named_parameters(), strict=True)
    for one, (name, other) in pairs:
        assert_close(one, other, name)
