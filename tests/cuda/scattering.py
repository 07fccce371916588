"""One scatter on the device, and the same by the CPU's kernel."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from records import Record

from embrow import _core

STREAM = 0
ITEMS = {"float32": np.float32, "float64": np.float64, "bfloat16": np.uint16, "float16": np.float16}


def random_rows(dtype: str, shape: tuple[int, int], seed: int = 0) -> NDArray[Any]:
    """Numbers of many sizes, so that no two orders add them up to the same bits; bfloat16 as its bits."""
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal(shape) * np.exp2(generator.integers(-3, 4, shape))
    if dtype == "bfloat16":
        return (rows.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return rows.astype(ITEMS[dtype])


@dataclass(frozen=True)
class Bags:
    """Where bags of ids begin, or how many ids each has; what each id's row is multiplied by."""

    count: int
    mode: str = "sum"
    offsets: NDArray[np.int32] | NDArray[np.int64] | None = None
    width: int = 0
    weights: NDArray[Any] | None = None


@dataclass(frozen=True)
class Scatter:
    """Gradients of `dtype`, `gap` elements between rows (below 0: they overlap), from `grads_offset` of a block."""

    dtype: str
    rows: int
    dim: int
    ids: NDArray[np.int32] | NDArray[np.int64]
    gap: int = 0
    grads_offset: int = 0
    padding_idx: int = -1
    mean: bool = False
    atomic: bool = False
    bags: Bags | None = None
    seed: int = 0

    def block(self) -> NDArray[Any]:
        count = self.ids.size if self.bags is None else self.bags.count
        rows = random_rows(self.dtype, (count, self.dim + max(self.gap, 0)), self.seed).reshape(-1)
        return np.concatenate([np.zeros(self.grads_offset, rows.dtype), rows])

    def zeros(self) -> NDArray[Any]:
        return np.zeros((self.rows, self.dim), ITEMS[self.dtype])

    def arguments(self, ids: int, offsets: int, weights: int, grads: int, out: int) -> tuple[Any, ...]:
        """What the kernels of both devices take, up to `mean`."""
        item = np.dtype(ITEMS[self.dtype]).itemsize
        which: tuple[Any, ...] = (ids, self.ids.size, self.ids.dtype == np.int64)
        if self.bags is not None:
            wide = self.bags.offsets is not None and self.bags.offsets.dtype == np.int64
            mode = getattr(_core.Pooling, self.bags.mode)
            which += (offsets, wide, self.bags.count, self.bags.width, mode, weights)
        place = (grads + self.grads_offset * item, (self.dim + self.gap) * item, out)
        kind = getattr(_core.Element, self.dtype)
        return (*which, *place, self.rows, self.dim, kind, self.padding_idx, self.mean)

    def parts(self) -> list[NDArray[Any] | None]:
        """Ids, offsets, weights."""
        return [self.ids, *((self.bags.offsets, self.bags.weights) if self.bags else (None, None))]

    def cpu(self) -> NDArray[Any]:
        grads, out = self.block(), self.zeros()
        places = [0 if part is None else part.ctypes.data for part in self.parts()]
        kernel = _core.scatter_rows if self.bags is None else _core.scatter_bags
        kernel(*self.arguments(*places, grads.ctypes.data, out.ctypes.data), _core.TableState.anything, 1)
        return out

    def workspace_bytes(self, kernels: ModuleType) -> int:
        sizes = (self.rows, self.dim, getattr(_core.Element, self.dtype), self.atomic)
        if self.bags is None:
            return int(kernels.scatter_rows_bytes(self.ids.size, *sizes))
        return int(kernels.scatter_bags_bytes(self.ids.size, self.bags.count, *sizes))

    def cuda(self, device: ModuleType, kernels: ModuleType, check: bool = True) -> NDArray[Any]:
        """The table's gradient; raises what the fault record says, unless `check` is false."""
        held = [None if part is None else device.to_device(part) for part in self.parts()]
        grads, out = device.to_device(self.block()), device.to_device(self.zeros())
        workspace = device.empty(self.workspace_bytes(kernels), np.uint8)
        fault = Record(device)
        places = [0 if part is None else part.ptr for part in held]
        kernel = kernels.scatter_rows if self.bags is None else kernels.scatter_bags
        kernel(*self.arguments(*places, grads.ptr, out.ptr), self.atomic, workspace.ptr, fault.ptr, STREAM)
        if check:
            fault.check()
        return np.asarray(device.to_host(out))
