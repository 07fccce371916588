"""Parameters whose rows are split over processes, DTensors: the rows that lie here."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


def is_shared(tensor: Tensor) -> bool:
    """Whether processes share a tensor, as a DTensor; asks without importing what that takes."""
    if type(tensor) is Parameter or type(tensor) is Tensor:
        return False
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def is_split_by_rows(tensor: Any) -> bool:
    """Whether a DTensor's rows, and nothing else, are split over the processes of a mesh of one dimension."""
    from torch.distributed.tensor import Shard

    return tensor.device_mesh.ndim == 1 and tuple(tensor.placements) == (Shard(0),)


def local_rows(tensor: Any) -> Tensor:
    """Return the rows that lie here, over the same memory."""
    if not is_shared(tensor):
        found: Tensor = tensor
        return found
    with torch.no_grad():
        here: Tensor = tensor.to_local()
    return here


def bounds(rows: int, processes: int) -> list[int]:
    """Return where each process's rows begin, and the last one's end, as Shard(0) splits them."""
    most = -(-rows // processes)
    return [min(most * process, rows) for process in range(processes + 1)]


def first_row(tensor: Any) -> int:
    """Return the number of the first row that lies here."""
    mesh = tensor.device_mesh
    first: int = bounds(tensor.size(0), mesh.size())[mesh.get_local_rank()]
    return first


def row_numbers(parameter: Tensor, initial: float) -> Tensor:
    """Make a float32 number for each row of a parameter, where the row lies."""
    here = local_rows(parameter)
    numbers = torch.full((here.size(0) if here.dim() else 1,), initial, dtype=torch.float32, device=here.device)
    return share_like(numbers, parameter) if is_shared(parameter) else numbers


def share_like(here: Tensor, parameter: Any) -> Tensor:
    """Make the whole of what processes hold for each of their rows of a parameter."""
    from torch.distributed.tensor import DTensor

    shape = torch.Size([parameter.size(0), *here.shape[1:]])
    stride = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(
        here, parameter.device_mesh, parameter.placements, run_check=False, shape=shape, stride=stride
    )


def of_every_process(number: Tensor, parameter: Any) -> Tensor:
    """Return a number of each of the processes that share a parameter, in order; all of them must ask."""
    from torch.distributed.tensor import DTensor, Shard

    numbers = DTensor.from_local(number.reshape(1), parameter.device_mesh, [Shard(0)], run_check=False)
    found: Tensor = numbers.full_tensor()
    return found
