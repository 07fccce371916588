"""One table with its optimizer's state, updated by the CPU's kernels and by the device's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from records import Record

from embrow import _core

Array = NDArray[Any]
STREAM = 0
RULES = ["sgd", "momentum", "adagrad", "rowwise_adagrad", "adam", "amsgrad"]
# NumPy has no bfloat16: its bits
TYPES = {"float32": np.float32, "float64": np.float64, "bfloat16": np.uint16, "float16": np.float16}
NUMBERS = {
    "size": 0.3,
    "direct": 0.2,
    "eps": 1e-2,
    "beta1": 0.7,
    "beta2": 0.8,
    "gain": 0.6,
    "decay": 0.0,
    "shrink": 0.9,
}
HISTORY = 200


def of_type(values: Array, dtype: str) -> Array:
    if dtype == "bfloat16":
        return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return values.astype(TYPES[dtype])


def gradients(count: int, dim: int, dtype: str, seed: int = 0) -> Array:
    return of_type(np.random.default_rng(seed).standard_normal((count, dim)), dtype)


def zipf(count: int, rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).zipf(1.3, count) % rows


class Table:
    """Parts are rows x (dim + gap), so that rows of `dim` lie apart; `offset` elements stand before the first."""

    def __init__(
        self,
        rule: str,
        rows: int,
        dim: int,
        dtype: str = "float32",
        *,
        late: bool = False,
        trained: Array | None = None,
        gap: int = 0,
        offset: int = 0,
    ):
        generator = np.random.default_rng(rows * 1000 + dim)
        self.rule, self.rows, self.dim, self.dtype = rule, rows, dim, dtype
        self.gap, self.offset = gap, offset
        size = offset + rows * (dim + gap)
        self.parts = [of_type(generator.random(size) - (i == 0) / 2, dtype) for i in range(4)]
        if rule == "rowwise_adagrad":
            self.parts[2] = generator.random(rows).astype(np.float32)
        self.row_steps = np.zeros(rows, np.int32) if late else None
        self.trained = trained

    def places(self, parts: list[Any], addresses: list[int]) -> list[tuple[int, int]]:
        item = self.parts[0].itemsize
        places = [(address + self.offset * item, (self.dim + self.gap) * item) for address in addresses]
        if self.rule == "rowwise_adagrad":
            places[2] = (addresses[2], 4)
        return places

    def arguments(self) -> tuple[Any, ...]:
        return getattr(_core.UpdateRule, self.rule), getattr(_core.Element, self.dtype), self.rows, self.dim, 0


class OnCpu:
    def __init__(self, table: Table):
        self.parts = [part.copy() for part in table.parts]
        self.row_steps = None if table.row_steps is None else table.row_steps.copy()
        self.trained = table.trained
        late = 0 if self.row_steps is None else self.row_steps.ctypes.data
        mask = 0 if self.trained is None else self.trained.ctypes.data
        self.kernel = _core.UpdatedTable(*table.arguments(), late, mask)
        self.kernel.place(*table.places(self.parts, [part.ctypes.data for part in self.parts]))

    def step(self, ids: Array, grads: Array, scale: float, numbers: dict[str, float]) -> None:
        ids = ids.astype(np.int64)
        self.kernel.step(ids.ctypes.data, ids.size, grads.ctypes.data, grads.strides[0], scale, *numbers.values(), 1)

    def catch_up(self, ids: Array) -> None:
        self.kernel.catch_up(ids.ctypes.data, ids.size, ids.dtype == np.int64, 1)

    def catch_up_rows(self) -> None:
        self.kernel.catch_up_rows(1)

    def state(self) -> list[Array]:
        return [*self.parts, *([] if self.row_steps is None else [self.row_steps])]


class OnCuda:
    def __init__(self, table: Table, device: ModuleType, kernels: ModuleType):
        self.device = device
        self.parts = [device.to_device(part) for part in table.parts]
        self.row_steps = None if table.row_steps is None else device.to_device(table.row_steps)
        self.trained = None if table.trained is None else device.to_device(table.trained)
        self.clock = device.empty(kernels.clock_bytes(HISTORY), np.uint8)
        self.fault = Record(device)
        late = 0 if self.row_steps is None else self.row_steps.ptr
        mask = 0 if self.trained is None else self.trained.ptr
        self.kernel = kernels.UpdatedTable(*table.arguments(), late, mask, self.clock.ptr, HISTORY)
        self.kernel.place(*table.places(self.parts, [part.ptr for part in self.parts]))

    def workspace(self, count: int) -> Any:
        return self.device.empty(max(self.kernel.workspace_bytes(count), 1), np.uint8)

    def step(self, ids: Array, grads: Array, scale: float, numbers: dict[str, float]) -> None:
        on_device, workspace = self.device.to_device(ids.astype(np.int64)), self.workspace(ids.size)
        # All of what the gradients' rows are cut from.
        block = self.device.to_device(grads if grads.base is None else grads.base)
        start = block.ptr + grads.ctypes.data - (grads if grads.base is None else grads.base).ctypes.data
        place = (on_device.ptr, ids.size, start, grads.strides[0], scale)
        self.kernel.step(*place, *numbers.values(), workspace.ptr, self.fault.ptr, STREAM)
        self.fault.check()

    def catch_up(self, ids: Array) -> bool:
        on_device, workspace = self.device.to_device(ids), self.workspace(ids.size)
        which = (on_device.ptr, ids.size, ids.dtype == np.int64)
        maybe = self.kernel.catch_up(*which, workspace.ptr, self.fault.ptr, STREAM)
        self.fault.check()
        return maybe

    def catch_up_rows(self) -> bool:
        return self.kernel.catch_up_rows(STREAM)

    def state(self) -> list[Array]:
        arrays = [*self.parts, *([] if self.row_steps is None else [self.row_steps])]
        return [self.device.to_host(array) for array in arrays]


class Both:
    """The same calls to both; the bits of both must stay the same."""

    def __init__(self, table: Table, device: ModuleType, kernels: ModuleType):
        self.table = table
        self.cpu, self.cuda = OnCpu(table), OnCuda(table, device, kernels)

    def step(self, ids: Array, grads: Array | None = None, scale: float = 1.0, seed: int = 0, **changed: float) -> None:
        if grads is None:
            grads = gradients(ids.size, self.table.dim, self.table.dtype, seed)
        for one in (self.cpu, self.cuda):
            one.step(ids, grads, scale, {**NUMBERS, **changed})

    def catch_up(self, ids: Array) -> None:
        self.cpu.catch_up(ids)
        self.cuda.catch_up(ids)

    def catch_up_rows(self) -> None:
        self.cpu.catch_up_rows()
        self.cuda.catch_up_rows()

    def round_stochastically(self, seed: int, step: int) -> None:
        self.cpu.kernel.round_stochastically(seed, step)
        self.cuda.kernel.round_stochastically(seed, step)

    def check(self) -> None:
        for found, expected in zip(self.cuda.state(), self.cpu.state(), strict=True):
            np.testing.assert_array_equal(found.view(np.uint8), expected.view(np.uint8))
        changed = [bool((a != b).any()) for a, b in zip(self.cpu.parts, self.table.parts, strict=True)]
        assert any(changed) or self.table.dim == 0
