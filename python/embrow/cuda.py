"""What is particular to GPUs: when ids outside a table are told, and in which order gradients are added up."""

from __future__ import annotations

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError('embrow.cuda needs PyTorch: pip install "embrow[torch]"') from error

from embrow import _gpu
from embrow._tensors import device_of

__all__ = ["allow_atomic_gradients", "synchronize"]


def synchronize(device: torch.device | str | int | None = None) -> None:
    """Wait for a GPU; raise what embrow's kernels found wrong with the ids they were given.

    A lookup on a GPU does not wait to learn whether all ids are rows of the table. An id that is none gets a row of
    zeros and is recorded; the error is raised here, or by a later call of embrow for the same device that finds it
    recorded, whichever comes first. The device stays usable, unlike after an error of PyTorch's own kernels.

    Parameters
    ----------
    device : torch.device, str or int, optional
        Default: the current one.

    Raises
    ------
    IndexError
        An id given to a lookup or an optimizer is outside the table; names the position and the value of the first.
    RuntimeError
        The same of the ids of bags.
    """
    where = torch.device("cuda", torch.cuda.current_device()) if device is None else device_of(device)
    if where.type == "cuda" and where.index is None:
        where = torch.device("cuda", torch.cuda.current_device())
    _gpu.synchronize(where)
    _gpu.raise_recorded(where)


def allow_atomic_gradients(allowed: bool = True) -> None:
    """Let dense gradients of float32 and float64 tables be added up in whatever order is quickest.

    The gradient of a row that a batch holds more than 32 times is then added to by atomics, and its last bits may
    differ from run to run. By default the order is fixed, and the bits are those of the CPU. Concerns all threads;
    gradients of 16-bit tables, sparse ones and the steps of `embrow.optim` keep their order.

    Parameters
    ----------
    allowed : bool
    """
    _gpu.atomic_gradients = allowed
