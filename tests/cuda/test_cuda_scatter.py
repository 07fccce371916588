"""Row gradients -> table gradient on a GPU: every width, alignment and run against the CPU's kernel, to the bit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scattering import ITEMS, Bags, Scatter, random_rows

ROWS = 37


def random_ids(count: int, rows: int = ROWS, dtype: type = np.int64) -> np.ndarray:
    return np.random.default_rng(count).integers(0, rows, count).astype(dtype)


def check(job: Scatter, device: Any, kernels: Any) -> None:
    found, expected = job.cuda(device, kernels), job.cpu()
    bits = f"u{found.dtype.itemsize}"
    np.testing.assert_array_equal(found.view(bits), expected.view(bits))


@pytest.mark.parametrize("dtype", ITEMS)
@pytest.mark.parametrize("dim", [1, 3, 4, 50, 127, 128, 300])
def test_every_dim_and_dtype(dtype: str, dim: int, device: Any, kernels: Any) -> None:
    check(Scatter(dtype, ROWS, dim, random_ids(70)), device, kernels)


def test_rows_of_many_columns(device: Any, kernels: Any) -> None:
    check(Scatter("bfloat16", ROWS, 1024, random_ids(70)), device, kernels)


@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 1000])
def test_every_count(count: int, id_type: type, device: Any, kernels: Any) -> None:
    check(Scatter("float32", ROWS, 5, random_ids(count, dtype=id_type)), device, kernels)


@pytest.mark.parametrize("rows", [1, 2, 255, 256, 257, 65_535, 65_536, 70_000])
def test_every_number_of_radix_passes(rows: int, device: Any, kernels: Any) -> None:
    ids = random_ids(700, rows)
    ids[::7] = rows - 1
    check(Scatter("float32", rows, 1, ids, padding_idx=0), device, kernels)


@pytest.mark.parametrize("dtype", ITEMS)
@pytest.mark.parametrize(("gap", "grads_offset"), [(0, 8), (8, 0), (4, 4), (2, 6), (1, 0), (0, 1), (-16, 0)])
def test_unaligned_and_strided_gradients(dtype: str, gap: int, grads_offset: int, device: Any, kernels: Any) -> None:
    check(Scatter(dtype, ROWS, 16, random_ids(90), gap, grads_offset), device, kernels)


# Around a block of terms and a super block.
@pytest.mark.parametrize("dtype", ITEMS)
@pytest.mark.parametrize("count", [63, 64, 65, 127, 128, 129, 4095, 4096, 4097, 4161])
def test_one_row_seen_by_all(count: int, dtype: str, device: Any, kernels: Any) -> None:
    check(Scatter(dtype, 5, 2, np.full(count, 3)), device, kernels)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("dim", [1, 8])
def test_long_runs_side_by_side(dim: int, mean: bool, device: Any, kernels: Any) -> None:
    lengths = [1, 64, 65, 66, 1, 130, 4100, 2, 63, 200, 8300, 128, 0, 65, 12_353, 1]
    ids = np.repeat(np.arange(len(lengths)), lengths)
    np.random.default_rng(1).shuffle(ids)
    check(Scatter("float32", len(lengths), dim, ids, padding_idx=3, mean=mean), device, kernels)


@pytest.mark.parametrize("dtype", ITEMS)
@pytest.mark.parametrize("padding_idx", [-1, 0])
@pytest.mark.parametrize("mean", [False, True])
def test_zipf_padding_and_frequency(dtype: str, padding_idx: int, mean: bool, device: Any, kernels: Any) -> None:
    ids = np.random.default_rng(0).zipf(1.2, 1500) % 200
    check(Scatter(dtype, 200, 12, ids, padding_idx=padding_idx, mean=mean), device, kernels)


def test_padding_alone_gives_zeros(device: Any, kernels: Any) -> None:
    check(Scatter("float32", 5, 4, np.full(400, 2), padding_idx=2), device, kernels)


def test_no_columns_and_no_rows(device: Any, kernels: Any) -> None:
    check(Scatter("float32", 5, 0, random_ids(9, 5)), device, kernels)
    check(Scatter("float32", 0, 4, random_ids(0)), device, kernels)


def test_a_sum_is_never_minus_zero(device: Any, kernels: Any) -> None:
    job = Scatter("float32", 3, 4, np.array([0, 1, 1]))
    object.__setattr__(job, "block", lambda: np.full(12, -0.0, np.float32))
    assert not np.signbit(job.cuda(device, kernels)).any()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_every_16_bit_value(dtype: str, device: Any, kernels: Any) -> None:
    every = np.arange(2**16, dtype=np.uint16).view(ITEMS[dtype])
    job = Scatter(dtype, 1024, 64, np.arange(1024))
    object.__setattr__(job, "block", lambda: every)
    found, expected = job.cuda(device, kernels).view(np.uint16), job.cpu().view(np.uint16)
    # A device keeps what a NaN is, not which.
    infinity = 0x7F80 if dtype == "bfloat16" else 0x7C00
    nan = (expected & 0x7FFF) > infinity
    np.testing.assert_array_equal((found & 0x7FFF) > infinity, nan)
    np.testing.assert_array_equal(found[~nan], expected[~nan])


BAD = [
    ([0, 1, 37, 2, -1], 2, 37),
    ([-1, 0], 0, -1),
    ([0] * 299 + [-(2**31)], 299, -(2**31)),
    ([5] * 70 + [2**31 - 1] * 500, 70, 2**31 - 1),
]


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize(("ids", "position", "value"), BAD)
def test_a_bad_id_is_named_and_nothing_written(
    ids: list[int], position: int, value: int, id_type: type, atomic: bool, device: Any, kernels: Any
) -> None:
    job = Scatter("float32", ROWS, 4, np.array(ids, id_type), atomic=atomic)
    message = f"index out of range in self: position {position} of the ids is {value}, the table has rows 0 to 36"
    with pytest.raises(IndexError, match=f"^{re.escape(message)}$"):
        job.cuda(device, kernels)
    assert not job.cuda(device, kernels, check=False).any()


def test_ids_of_a_table_without_rows(device: Any, kernels: Any) -> None:
    with pytest.raises(IndexError, match=r"position 0 of the ids is 0, the table has no rows$"):
        Scatter("float32", 0, 4, np.zeros(3, np.int64)).cuda(device, kernels)


@pytest.mark.parametrize("dtype", ITEMS)
@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("id_type", [np.int32, np.int64])
def test_bags(dtype: str, mode: str, id_type: type, device: Any, kernels: Any) -> None:
    lengths = [3, 0, 100, 1, 0, 0, 70, 26, 0]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(id_type)
    bags = Bags(len(lengths), mode, offsets)
    for padding_idx in (-1, 2):
        check(Scatter(dtype, 9, 5, random_ids(200, 9, id_type), padding_idx=padding_idx, bags=bags), device, kernels)


@pytest.mark.parametrize("dtype", ITEMS)
def test_bags_of_one_width_and_weights(dtype: str, device: Any, kernels: Any) -> None:
    ids = random_ids(200, 9)
    check(Scatter(dtype, 9, 8, ids, padding_idx=0, mean=True, bags=Bags(20, "mean", width=10)), device, kernels)
    weights = random_rows(dtype, (200, 1), 5)
    check(Scatter(dtype, 9, 8, ids, padding_idx=0, bags=Bags(20, "sum", width=10, weights=weights)), device, kernels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dim", [1, 6, 8])
@pytest.mark.parametrize("mean", [False, True])
def test_atomic_addition(dtype: str, dim: int, mean: bool, device: Any, kernels: Any) -> None:
    lengths = [1, 32, 33, 5, 64, 65, 1, 31, 200, 2, 1000, 0, 3]
    ids = np.repeat(np.arange(len(lengths)), lengths)
    np.random.default_rng(1).shuffle(ids)
    job = Scatter(dtype, len(lengths), dim, ids, padding_idx=8, mean=mean, atomic=True)
    found, expected = job.cuda(device, kernels), job.cpu()
    few = np.array(lengths) <= 32
    np.testing.assert_array_equal(found[few], expected[few])
    assert not found[8].any()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1000 * np.finfo(found.dtype).eps)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_atomic_addition_refuses_16_bits(dtype: str, device: Any, kernels: Any) -> None:
    with pytest.raises(ValueError, match=r"^embedding backward: atomic addition would round 16-bit sums"):
        Scatter(dtype, ROWS, 4, random_ids(3), atomic=True).cuda(device, kernels)


def test_tables_and_batches_beyond_32_bits_are_refused(kernels: Any) -> None:
    kind = Scatter("float32", 1, 1, random_ids(0)).arguments(0, 0, 0, 0, 0)[-3]
    for count, rows, what in ((2**31, 5, "ids"), (5, 2**31, "rows of the table")):
        message = rf"^embedding backward: 2147483648 {what}; the kernels take fewer than 2\^31$"
        with pytest.raises(ValueError, match=message):
            kernels.scatter_rows_bytes(count, rows, 4, kind, False)
