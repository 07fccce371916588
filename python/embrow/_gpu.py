"""The kernels on a GPU, told where they work: the device, its current stream, workspaces, and records of bad ids.

A kernel is not waited for to learn whether its ids were right: what it finds wrong it writes to a record in pinned host
memory, which every later call looks at, and `embrow.cuda.synchronize` after waiting.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading
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


def inside(ids: Tensor, rows: int) -> Tensor:
    """Return ids that kernels of PyTorch's may take: those outside the table, which are recorded, as some within."""
    return ids.clamp(0, rows - 1) if holds(ids) and rows > 0 else ids


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

    def rectangle(self, call: str, out: Tensor | None, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
        """Return `out`, which must fit, for a kernel to write to; or a new tensor."""
        if out is None:
            return torch.empty(shape, dtype=dtype, device=self.device)
        if out.dtype != dtype or out.shape != shape or out.device != self.device or not out.is_contiguous():
            raise ValueError(
                f"{call}: out must be a contiguous tensor of {dtype} on {self.device}, shape {shape}; found "
                f"{out.dtype} on {out.device}, shape {tuple(out.shape)}"
            )
        torch.autograd.graph.increment_version(out)
        return out

    def record(self, kind: str) -> int:
        """Return the address of the record of what is wrong; `kind` is a key of `_errors`."""
        key = (self.device, self.stream, kind)
        found = _records.get(key)
        if found is None:
            with _taking:
                found = _records.setdefault(key, _spare(self.device).pop())
        return int(found.ctypes.data)


@contextmanager
def launching(device: torch.device) -> Iterator[Launch]:
    """Make a device the current one; raise what earlier kernels found there."""
    module = _module()
    assert module is not None
    with _current(device) as stream:
        if _found_fault(device) and not is_capturing():
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
# Records for streams yet to come: while one captures a graph, nothing can be allocated.
_spares: dict[torch.device, list[Record]] = {}
_taking = threading.Lock()
_block_records = 64
nothing = -1  # every word of a record where nothing went wrong

# What each fault of a record is told as; of several the first is.
_errors: dict[str, tuple[tuple[type[Exception], str], ...]] = {
    "lookup": ((IndexError, "bad_id_message"),),
    "bag": ((RuntimeError, "bad_bag_id_message"), (RuntimeError, "bad_offset_message")),
}
# Of each fault position, value and rows, as in csrc/common/id_fault.h.
_fault_words = 3
record_words = _fault_words * max(map(len, _errors.values()))


def _spare(device: torch.device) -> list[Record]:
    spares = _spares.setdefault(device, [])
    if not spares:
        block = _pinned(_block_records * record_words)
        block[:] = nothing
        spares.extend(block.reshape(_block_records, record_words))
    return spares


def _pinned(words: int) -> Record:
    array: Record = torch.empty(words, dtype=torch.int64, device="cpu", pin_memory=True).numpy()
    return array


def is_capturing() -> bool:
    """Whether what is launched now becomes part of a graph."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _found_fault(device: torch.device) -> bool:
    return any(
        where == device and (record[::_fault_words] != nothing).any() for (where, *_), record in list(_records.items())
    )


def raise_recorded(device: torch.device) -> None:
    """Raise what kernels have found wrong on a device; wait for them if they have found anything."""
    if not _found_fault(device):
        return
    # Others may be about to find a lower position.
    synchronize(device)
    for (where, _, kind), record in list(_records.items()):
        if where != device:
            continue
        error = error_of(kind, record)
        record[:] = nothing
        if error is not None:
            raise error


def error_of(kind: str, record: Record) -> Exception | None:
    """Return what a record tells; None if nothing went wrong."""
    for fault, (error, message) in zip(record.reshape(-1, _fault_words).tolist(), _errors[kind], strict=False):
        if fault[0] != nothing:
            return error(getattr(_module(), message)(*fault))
    return None
