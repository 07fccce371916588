"""Batch -> rows on a GPU: every width, alignment and id against NumPy and against the CPU's kernel, to the bit."""

from __future__ import annotations

import re
from types import ModuleType

import numpy as np
import pytest
from gathering import STREAM, Gather
from records import Record

from embrow import _core

ROWS = 37
ITEM_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}


def random_ids(count: int, rows: int = ROWS, dtype: type = np.int64) -> np.ndarray:
    return np.random.default_rng(count).integers(0, rows, count).astype(dtype)


def check(job: Gather, device: ModuleType, kernels: ModuleType) -> None:
    block = job.block()
    expected = job.numpy(block)
    np.testing.assert_array_equal(job.cpu(block), expected)
    np.testing.assert_array_equal(job.cuda(device, kernels, block), expected)


@pytest.mark.parametrize("dtype", ITEM_BYTES)
@pytest.mark.parametrize("dim", [1, 3, 4, 50, 127, 128, 300, 1024])
@pytest.mark.parametrize("count", [1, 33])
def test_every_dim_and_dtype(dtype: str, dim: int, count: int, device: ModuleType, kernels: ModuleType) -> None:
    check(Gather(ROWS, dim * ITEM_BYTES[dtype], random_ids(count)), device, kernels)


@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 1000])
@pytest.mark.parametrize("row_bytes", [4, 32, 200, 1200])
def test_every_count(count: int, id_type: type, row_bytes: int, device: ModuleType, kernels: ModuleType) -> None:
    check(Gather(ROWS, row_bytes, random_ids(count, dtype=id_type)), device, kernels)


@pytest.mark.parametrize("row_bytes", [0, 1, 2, 5, 16, 17, 31, 32, 33, 63, 64, 65, 254, 255, 256, 257, 512, 513, 528])
def test_rows_of_any_size(row_bytes: int, device: ModuleType, kernels: ModuleType) -> None:
    check(Gather(ROWS, row_bytes, random_ids(45)), device, kernels)


@pytest.mark.parametrize("row_bytes", [2047, 2048, 2049, 4112, 10_000, 70_000])
def test_rows_split_over_warps(row_bytes: int, device: ModuleType, kernels: ModuleType) -> None:
    check(Gather(5, row_bytes, random_ids(7, rows=5)), device, kernels)


@pytest.mark.parametrize("row_bytes", [48, 96, 600, 1040])
@pytest.mark.parametrize(
    ("stride_bytes", "table_offset", "out_offset"),
    [
        (0, 0, 0),
        (1056, 16, 0),
        (1056, 0, 48),
        (1056, 8, 0),
        (1056, 0, 4),
        (1048, 0, 0),
        (1044, 4, 28),
        (1042, 6, 2),
        (1041, 0, 0),
        (1041, 31, 1),
        (1040, 1, 30),
    ],
)
def test_unaligned_rows(
    row_bytes: int, stride_bytes: int, table_offset: int, out_offset: int, device: ModuleType, kernels: ModuleType
) -> None:
    check(Gather(ROWS, row_bytes, random_ids(21), stride_bytes, table_offset, out_offset), device, kernels)


@pytest.mark.parametrize("row_bytes", [64, 600, 1200])
def test_offsets_beyond_32_bits(row_bytes: int, device: ModuleType, kernels: ModuleType) -> None:
    far = 7 * 2**30  # only the row that is read needs to exist
    check(Gather(8, row_bytes, np.full(9, 7), 2**30, -far), device, kernels)


@pytest.mark.parametrize("row_bytes", [12, 64, 254, 1200])
def test_all_ids_equal_and_zipf(row_bytes: int, device: ModuleType, kernels: ModuleType) -> None:
    check(Gather(ROWS, row_bytes, np.full(300, ROWS - 1)), device, kernels)
    zipf = np.random.default_rng(0).zipf(1.1, 300) % ROWS
    check(Gather(ROWS, row_bytes, zipf), device, kernels)


BAD = [
    ([0, 1, 37, 2, -1], 2, 37),
    ([-1, 0], 0, -1),
    ([0] * 999 + [-(2**31)], 999, -(2**31)),
    ([5] * 70 + [2**31 - 1] * 500, 70, 2**31 - 1),
    (list(range(400, 0, -1)), 0, 400),
    (list(range(1000)), 37, 37),
]


@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize("row_bytes", [0, 4, 16, 64, 512, 1200, 2049])
@pytest.mark.parametrize(("ids", "position", "value"), BAD)
def test_the_first_bad_id_is_named(
    ids: list[int], position: int, value: int, row_bytes: int, id_type: type, device: ModuleType, kernels: ModuleType
) -> None:
    job = Gather(ROWS, row_bytes, np.array(ids, id_type))
    message = f"index out of range in self: position {position} of the ids is {value}, the table has rows 0 to 36"
    with pytest.raises(IndexError, match=f"^{re.escape(message)}$"):
        job.cpu(job.block())
    with pytest.raises(IndexError, match=f"^{re.escape(message)}$"):
        job.cuda(device, kernels, job.block())


def test_ids_beyond_32_bits_are_not_cut(device: ModuleType, kernels: ModuleType) -> None:
    job = Gather(ROWS, 64, np.array([1, 2**32 + 1]))
    with pytest.raises(IndexError, match=f"position 1 of the ids is {2**32 + 1}, "):
        job.cuda(device, kernels, job.block())


def test_a_table_without_rows(device: ModuleType, kernels: ModuleType) -> None:
    job = Gather(0, 64, np.array([0]))
    with pytest.raises(IndexError, match=r"position 0 of the ids is 0, the table has no rows$"):
        job.cuda(device, kernels, job.block())


@pytest.mark.parametrize("row_bytes", [4, 64, 600, 1200, 4112])
def test_rows_of_bad_ids_are_zero_and_all_others_copied(
    row_bytes: int, device: ModuleType, kernels: ModuleType
) -> None:
    ids = random_ids(100)
    bad = np.array([3, 31, 32, 99])
    good = Gather(ROWS, row_bytes, ids)
    expected = good.numpy(good.block())
    expected[bad] = 0
    job = Gather(ROWS, row_bytes, ids.copy())
    job.ids[bad] = [-1, ROWS, 2**40, -(2**63)]
    out = device.empty(expected.shape, np.uint8)
    table, on_device = device.to_device(job.block()), device.to_device(job.ids)
    fault = Record(device)
    job.launch(kernels, table.ptr, on_device.ptr, out.ptr, fault.ptr)
    np.testing.assert_array_equal(device.to_host(out), expected)


def test_launches_share_a_record_until_it_is_read(device: ModuleType, kernels: ModuleType) -> None:
    fault = Record(device)
    fault.check()
    held = []
    for rows, ids in [(9, [0, 0, 9, 0]), (5, [0, 7]), (3, [0, 0, 0, 3]), (4, [0])]:
        job = Gather(rows, 64, np.array(ids))
        arrays = device.to_device(job.block()), device.to_device(job.ids), device.empty((len(ids), 64), np.uint8)
        held.append(arrays)
        job.launch(kernels, *(array.ptr for array in arrays), fault.ptr)
    with pytest.raises(IndexError, match=r"position 1 of the ids is 7, the table has rows 0 to 4$"):
        fault.check()
    fault.check()


def test_a_failed_call_names_itself_and_its_place(device: ModuleType, kernels: ModuleType) -> None:
    place = r"\(cuda\w+Async\(.*\) at csrc/common/row_runs\.cu:\d+\)"
    no_workspace, element = 256, _core.Element.float32
    with pytest.raises(RuntimeError, match=rf"^CUDA: cudaError\w+, .* {place}$"):
        kernels.scatter_rows(0, 1, True, 0, 4, 0, 1, 1, element, -1, False, False, no_workspace, 0, STREAM)
    device.reset()


def test_an_old_driver_is_told_with_both_versions(kernels: ModuleType) -> None:
    old = kernels.old_driver_message(12040, 13000)
    assert "serves CUDA 12.4" in old
    assert "the CUDA runtime 13.0" in old
    none = kernels.old_driver_message(0, 13000)
    assert none.startswith("no CUDA driver was found, and embrow was built with the CUDA runtime 13.0;")
