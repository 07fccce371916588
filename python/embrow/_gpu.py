"""The kernels on a GPU, told where they work: the device, its current stream, workspaces, and records of bad ids.

No call waits for the device. What a kernel finds wrong it writes to a record in pinned host memory, which every later
call looks at, and `embrow.cuda.synchronize` after waiting.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
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

    def use(self, *tensors: Tensor) -> None:
        """Keep memory that was allocated for another stream until this one is done with it."""
        for tensor in tensors:
            if tensor.is_cuda:
                tensor.record_stream(torch.cuda.current_stream())

    def staging(self, words: int) -> Record:
        """Return memory of the host for `words` of 8 bytes to be copied from, which may be dropped meanwhile."""
        return _pinned(words)

    def record(self, kind: str) -> int:
        """Return the address of the record of what is wrong; `kind` is a key of `_errors`."""
        key = (self.device, self.stream, kind)
        found = _records.get(key)
        if found is None:
            found = _records.setdefault(key, _clear_record(len(_errors[kind])))
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


atomic_gradients = False


def adds_atomically(dtype: torch.dtype) -> bool:
    """Whether dense gradients of a dtype may be added up in whatever order."""
    return atomic_gradients and dtype.itemsize >= 4


# One for each device, stream and kind, as kernels at work at the same time would mix theirs.
_records: dict[tuple[torch.device, int, str], Record] = {}
_nothing = -1

# What a record has room for, one fault after another, and what each is told as.
_errors: dict[str, tuple[tuple[type[Exception], str], ...]] = {
    "lookup": ((IndexError, "bad_id_message"),),
    "bag": ((RuntimeError, "bad_bag_id_message"), (RuntimeError, "bad_offset_message")),
}


def _clear_record(faults: int) -> Record:
    # Each is position, value and rows, as in csrc/common/id_fault.h.
    record: Record = _pinned(3 * faults)
    record[:] = _nothing
    return record


def _pinned(words: int) -> Record:
    array: Record = torch.empty(words, dtype=torch.int64, pin_memory=True).numpy()
    return array


def raise_recorded(device: torch.device) -> None:
    """Raise what kernels have found wrong on a device; wait for them if they have found anything."""
    for (where, _, kind), record in list(_records.items()):
        if where == device and (record[::3] != _nothing).any():
            # Others may be about to find a lower position.
            synchronize(device)
            faults = record.reshape(-1, 3).tolist()
            record[:] = _nothing
            for fault, (error, message) in zip(faults, _errors[kind], strict=True):
                if fault[0] != _nothing:
                    raise error(getattr(_module(), message)(*fault))
