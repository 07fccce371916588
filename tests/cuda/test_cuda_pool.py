"""Bags of ids -> one row per bag on a GPU, against the CPU's kernel, to the bit."""

from __future__ import annotations

import dataclasses
import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pooling import BITS, NONE, Array, Pool, elements, offsets_of
from records import Record

from embrow import _core

ROWS = 37
MODES = ["sum", "mean", "max"]
SHORT = [0, 1, 31, 32, 33, 0, 63, 64, 65, 3, 0]
# Around the lengths from which parts are pooled beforehand, and whole blocks and super blocks of them.
LONG = [5, 255, 256, 257, 0, 319, 320, 4095, 1, 4096, 4097, 4160, 4161, 0, 8263]


def table(dtype: str, dim: int, rows: int = ROWS) -> Array:
    """Rows of one size of number: where sums lose most."""
    return elements(np.random.default_rng(dim).normal(size=(rows, dim)), dtype)


def bags(mode: str, dtype: str, dim: int, lengths: list[int], id_type: type = np.int64, **settings: Any) -> Pool:
    ids = np.random.default_rng(sum(lengths)).integers(0, ROWS, sum(lengths)).astype(id_type)
    return Pool(mode, dtype, table(dtype, dim), ids, offsets_of(lengths, id_type), **settings)


def weights_of(job: Pool) -> Pool:
    values = np.random.default_rng(0).normal(size=job.ids.size)
    return dataclasses.replace(job, weights=elements(values, job.dtype))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("dim", [1, 3, 4, 50, 127, 128, 300, 1024])
def test_every_dim_and_dtype(dim: int, dtype: str, mode: str, device: ModuleType, kernels: ModuleType) -> None:
    bags(mode, dtype, dim, SHORT if dim < 300 else [2, 0, 9, 1]).check(device, kernels)


@pytest.mark.parametrize(
    ("mode", "dtype", "dim", "id_type"),
    [
        ("sum", "float32", 3, np.int64),
        ("sum", "bfloat16", 16, np.int32),
        ("sum", "float64", 2, np.int64),
        ("mean", "float16", 1, np.int32),
        ("mean", "float32", 32, np.int64),
        ("max", "float32", 4, np.int32),
        ("max", "float16", 6, np.int64),
        ("max", "float64", 1, np.int64),
    ],
)
def test_long_bags(mode: str, dtype: str, dim: int, id_type: type, device: ModuleType, kernels: ModuleType) -> None:
    bags(mode, dtype, dim, LONG, id_type).check(device, kernels)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("dtype", "dim"), [("float32", 300), ("bfloat16", 300), ("float32", 75)])
def test_long_bags_of_long_rows(mode: str, dtype: str, dim: int, device: ModuleType, kernels: ModuleType) -> None:
    bags(mode, dtype, dim, [3, 257, 0, 330]).check(device, kernels)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [1, 33, 255, 256, 300, 4100])
def test_bags_of_one_width(width: int, mode: str, device: ModuleType, kernels: ModuleType) -> None:
    count = 3 if width < 4000 else 2
    ids = np.random.default_rng(width).integers(0, ROWS, width * count)
    Pool(mode, "float32", table("float32", 5), ids, width=width, padding_idx=7).check(device, kernels)


@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("dim", [3, 16, 300])
def test_weights(dim: int, dtype: str, device: ModuleType, kernels: ModuleType) -> None:
    weights_of(bags("sum", dtype, dim, [*SHORT, 300])).check(device, kernels)


def test_weights_of_ids_left_out_do_not_count(device: ModuleType, kernels: ModuleType) -> None:
    job = weights_of(bags("sum", "float32", 4, SHORT, padding_idx=5))
    weights = np.where(job.ids == 5, elements(np.nan, "float32"), job.weights)
    assert (job.ids == 5).any()
    dataclasses.replace(job, weights=weights).check(device, kernels)


@pytest.mark.parametrize("mode", MODES)
def test_padding_and_bags_of_nothing_else(mode: str, device: ModuleType, kernels: ModuleType) -> None:
    lengths = [*SHORT, 300, 260, 70]
    job = bags(mode, "float32", 6, lengths, padding_idx=5)
    ids = job.ids.copy()
    ids[::3] = 5
    ids[-70:] = 5
    ids[-330:-70] = 5
    ids[-630:-500] = 5
    dataclasses.replace(job, ids=ids).check(device, kernels)


@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize("mode", MODES)
def test_all_ids_equal_and_zipf(mode: str, id_type: type, device: ModuleType, kernels: ModuleType) -> None:
    job = bags(mode, "float32", 9, [4161, 64, 300])
    for ids in (np.full(job.ids.size, ROWS - 1), np.random.default_rng(0).zipf(1.1, job.ids.size) % ROWS):
        dataclasses.replace(job, ids=ids.astype(id_type)).check(device, kernels)


# What the CPU's kernel says of each is what pool.h says: tests/test_pool.py.
SPECIAL = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, 1.0, -1.0, 1.0])


@pytest.mark.parametrize("dtype", BITS)
def test_special_values(dtype: str, device: ModuleType, kernels: ModuleType) -> None:
    draw = np.random.default_rng(1)
    values = elements(draw.choice(SPECIAL, (ROWS, 12)), dtype)
    values[0] = elements(np.nan, dtype)
    lengths = [1, 2, 3, 4, 30, 300, 1, 500, 258]
    ids = draw.integers(1, ROWS, sum(lengths))
    offsets = offsets_of(lengths)
    ids[offsets[4:6]] = 0
    ids[offsets[7] + 64] = 0  # a NaN that is not the first, though first of its block
    ids[offsets[8] : offsets[8] + 130] = 36
    ids[offsets[8] + 130] = 0  # a NaN behind blocks of padding only
    for mode in MODES:
        Pool(mode, dtype, values, ids, offsets, padding_idx=36).check(device, kernels)
    lowest = elements(np.full((ROWS, 12), -np.inf), dtype)
    Pool("max", dtype, lowest, ids, offsets, padding_idx=36).check(device, kernels)


def test_maxima_without_winners(device: ModuleType, kernels: ModuleType) -> None:
    bags("max", "float32", 20, [*SHORT, 400], winners=False).check(device, kernels)


@pytest.mark.parametrize("mode", ["sum", "max"])
@pytest.mark.parametrize(("dtype", "dim"), [("float32", 12), ("bfloat16", 48), ("float16", 600), ("float64", 130)])
@pytest.mark.parametrize(
    ("gap", "table_offset", "out_offset"), [(8, 8, 0), (8, 0, 4), (4, 4, 0), (2, 0, 2), (1, 0, 0), (0, 1, 3)]
)
def test_unaligned_rows(
    mode: str,
    dtype: str,
    dim: int,
    gap: int,
    table_offset: int,
    out_offset: int,
    device: ModuleType,
    kernels: ModuleType,
) -> None:
    memory = {"gap": gap, "table_offset": table_offset, "out_offset": out_offset}
    bags(mode, dtype, dim, [3, 0, 33, 260] if dim < 100 else [2, 0, 5], **memory).check(device, kernels)


@pytest.mark.parametrize("mode", MODES)
def test_rows_without_columns_and_no_bags(mode: str, device: ModuleType, kernels: ModuleType) -> None:
    bags(mode, "float32", 0, SHORT).check(device, kernels)
    Pool(mode, "float32", table("float32", 4), NONE, NONE).check(device, kernels)
    Pool(mode, "float32", table("float32", 4, rows=0), NONE, np.zeros(3, np.int64)).check(device, kernels)


@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize("mode", MODES)
def test_offsets_with_the_end_of_the_last_bag(
    mode: str, id_type: type, device: ModuleType, kernels: ModuleType
) -> None:
    lengths = [3, 0, 40, 300]
    with_end = bags(mode, "float32", 8, [*lengths, 100], id_type, with_end=True)  # the last 100 ids in no bag
    kept = dataclasses.replace(
        with_end, ids=with_end.ids[:343].copy(), offsets=offsets_of(lengths, id_type), with_end=False
    )
    kept.assert_same(with_end.cuda(device, kernels), kept.cpu())


BAD_IDS = [
    ([3, 2], {1: 37, 4: -1}),
    ([300, 80], {299: 2**31 - 1, 310: -5}),
    ([1, 0, 70, 4200], {4000: -(2**31), 71: 40}),
    ([2] * 40, {63: 38, 17: 37, 70: -2}),
]


@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("lengths", "bad"), BAD_IDS)
@pytest.mark.parametrize("dim", [4, 140])
def test_the_first_bad_id_is_named_and_all_others_count(
    dim: int, lengths: list[int], bad: dict[int, int], mode: str, id_type: type, device: ModuleType, kernels: ModuleType
) -> None:
    good = bags(mode, "float32", dim, lengths, id_type, padding_idx=0)
    left_out = good.ids.copy()
    left_out[list(bad)] = 0
    job = dataclasses.replace(good, ids=good.ids.copy())
    job.ids[list(bad)] = list(bad.values())
    position = min(bad)
    message = (
        f"Index {position} of input takes value {bad[position]} which is not in the valid range [0, 37): Expected idx "
        f">= 0 && idx < num_embeddings but found idx to be {bad[position]}"
    )
    for run in (job.cpu, lambda: job.cuda(device, kernels)):
        with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
            run()
    job.assert_same(job.cuda(device, kernels, check=False), dataclasses.replace(good, ids=left_out).cpu())


def test_ids_beyond_32_bits_are_not_cut(device: ModuleType, kernels: ModuleType) -> None:
    job = bags("sum", "float32", 4, [3, 1])
    job.ids[2] = 2**32 + 1
    with pytest.raises(RuntimeError, match=f"^Index 2 of input takes value {2**32 + 1} which is not in the valid"):
        job.cuda(device, kernels)


FALLING = "offsets must not fall, but offsets[{}] of {} is less than the one before it"
BEYOND = "offsets[-1] can not be greater than input's length 600 but got offsets[{}] of {}"
FIRST = (
    "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got {}"
)


@pytest.mark.parametrize("id_type", [np.int32, np.int64])
@pytest.mark.parametrize("mode", ["sum", "max"])
@pytest.mark.parametrize(
    ("offsets", "with_end", "message"),
    [
        ([1, 2], False, FIRST.format(1)),
        ([-1, 2], False, FIRST.format(-1)),
        ([300, 600], True, FIRST.format(300)),
        ([0, 5, 601], False, BEYOND.format(2, 601)),
        ([0, 5, 601], True, BEYOND.format(2, 601)),
        ([0, 700, 800], False, BEYOND.format(2, 800)),
        ([0, 300, 5], False, FALLING.format(2, 5)),
        ([0, 300, 5], True, FALLING.format(2, 5)),
        ([0, 300, 600, 0, 290, 10, 500], False, FALLING.format(3, 0)),
        ([0, -3, 5], False, FALLING.format(1, -3)),
        ([0, *range(500, 0, -1)], False, FALLING.format(2, 499)),
        ([0, 2**31 - 1, 3], False, FALLING.format(2, 3)),
    ],
)
def test_the_first_bad_offset_is_named(
    offsets: list[int],
    with_end: bool,
    message: str,
    mode: str,
    id_type: type,
    device: ModuleType,
    kernels: ModuleType,
) -> None:
    ids = np.random.default_rng(0).integers(0, ROWS, 600)
    given = np.array(offsets, id_type)
    job = Pool(mode, "float32", table("float32", 4), ids, given, with_end=with_end)
    assert not _core.are_bag_offsets(given.ctypes.data, given.size, id_type is np.int64, 600, with_end)
    with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
        job.cuda(device, kernels)
    _, winners = job.cuda(device, kernels, check=False)
    assert winners is None or ((winners >= -1) & (winners < ROWS)).all()


def test_bags_that_bad_offsets_bound_are_empty(device: ModuleType, kernels: ModuleType) -> None:
    ids = np.random.default_rng(0).integers(0, ROWS, 600)
    job = Pool("sum", "float32", table("float32", 4), ids, np.array([0, 10, 5, 20, 601]))
    found, _ = job.cuda(device, kernels, check=False)
    expected, _ = dataclasses.replace(job, ids=ids[:20].copy(), offsets=np.array([0, 10])).cpu()
    np.testing.assert_array_equal(found[0], expected[0])
    assert (found[[1, 3, 4]] == 0).all()


def test_a_batch_beyond_32_bits_is_refused(device: ModuleType, kernels: ModuleType) -> None:
    where = dict.fromkeys(["table", "ids", "offsets", "weights", "out", "winners", "workspace", "faults", "stream"], 0)
    flags = {"ids_are_int64": True, "offsets_are_int64": True, "offset_count": 0, "bags": 1, "width": 1}
    shape = {"rows": 3, "stride_bytes": 4, "dim": 1, "count": 1, "padding_idx": -1}
    settings = {"mode": _core.Pooling.sum, "type": _core.Element.float32, **where, **flags, **shape}
    with pytest.raises(ValueError, match=r"^embedding_bag: 2147483648 ids; the kernels take fewer than 2\^31$"):
        kernels.pool_bags(**settings | {"count": 2**31})
    with pytest.raises(ValueError, match=r"^embedding_bag: 2147483648 rows of the table; the kernels take fewer"):
        kernels.pool_bags(**settings | {"rows": 2**31})


def test_more_bags_than_a_launch_has_room_for_are_refused(device: ModuleType, kernels: ModuleType) -> None:
    """Of the number of blocks the lower 32 bits would be 1."""
    where = dict.fromkeys(["table", "ids", "offsets", "weights", "out", "winners", "workspace", "stream"], 0)
    flags = {"ids_are_int64": True, "offsets_are_int64": True, "offset_count": 0, "bags": 2**36 + 16, "width": 0}
    shape = {"rows": 3, "stride_bytes": 0, "dim": 0, "count": 0, "padding_idx": -1}
    faults = Record(device, "bag")
    settings = {"mode": _core.Pooling.sum, "type": _core.Element.float32, **where, **flags, **shape}
    with pytest.raises(RuntimeError, match=r"^CUDA: cudaErrorInvalid"):
        kernels.pool_bags(**settings, faults=faults.ptr)


def test_only_long_bags_need_a_workspace(kernels: ModuleType) -> None:
    def needed(longest: int) -> int:
        return int(kernels.pool_workspace_bytes(_core.Pooling.sum, _core.Element.bfloat16, 10, 10**6, longest))

    assert needed(255) == 0
    blocks, super_blocks = 10**6 // 64, 10**6 // 4096
    arrays = [(blocks + super_blocks) * 4, *(slots * size for slots in (blocks, super_blocks) for size in (12 * 4, 8))]
    assert needed(256) == sum(-(-array // 256) * 256 for array in arrays)
