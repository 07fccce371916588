"""The kernels on a GPU, told where they work: the device, its current stream, workspaces, and records of bad ids.

No call waits for the device. What a kernel finds wrong it writes to a record in pinned host memory, which every later
call looks at, and `embrow.cuda.synchronize` after waiting.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Record = npt.NDArray[np.int64]


@functools.cache
def _module() -> ModuleType | None:
    """The module of the kernels, if this build of embrow has it."""
    return None if importlib.util.find_spec("embrow._cuda") is None else importlib.import_module("embrow._cuda")


def holds(tensor: Tensor) -> bool:
    """Whether a tensor lies on a GPU and these kernels serve it there."""
    return tensor.is_cuda and _module() is not None


def served(device: torch.device | str | int) -> torch.device | None:
    """Return the device named, with its number, if it is a GPU and these kernels serve it."""
    where = torch.device(device)
    if where.type != "cuda" or _module() is None or not torch.cuda.is_available():
        return None
    return where if where.index is not None else torch.device("cuda", torch.cuda.current_device())


class Launch(NamedTuple):
    """Where a kernel works."""

    kernels: ModuleType
    device: torch.device
    stream: int

    def workspace(self, size: int) -> Tensor:
        """Return memory for `size` bytes, which may be dropped as soon as the kernel is launched."""
        return torch.empty(size, dtype=torch.uint8, device=self.device)

    def staging(self, words: int) -> Record:
        """Return memory of the host for `words` of 8 bytes to be copied from, which may be dropped meanwhile."""
        return _pinned(words)

    def record(self, kind: str) -> int:
        """Return the address of the record of what is wrong; `kind` is a key of `errors`."""
        key = (self.device, self.stream, kind)
        found = _records.get(key)
        if found is None:
            found = _records.setdefault(key, _clear_record())
        return int(found.ctypes.data)


@contextmanager
def launching(device: torch.device) -> Iterator[Launch]:
    """Make a device the current one; raise what earlier kernels found there."""
    module = _module()
    assert module is not None
    with _current(device) as stream:
        raise_recorded(device)
        yield Launch(module, device, stream)


@contextmanager
def _current(device: torch.device) -> Iterator[int]:
    with torch.cuda.device(device):
        yield torch.cuda.current_stream().cuda_stream


def synchronize(device: torch.device) -> None:
    torch.cuda.synchronize(device)


# One for each device, stream and kind, as kernels at work at the same time would mix theirs.
_records: dict[tuple[torch.device, int, str], Record] = {}
_nothing = -1

# What the position, the value and the rows of a record are told as.
errors: dict[str, Callable[[int, int, int], Exception]] = {
    "lookup": lambda *fault: IndexError(_message("bad_id_message", *fault)),
    "bag": lambda *fault: RuntimeError(_message("bad_bag_id_message", *fault)),
}


def _message(name: str, *fault: int) -> str:
    message: str = getattr(_module(), name)(*fault)
    return message


def _clear_record() -> Record:
    # csrc/common/id_fault.h
    record: Record = _pinned(3)
    record[:] = _nothing
    return record


def _pinned(words: int) -> Record:
    array: Record = torch.empty(words, dtype=torch.int64, pin_memory=True).numpy()
    return array


def raise_recorded(device: torch.device) -> None:
    """Raise what kernels have found wrong on a device; wait for them if they have found anything."""
    for (where, _, kind), record in list(_records.items()):
        if where == device and record[0] != _nothing:
            # Others may be about to find a lower position.
            synchronize(device)
            fault = (int(record[0]), int(record[1]), int(record[2]))
            record[:] = _nothing
            raise errors[kind](*fault)
