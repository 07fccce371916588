"""Row gradients -> table: each rule and variant against the loop of reference.py."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import reference
from embrow import _core

pytestmark = pytest.mark.usefixtures("variant")

RULES = ["sgd", "momentum", "adagrad", "rowwise_adagrad", "adam", "amsgrad"]
EPS = {torch.float32: 2.0**-23, torch.float64: 2.0**-52, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-10}
NUMBERS = {
    "size": 0.3,
    "direct": 0.2,
    "eps": 1e-2,
    "beta1": 0.7,
    "beta2": 0.8,
    "gain": 0.6,
    "decay": 0.05,
    "shrink": 0.9,
}
# Nothing decays.
PLAIN = {"decay": 0.0, "shrink": 1.0}


class Table:
    """A table and its state, with gaps between the rows of the table."""

    def __init__(
        self,
        rule: str,
        rows: int,
        dim: int,
        dtype: torch.dtype,
        catches_up: bool = False,
        trained: Tensor | None = None,
    ):
        generator = torch.Generator().manual_seed(rows * dim)
        self.rule = rule
        self.wide = torch.randn(rows, dim + 3, generator=generator).to(dtype)
        self.weight = self.wide[:, :dim]
        self.first = torch.rand(rows, dim, generator=generator).to(dtype)
        row_state = rule == "rowwise_adagrad"
        self.second = torch.rand(rows, 1 if row_state else dim, generator=generator)
        self.second = self.second if row_state else self.second.to(dtype)
        self.greatest = torch.rand(rows, dim, generator=generator).to(dtype)
        self.row_steps = torch.zeros(rows, dtype=torch.int32)
        self.kernel = _core.UpdatedTable(
            getattr(_core.UpdateRule, rule),
            getattr(_core.Element, str(dtype).removeprefix("torch.")),
            rows,
            dim,
            0,
            self.row_steps.data_ptr() if catches_up else 0,
            0 if trained is None else trained.data_ptr(),
        )
        self.kernel.place(*((t.data_ptr(), t.stride(0) * t.itemsize) for t in self.tensors()))

    def tensors(self) -> tuple[Tensor, ...]:
        return self.weight, self.first, self.second, self.greatest

    def step(self, ids: Tensor, grads: Tensor, threads: int = 1, scale: float = 1.0, **changed: float) -> None:
        assert ids.dtype == torch.int64
        self.kernel.step(
            ids.data_ptr(),
            ids.numel(),
            grads.data_ptr(),
            grads.stride(0) * grads.itemsize,
            scale,
            *{**NUMBERS, **changed}.values(),
            threads,
        )


def check(rule: str, ids: Tensor, grads: Tensor, rows: int, scale: float = 1.0, **changed: float) -> None:
    dim = grads.size(1)
    table = Table(rule, rows, dim, grads.dtype)
    lists: Any = [tensor.double().tolist() for tensor in table.tensors()]
    table.step(ids, grads, scale=scale, **changed)
    reference.update(rule, ids.tolist(), grads.double().tolist(), *lists, scale=scale, **{**NUMBERS, **changed})
    eps = max(EPS[grads.dtype], EPS[table.second.dtype])
    for found, expected in zip(table.tensors(), lists, strict=True):
        wide = torch.tensor(expected, dtype=torch.float64).reshape(found.shape)
        torch.testing.assert_close(found.double(), wide, rtol=4 * eps, atol=16 * eps)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("dim", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67, 100, 143])
def test_every_width_equals_the_reference(rule: str, dtype: torch.dtype, dim: int) -> None:
    ids = torch.randint(0, 11, (29,), generator=torch.Generator().manual_seed(dim))
    check(rule, ids, torch.randn(29, dim, generator=torch.Generator().manual_seed(dim)).to(dtype), 11, 0.5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("dim", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67, 100, 143])
def test_every_width_of_plain_steps_equals_the_reference(rule: str, dtype: torch.dtype, dim: int) -> None:
    # Some rows have one gradient, some have more.
    ids = torch.randint(0, 40, (29,), generator=torch.Generator().manual_seed(dim))
    grads = torch.randn(29, dim, generator=torch.Generator().manual_seed(dim)).to(dtype)
    assert 0 < (torch.bincount(ids) == 1).sum() < (torch.bincount(ids) > 0).sum()
    check(rule, ids, grads, 40, **PLAIN)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("dim", [1, 7, 41, 160])
def test_rows_of_more_and_more_terms_equal_the_reference(rule: str, dtype: torch.dtype, plain: bool, dim: int) -> None:
    # Few of them are added where they are used, more beforehand.
    ids = torch.arange(24).repeat_interleave(torch.arange(24))
    grads = torch.randn(len(ids), dim, generator=torch.Generator().manual_seed(dim)).to(dtype)
    check(rule, ids, grads / 8, 24, **(PLAIN if plain else {}))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("count", [64, 65, 129, 5000])
def test_a_row_of_many_terms_equals_the_reference(rule: str, plain: bool, count: int) -> None:
    grads = torch.randn(count, 41, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
    check(rule, torch.full((count,), 2), grads / count, 3, **(PLAIN if plain else {}))


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 129, 255, 256, 257, 1000])
def test_every_count_equals_the_reference(count: int) -> None:
    check("adam", torch.randint(0, 300, (count,)), torch.randn(count, 10, dtype=torch.float64), 300)


@pytest.mark.parametrize("rule", RULES)
def test_no_columns(rule: str) -> None:
    Table(rule, 3, 0, torch.float32).step(torch.tensor([1, 2]), torch.zeros(2, 0))


@pytest.mark.parametrize("rule", RULES)
def test_gradient_rows_may_overlap(rule: str) -> None:
    ids = torch.tensor([3, 1, 3])
    check(rule, ids, torch.randn(1, 9).expand(3, 9), 5)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, 0xFFFFFFFFFFFFFFFF, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            0x299F31D0A4093822,
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_reference_has_the_published_words(counter: list[int], key: int, words: list[int]) -> None:
    # kat_vectors of Random123, the authors' library.
    assert reference.philox(counter, key) == words


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dim", [1, 7, 8, 9, 31, 32, 33, 67])
def test_every_element_is_rounded_by_its_own_bits(dtype: torch.dtype, dim: int) -> None:
    seed, step = 0x123456789ABCDEF, 7
    table = Table("sgd", 6, dim, dtype)
    # Down to where float16 has fewer bits.
    table.wide *= torch.logspace(0, -7, 6).to(dtype).unsqueeze(1)
    grads = (torch.randn(3, dim, generator=torch.Generator().manual_seed(dim)) * table.weight[1:4] * 0.01).to(dtype)
    expected = table.weight.clone()
    numbers = table.weight[1:4].float() - grads.float()
    fraction_bits, least_exponent = (7, -126) if dtype is torch.bfloat16 else (10, -14)
    for i, row in enumerate(numbers.tolist()):
        for column, number in enumerate(row):
            word = reference.random_word(seed, step, 0, i + 1, column)
            expected[i + 1, column] = reference.round_stochastically(number, word, fraction_bits, least_exponent)
    table.kernel.round_stochastically(seed, step)
    table.step(torch.tensor([1, 2, 3]), grads, direct=1.0, decay=0.0, shrink=1.0)
    assert torch.equal(table.weight, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_16_bits_cannot_hold_is_rounded_as_ever(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    for value in (math.inf, -math.inf, math.nan, largest, -largest):
        near, random = Table("sgd", 3, 40, dtype), Table("sgd", 3, 40, dtype)
        random.kernel.round_stochastically(1, 1)
        grads = torch.full((1, 40), value).to(dtype)
        for table in (near, random):
            table.weight[1] = 0
            table.step(torch.tensor([1]), grads, direct=-1.01, decay=0.0, shrink=1.0)
        assert torch.equal(near.weight.view(torch.int16), random.weight.view(torch.int16))


def test_rows_that_are_not_trained_keep_their_bits() -> None:
    trained = torch.rand(3000, generator=torch.Generator().manual_seed(0)) < 0.5
    for rule in RULES:
        table = Table(rule, 3000, 77, torch.float32, catches_up=True, trained=trained)
        whole = Table(rule, 3000, 77, torch.float32, catches_up=True)
        for step in range(3):
            ids, grads = data(torch.float32, step, 77)
            table.step(ids, grads, 2)
            whole.step(ids, grads, 2)
        for one in (table, whole):
            one.kernel.catch_up(ids.data_ptr(), 2000, True, 2)
            one.kernel.catch_up_rows(2)
        for masked, full, before in zip(
            table.tensors(), whole.tensors(), Table(rule, 3000, 77, torch.float32).tensors(), strict=True
        ):
            assert torch.equal(masked, torch.where(trained.unsqueeze(1), full, before))


def data(dtype: torch.dtype, seed: int, dim: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.cat([torch.randint(0, 3000, (9000,), generator=generator), torch.full((3000,), 17)])
    return ids[torch.randperm(12_000, generator=generator)], torch.randn(12_000, dim, generator=generator).to(dtype)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("dim", [77, 159])
@pytest.mark.parametrize(
    ("dtype", "stochastic"), [*((dtype, False) for dtype in EPS), (torch.bfloat16, True), (torch.float16, True)]
)
def test_neither_threads_nor_variants_change_a_bit(
    rule: str, plain: bool, dim: int, dtype: torch.dtype, stochastic: bool, variant: str
) -> None:
    found = []
    for name, threads in ((variant, 1), (variant, 2), (variant, 3), (variant, 8), ("serial", 1)):
        _core.use_variant(name)
        table = Table(rule, 3000, dim, dtype, catches_up=True)
        changed = PLAIN if plain else {"decay": 0.0, "eps": 1e-3} if rule in ("adam", "amsgrad") else {}
        for step in range(3):
            ids, grads = data(dtype, step, dim)
            if stochastic:
                table.kernel.round_stochastically(3, step + 1)
            table.step(ids[: 12_000 // (1 + 3 * step)], grads, threads, **changed)
        table.kernel.catch_up(ids.data_ptr(), 2000, True, threads)
        table.kernel.catch_up_rows(threads)
        found.append(table.tensors())
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("shrink", [1.0, 0.5])
@pytest.mark.parametrize("dim", [1, 8, 33])
def test_a_single_gradient_keeps_its_sign_of_zero(dim: int, shrink: float) -> None:
    table = Table("sgd", 2, dim, torch.float32)
    table.weight.fill_(-0.0)
    table.step(torch.tensor([0, 1, 1]), torch.full((3, dim), -0.0), decay=0.0, shrink=shrink)
    # -0 - -0 is 0, and the sum of two of them begins with 0.
    assert not torch.signbit(table.weight[0]).any()
    assert torch.signbit(table.weight[1]).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("rule", RULES)
def test_what_is_not_finite_stays_in_its_element(rule: str, value: float) -> None:
    table = Table(rule, 4, 20, torch.float32)
    grads = torch.ones(2, 20)
    grads[0, 11] = value
    table.step(torch.tensor([1, 2]), grads)
    bad = ~torch.isfinite(table.weight)
    if rule == "rowwise_adagrad":
        assert bad[1, 11]
        assert not bad[[0, 2, 3]].any()
    elif rule in ("momentum", "sgd") or math.isnan(value):
        assert bad.nonzero().tolist() == [[1, 11]]
    else:
        assert set(map(tuple, bad.nonzero().tolist())) <= {(1, 11)}


def test_a_row_catches_up_once() -> None:
    table = Table("adam", 600, 40, torch.float64, catches_up=True)
    every = torch.arange(600)
    changed = {"decay": 0.0, "shrink": 1.0}
    table.step(every, torch.randn(600, 40, dtype=torch.float64), **changed)
    table.step(every[:1], torch.randn(1, 40, dtype=torch.float64), **changed)
    before = table.weight.clone()
    ids = torch.tensor([5, 0, 5, 7])
    assert table.kernel.catch_up(ids.data_ptr(), 4, True, 1) == 2
    assert table.kernel.catch_up(ids.data_ptr(), 4, True, 1) == 0
    assert (table.weight != before).any(1).nonzero().flatten().tolist() == [5, 7]
    assert table.kernel.remembered == 2
    assert table.kernel.catch_up_rows(2) == 597
    assert table.kernel.remembered == 0
    assert table.kernel.catch_up_rows(2) == 0


@pytest.mark.parametrize("others", [[], [7001], [11_000], [7001, 11_999]])
@pytest.mark.parametrize("first", [0, 3000, 7000])
def test_the_first_bad_id_is_found_before_anything_is_written(first: int, others: list[int]) -> None:
    table = Table("sgd", 3000, 77, torch.float32)
    before = table.weight.clone()
    ids, grads = data(torch.float32, 0, 77)
    ids[first] = -1
    ids[others] = 3000
    with pytest.raises(IndexError, match=f"position {first} of the ids is -1, the table has rows 0 to 2999"):
        table.step(ids, grads, 2)
    assert torch.equal(table.weight, before)
