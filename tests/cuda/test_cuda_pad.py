"""Padding on the device: the CPU's rectangle for any rows, dtypes and sides."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from padding import STREAM, Padding

LENGTHS = [3, 0, 1, 17, 4, 0, 0, 33, 2, 64, 5]


@pytest.mark.parametrize("from_dtype", ["int32", "int64"])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(("pad_left", "truncate_left"), [(False, False), (True, False), (False, True), (True, True)])
def test_sides_and_dtypes(
    pad_left: bool, truncate_left: bool, dtype: str, from_dtype: str, device: ModuleType, kernels: ModuleType
) -> None:
    Padding(LENGTHS, 7, 9, pad_left, truncate_left, from_dtype, dtype).check(device, kernels)
    Padding(LENGTHS, 64, 64, pad_left, truncate_left, from_dtype, dtype).check(device, kernels)


@pytest.mark.parametrize("width", [0, 1, 2, 3, 4, 5, 31, 32, 33, 126, 127, 128, 129, 1023, 1024, 1030, 2100])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_every_width(width: int, dtype: str, device: ModuleType, kernels: ModuleType) -> None:
    rows = [*LENGTHS, width, width + 1]
    Padding(rows, width, width, width % 2 == 0, width % 3 == 0, "int64", dtype).check(device, kernels)


@pytest.mark.parametrize("out_offset", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_targets_that_begin_within_16_bytes(
    out_offset: int, dtype: str, device: ModuleType, kernels: ModuleType
) -> None:
    Padding(LENGTHS, 40, 40, dtype=dtype, out_offset=out_offset).check(device, kernels)
    Padding([1], 1, 1, dtype=dtype, out_offset=out_offset).check(device, kernels)


@pytest.mark.parametrize("rows", [0, 1, 31, 32, 33, 300])
def test_every_number_of_rows(rows: int, device: ModuleType, kernels: ModuleType) -> None:
    Padding([row % 5 for row in range(rows)], 4, 4, dtype="int32").check(device, kernels)


def facts(values: np.ndarray, offsets: list[int], to_int32: bool, device: ModuleType, kernels: ModuleType) -> list[int]:
    on_device = device.to_device(values), device.to_device(np.array(offsets, np.int64))
    found = device.empty(kernels.ragged_facts_bytes // 8, np.int64)
    ids = on_device[0].ptr, values.size, values.dtype == np.int64, on_device[1].ptr, len(offsets) - 1
    kernels.check_ragged(*ids, to_int32, found.ptr, STREAM)
    result: list[int] = device.to_host(found).tolist()
    return result


def test_facts_of_ragged_ids(device: ModuleType, kernels: ModuleType) -> None:
    values = np.arange(400)
    values[[250, 399]] = [2**31, -(2**31) - 1]
    rising = list(range(0, 400, 4))
    assert facts(values, [*rising, 400], False, device, kernels) == [4, -1, -1]
    assert facts(values, [*rising, 400], True, device, kernels) == [4, -1, 250]
    assert facts(values[:250], [0, 100, 250], True, device, kernels) == [150, -1, -1]
    assert facts(values[:250], [0, *range(150, 251)], True, device, kernels) == [150, -1, -1]
    assert facts(values.astype(np.int32), [*rising, 400], True, device, kernels) == [4, -1, -1]
    assert facts(values, [*rising[:70], 9, 8, 400], False, device, kernels)[1] == 70
    assert facts(values[:0], [0], True, device, kernels) == [0, -1, -1]
    assert facts(values[:0], [0, 0, 0], True, device, kernels) == [0, -1, -1]
