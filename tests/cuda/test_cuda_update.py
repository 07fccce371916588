"""Row gradients -> table on a GPU: each rule, dtype and way to catch up against the CPU's kernels, to the bit."""

from __future__ import annotations

import math
import re
from types import ModuleType

import numpy as np
import pytest
from updating import HISTORY, NUMBERS, RULES, STREAM, TYPES, Both, OnCpu, OnCuda, Table, gradients, of_type, zipf

from embrow import _core

LATE = [rule for rule in RULES if rule != "rowwise_adagrad"]  # rules whose rows can catch up


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_and_dtype(rule: str, dtype: str, device: ModuleType, kernels: ModuleType) -> None:
    for dim, gap in ((16, 0), (50, 3)):
        both = Both(Table(rule, 37, dim, dtype, gap=gap), device, kernels)
        both.step(zipf(70, 37), scale=0.5, decay=0.05)
        both.step(np.arange(36, -1, -1), seed=1)
        both.check()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("dim", [0, 1, 3, 4, 127, 128, 300, 1024])
@pytest.mark.parametrize("rule", ["rowwise_adagrad", "adam"])
def test_every_dim(rule: str, dim: int, dtype: str, device: ModuleType, kernels: ModuleType) -> None:
    both = Both(Table(rule, 9, dim, dtype), device, kernels)
    both.step(np.array([3, 8, 0, 3, 5]))
    both.check()


def test_the_squares_of_a_row_add_up_in_one_order(device: ModuleType, kernels: ModuleType) -> None:
    table = Table("rowwise_adagrad", 1, 10)
    table.parts[2][:] = 0
    both = Both(table, device, kernels)
    # Their last two together are half of the sum's last place, and one alone is none of it.
    both.step(np.array([0]), np.array([[3, 1, *[2.0**-11] * 2, *[2.0**-12] * 2, 0, 0, *[2.0**-25] * 2]], np.float32))
    both.check()
    for dim in (7, 15, 39, 41, 95):
        both = Both(Table("rowwise_adagrad", 50, dim, "float64"), device, kernels)
        generator = np.random.default_rng(dim)
        both.step(np.arange(50), generator.standard_normal((50, dim)) * 2.0 ** generator.uniform(-9, 0, (50, dim)))
        both.check()


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097, 4161])
def test_every_count_of_one_row(count: int, device: ModuleType, kernels: ModuleType) -> None:
    table = Table("sgd", 5, 2)
    both = Both(table, device, kernels)
    both.step(np.full(count, 3))
    both.step(np.array([0]))
    both.check()


def test_more_rows_than_one_tile_and_rows_never_seen(device: ModuleType, kernels: ModuleType) -> None:
    for dim in (1, 40, 129):
        both = Both(Table("adagrad", 700, dim), device, kernels)
        both.step(np.random.default_rng(dim).permutation(700)[:613])
        both.check()


def test_more_tiles_than_warps(device: ModuleType, kernels: ModuleType) -> None:
    """Warps go on to a second tile; most rows are passed over, which keeps the test short."""
    trained = np.zeros(34_000, bool)
    trained[[*range(40), *range(32_700, 32_850)]] = True
    both = Both(Table("sgd", trained.size, 33, late=True, trained=trained), device, kernels)
    both.step(np.array([2]))
    both.catch_up_rows()
    both.check()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("gap", "offset"), [(8, 0), (4, 0), (2, 0), (1, 0), (0, 1), (0, 2), (8, 8), (8, 3)])
def test_unaligned_rows(gap: int, offset: int, dtype: str, device: ModuleType, kernels: ModuleType) -> None:
    both = Both(Table("amsgrad", 11, 24, dtype, gap=gap, offset=offset), device, kernels)
    block = gradients(20, 40, dtype)
    both.step(zipf(20, 11), block[:, offset : offset + 24])
    both.check()


@pytest.mark.parametrize("rule", RULES)
def test_rows_that_are_not_trained_keep_their_bits(rule: str, device: ModuleType, kernels: ModuleType) -> None:
    trained = np.random.default_rng(0).random(40) < 0.5
    table = Table(rule, 40, 20, late=rule in LATE, trained=trained)
    both = Both(table, device, kernels)
    both.step(np.arange(40))
    both.step(zipf(30, 40))
    if rule in LATE:
        both.catch_up(np.arange(10))
        both.check()
        both.catch_up_rows()
    both.check()
    for part, before in zip(both.cuda.state()[:2], table.parts, strict=False):
        assert (part.reshape(40, 20)[~trained] == before.reshape(40, 20)[~trained]).all()


# Decay of the gradient takes steps one by one; a falling eps leaves small elements whose terms are summed one by one.
WAYS = {"sums": [{}, {}, {}], "stepwise": [{}, {"decay": 0.05}, {}], "terms": [{"eps": 1e-1}, {"eps": 1e-3}, {}]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule", LATE)
def test_rows_catch_up(rule: str, way: str, device: ModuleType, kernels: ModuleType) -> None:
    for dtype, dim in (("float32", 12), ("float64", 5), ("bfloat16", 9)):
        both = Both(Table(rule, 50, dim, dtype, late=True), device, kernels)
        both.step(np.arange(50))
        for seed, changed in enumerate(WAYS[way], 1):
            both.step(zipf(20, 25, seed), seed=seed, **changed)
        # Ids that several lanes meet at once.
        both.catch_up(np.random.default_rng(0).permutation(np.repeat(np.arange(50, dtype=np.int32), 8)))
        both.check()
        both.step(np.array([1, 30, 48]))
        both.catch_up_rows()
        both.check()
        assert both.cuda.kernel.remembered == 0
        both.step(np.array([2, 2]))
        both.catch_up(np.array([2, 3]))
        both.check()


def test_a_long_history(device: ModuleType, kernels: ModuleType) -> None:
    both = Both(Table("adam", 4, 3, late=True), device, kernels)
    both.step(np.arange(4))
    for step in range(HISTORY - 2):
        both.step(np.array([step % 2]), seed=step, beta1=0.9, beta2=0.999, shrink=1 - 1e-3, eps=1e-3 / (step + 1))
        if step == 150:
            both.catch_up(np.array([2]))
    assert both.cuda.kernel.remembered == HISTORY - 1
    both.catch_up_rows()
    both.check()


def test_what_each_catch_up_says(device: ModuleType, kernels: ModuleType) -> None:
    late = OnCuda(Table("adam", 4, 3, late=True), device, kernels)
    assert not late.catch_up(np.array([2]))
    assert not late.catch_up_rows()
    late.step(np.array([1]), gradients(1, 3, "float32"), 1.0, NUMBERS)
    assert late.catch_up(np.array([2]))
    assert late.catch_up_rows()
    assert not late.catch_up_rows()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("dim", "gap"), [(8, 0), (16, 0), (40, 0), (64, 0), (264, 0), (300, 0), (33, 1), (7, 0)])
def test_stochastic_rounding(dim: int, gap: int, dtype: str, device: ModuleType, kernels: ModuleType) -> None:
    for rule in ("rowwise_adagrad", "amsgrad"):
        both = Both(Table(rule, 12, dim, dtype, gap=gap, late=rule in LATE), device, kernels)
        # Down to where float16 has fewer bits.
        for step, size in enumerate((1.0, 1e-5), 1):
            both.round_stochastically(0x123456789ABCDEF, step)
            grads = of_type(np.random.default_rng(step).standard_normal((9, dim)) * size, dtype)
            both.step(zipf(9, 12), grads)
        if rule in LATE:
            both.catch_up_rows()
        both.check()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("rule", RULES)
def test_what_is_not_finite_stays_in_its_row(rule: str, value: float, device: ModuleType, kernels: ModuleType) -> None:
    table = Table(rule, 4, 20)
    both = Both(table, device, kernels)
    grads = gradients(2, 20, "float32")
    grads[0, 11] = value
    both.step(np.array([1, 2]), grads)
    for found, expected in zip(both.cuda.state(), both.cpu.state(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("ids", "position", "value"), [([0, 5, 37, 2, -1], 2, 37), ([1] * 500 + [-1], 500, -1)])
def test_a_bad_id_leaves_everything_as_it_was(
    ids: list[int], position: int, value: int, device: ModuleType, kernels: ModuleType
) -> None:
    message = f"index out of range in self: position {position} of the ids is {value}, the table has rows 0 to 36"
    for rule in RULES:
        table = Table(rule, 37, 20, late=rule in LATE)
        cuda = OnCuda(table, device, kernels)
        with pytest.raises(IndexError, match=f"^{re.escape(message)}$"):
            cuda.step(np.array(ids), gradients(len(ids), 20, "float32"), 1.0, NUMBERS)
        if rule in LATE:
            with pytest.raises(IndexError, match=f"^{re.escape(message)}$"):
                cuda.catch_up(np.array(ids))
        expected = [*table.parts, *([table.row_steps] if rule in LATE else [])]
        for found, before in zip(cuda.state(), expected, strict=True):
            np.testing.assert_array_equal(found, before)


def test_offsets_beyond_32_bits(device: ModuleType, kernels: ModuleType) -> None:
    table = Table("sgd", 5, 8)
    cuda, cpu = OnCuda(table, device, kernels), OnCpu(table)
    far = 2**30  # only the row that is updated needs to exist
    for one, addresses in ((cuda, [p.ptr for p in cuda.parts]), (cpu, [p.ctypes.data for p in cpu.parts])):
        one.kernel.place(*((address - 4 * far, far) for address in addresses))
        one.step(np.array([4, 4]), gradients(2, 8, "float32"), 1.0, NUMBERS)
    np.testing.assert_array_equal(cuda.state()[0], cpu.state()[0])


def test_what_the_kernels_do_not_take(device: ModuleType, kernels: ModuleType) -> None:
    rule, element = _core.UpdateRule, _core.Element.float32
    with pytest.raises(
        ValueError, match=r"^optimizer: 2147483648 rows of the table; the kernels take fewer than 2\^31"
    ):
        kernels.UpdatedTable(rule.adam, element, 2**31, 3, 0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match=r"^optimizer: rows of rowwise_adagrad cannot catch up$"):
        kernels.UpdatedTable(rule.rowwise_adagrad, element, 4, 3, 0, 64, 0, 0, 0)
    table = kernels.UpdatedTable(rule.adam, element, 4, 3, 0, 64, 0, 0, 0)
    with pytest.raises(ValueError, match=r"^optimizer: 2147483648 ids; the kernels take fewer than 2\^31"):
        table.workspace_bytes(2**31)
    with pytest.raises(
        ValueError, match=r"^optimizer: the history has room for 0 steps and is full; call catch_up_rows$"
    ):
        table.step(0, 0, 0, 0, 1.0, *[0.5] * 8, 0, 0, STREAM)
