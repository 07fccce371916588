"""One pooling on the device, and the same by the CPU's kernel."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from records import Record

from embrow import _core

Array = NDArray[Any]
Result = tuple[Array, Array | None]

STREAM = 0
# As bits: NumPy has no bfloat16. Of each, infinity.
BITS = {"float32": np.uint32, "float64": np.uint64, "bfloat16": np.uint16, "float16": np.uint16}
INFINITY = {"float32": 0x7F800000, "float64": 0x7FF0000000000000, "bfloat16": 0x7F80, "float16": 0x7C00}
NONE = np.array([], np.int64)


def elements(values: Any, dtype: str) -> Array:
    """Numbers as the bits of `dtype`; bfloat16 is cut off."""
    if dtype == "bfloat16":
        return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return np.asarray(values, dtype).view(BITS[dtype])


def one_nan(bits: Array, dtype: str) -> Array:
    """The bits with each NaN as the same one: which it is, is the hardware's."""
    magnitude = bits & ~(bits.dtype.type(1) << (bits.dtype.itemsize * 8 - 1))
    return np.where(magnitude > INFINITY[dtype], bits.dtype.type(INFINITY[dtype] + 1), bits)


def offsets_of(lengths: list[int], id_type: type = np.int64) -> Array:
    return np.cumsum([0, *lengths[:-1]]).astype(id_type)


@dataclass(frozen=True)
class Pool:
    """Bags of `ids` that begin at `offsets`, or, where there are none, of `width`; memory is counted in elements."""

    mode: str
    dtype: str
    table: Array  # bits, rows x dim
    ids: Array
    offsets: Array | None = None
    width: int = 0
    weights: Array | None = None
    padding_idx: int = -1
    with_end: bool = False
    winners: bool = True  # for maxima
    gap: int = 0  # between the table's rows
    table_offset: int = 0
    out_offset: int = 0

    @property
    def bags(self) -> int:
        if self.offsets is None:
            return self.ids.size // self.width
        return self.offsets.size - self.with_end

    def spread(self) -> Array:
        """The table as it lies in memory: the last row ends where the block ends."""
        rows, dim = self.table.shape
        block = np.full((rows, dim + self.gap), 0x5A, self.table.dtype)
        block[:, :dim] = self.table
        flat = block.reshape(-1)[: max(rows * (dim + self.gap) - self.gap, 0)]
        return np.concatenate([np.full(self.table_offset, 0x5A, flat.dtype), flat])

    def settings(self) -> tuple[Any, Any]:
        return getattr(_core.Pooling, self.mode), getattr(_core.Element, self.dtype)

    def shape(self, table: int) -> tuple[int, int, int, int]:
        rows, dim = self.table.shape
        size = self.table.itemsize
        return table + self.table_offset * size, rows, (dim + self.gap) * size, dim

    def cpu(self) -> Result:
        block = self.spread()
        out = np.empty((self.bags, self.table.shape[1]), self.table.dtype)
        winners = np.empty(out.shape, np.int64) if self.mode == "max" and self.winners else None
        offsets, weights = self.offsets, self.weights
        _core.pool_bags(
            *self.settings(),
            *self.shape(block.ctypes.data),
            self.ids.ctypes.data,
            self.ids.size,
            self.ids.dtype == np.int64,
            0 if offsets is None else offsets.ctypes.data,
            offsets is not None and offsets.dtype == np.int64,
            self.bags,
            self.width,
            0 if weights is None else weights.ctypes.data,
            self.padding_idx,
            out.ctypes.data,
            0 if winners is None else winners.ctypes.data,
            1,
        )
        return out, winners

    def cuda(self, device: ModuleType, kernels: ModuleType, *, check: bool = True) -> Result:
        """The rows; raises what the fault record says if `check`. Elements before the rows must stay as they were."""
        rows, dim = self.bags, self.table.shape[1]
        before = np.full(self.out_offset + rows * dim, 0x5A, self.table.dtype)
        winners = device.empty((rows, dim), np.int64) if self.mode == "max" and self.winners else None
        inputs = [self.spread(), self.ids, self.offsets, self.weights]
        table, ids, offsets, weights = (None if array is None else device.to_device(array) for array in inputs)
        out = device.to_device(before)
        longest = self.width if self.offsets is None else self.ids.size
        needed = kernels.pool_workspace_bytes(*self.settings(), dim, self.ids.size, longest)
        workspace = device.empty(needed, np.uint8)
        faults = Record(device, "bag")
        kernels.pool_bags(
            *self.settings(),
            *self.shape(table.ptr),
            ids.ptr,
            self.ids.size,
            self.ids.dtype == np.int64,
            0 if offsets is None else offsets.ptr,
            0 if self.offsets is None else self.offsets.size,
            self.offsets is not None and self.offsets.dtype == np.int64,
            rows,
            self.width,
            0 if weights is None else weights.ptr,
            self.padding_idx,
            out.ptr + self.out_offset * self.table.itemsize,
            0 if winners is None else winners.ptr,
            workspace.ptr,
            faults.ptr,
            STREAM,
        )
        if check:
            faults.check()
        found = device.to_host(out)
        assert (found[: self.out_offset] == 0x5A).all()
        return found[self.out_offset :].reshape(rows, dim), None if winners is None else device.to_host(winners)

    def assert_same(self, found: Result, expected: Result) -> None:
        np.testing.assert_array_equal(one_nan(found[0], self.dtype), one_nan(expected[0], self.dtype))
        if expected[1] is not None:
            np.testing.assert_array_equal(found[1], expected[1])

    def check(self, device: ModuleType, kernels: ModuleType) -> None:
        self.assert_same(self.cuda(device, kernels), self.cpu())
