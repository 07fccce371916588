"""One gather on the device, and the same by NumPy and by the CPU's kernel."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from records import Record

from embrow import _core

Bytes = NDArray[np.uint8]
STREAM = 0


@dataclass(frozen=True)
class Gather:
    """Rows of `row_bytes`, `stride_bytes` apart, from `table_offset` of a block; to `out_offset` of another."""

    rows: int
    row_bytes: int
    ids: NDArray[np.int32] | NDArray[np.int64]
    stride_bytes: int | None = None
    table_offset: int = 0
    out_offset: int = 0

    @property
    def stride(self) -> int:
        return self.row_bytes if self.stride_bytes is None else self.stride_bytes

    def block(self, seed: int = 0) -> Bytes:
        """Random bytes that end where the table's last row ends."""
        last = (self.rows - 1) * self.stride + self.row_bytes if self.rows else 0
        return np.random.default_rng(seed).integers(0, 256, self.table_offset + last, dtype=np.uint8)

    def numpy(self, block: Bytes) -> Bytes:
        starts = self.table_offset + self.ids.astype(np.int64) * self.stride
        return block[starts[:, None] + np.arange(self.row_bytes)]

    def cpu(self, block: Bytes) -> Bytes:
        out = np.empty((self.ids.size, self.row_bytes), np.uint8)
        wide = self.ids.dtype == np.int64
        table = block.ctypes.data + self.table_offset
        place = (self.ids.ctypes.data, self.ids.size, wide, out.ctypes.data)
        _core.gather_rows(table, self.rows, self.stride, self.row_bytes, *place, 1)
        return out

    def cuda(self, device: ModuleType, kernels: ModuleType, block: Bytes) -> Bytes:
        """The rows; raises what the fault record says. Bytes of the target before its rows must stay as they were."""
        table, ids = device.to_device(block), device.to_device(self.ids)
        fault = Record(device)
        before = np.full(self.out_offset + self.ids.size * self.row_bytes, 0x5A, np.uint8)
        out = device.to_device(before)
        self.launch(kernels, table.ptr, ids.ptr, out.ptr, fault.ptr)
        fault.check()
        found = device.to_host(out)
        assert (found[: self.out_offset] == 0x5A).all()
        return found[self.out_offset :].reshape(self.ids.size, self.row_bytes)

    def launch(self, kernels: ModuleType, table: int, ids: int, out: int, fault: int) -> None:
        shape = (table + self.table_offset, self.rows, self.stride, self.row_bytes)
        which = (ids, self.ids.size, self.ids.dtype == np.int64)
        kernels.gather_rows(*shape, *which, out + self.out_offset, fault, STREAM)
