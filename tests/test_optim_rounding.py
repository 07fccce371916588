"""Stochastic rounding of 16-bit tables: unbiased, reproducible, refused elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from embrow import optim
from sparse_training import ROWS, Model, assert_same, batches, train

pytestmark = pytest.mark.usefixtures("unchecked")

HALVES = [torch.bfloat16, torch.float16]
KINDS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {}),
    (optim.SGD, {"momentum": 0.9}),
    (optim.Adagrad, {}),
    (optim.RowwiseAdagrad, {}),
    (optim.Adam, {"amsgrad": True}),
    (optim.AdamW, {"weight_decay": 0.1, "catch_up": True}),
]


def step_with(optimizer: torch.optim.Optimizer, parameter: Tensor, values: Tensor) -> None:
    ids = torch.arange(len(values)).unsqueeze(0)
    parameter.grad = torch.sparse_coo_tensor(ids, values.to(parameter.dtype), parameter.shape)
    optimizer.step()


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    ("start", "change"), [(1.0, 2.0**-12), (-1.0, 2.0**-13), (3.0, -(2.0**-13)), (2.0**-16, 2.0**-26), (0.0, 3e-9)]
)
def test_steps_too_small_to_keep_are_kept_on_average(dtype: torch.dtype, start: float, change: float) -> None:
    parameter = nn.Parameter(torch.full((200, 300), start, dtype=dtype))
    lr = change / 2.0**-6
    optimizer = optim.SGD([parameter], lr=abs(lr), stochastic_rounding=True, maximize=lr > 0)
    step_with(optimizer, parameter, torch.full((200, 300), 2.0**-6))
    found = parameter.detach().double() - start
    outcomes = found.unique()
    if dtype is torch.bfloat16 and start == 0:
        assert torch.allclose(found, torch.tensor(change, dtype=torch.float64), rtol=2**-8)
        return
    # Two neighbours; the share of the further one is binomial.
    assert len(outcomes) == 2
    low, high = outcomes.tolist()
    chance = (change - low) / (high - low)
    deviation = (high - low) * (chance * (1 - chance) / found.numel()) ** 0.5
    assert abs(found.mean().item() - change) < 5 * deviation
    # So it is in every row and column: the bits of neighbours have nothing in common.
    for across, count in ((0, 200), (1, 300)):
        spread = (found.mean(across) - change).std().item()
        assert spread == pytest.approx(deviation * (found.numel() / count) ** 0.5, rel=0.3)


@pytest.mark.parametrize("dtype", HALVES)
def test_many_small_steps_arrive(dtype: torch.dtype) -> None:
    ends = {}
    for stochastic in (False, True):
        parameter = nn.Parameter(torch.ones(64, 64, dtype=dtype))
        optimizer = optim.SGD([parameter], lr=2.0**-14, stochastic_rounding=stochastic)
        for _ in range(1024):
            step_with(optimizer, parameter, torch.full((64, 64), -1.0))
        ends[stochastic] = parameter.double().mean().item()
    assert ends[False] == 1.0
    assert ends[True] == pytest.approx(1 + 1024 * 2.0**-14, abs=1e-3)


@pytest.mark.parametrize(("kind", "settings"), KINDS)
@pytest.mark.parametrize("dtype", HALVES)
def test_training_is_the_same_bits_whatever_the_threads_and_after_a_state_dict(
    kind: Any, settings: dict[str, Any], dtype: torch.dtype
) -> None:
    def make(model: Model, seed: int) -> torch.optim.Optimizer:
        optimizer = kind(model.groups(), lr=0.01, stochastic_rounding=True, seed=seed, **settings)
        if settings.get("catch_up"):
            optimizer.attach(model.table)
        return optimizer

    threads = torch.get_num_threads()
    whole = Model(True, dtype)
    first = make(whole, 5)
    train(whole, [first], batches(17))
    saved, weights = copy.deepcopy(first.state_dict()), copy.deepcopy(whole.state_dict())
    train(whole, [first], batches(23, 1))
    for seed in (5, 6):
        resumed = Model(True, dtype)
        resumed.load_state_dict(weights)
        second = make(resumed, seed)
        second.load_state_dict(copy.deepcopy(saved))
        try:
            torch.set_num_threads(1)
            train(resumed, [second], batches(23, 1))
        finally:
            torch.set_num_threads(threads)
        if seed == 5:
            assert_same(resumed, whole, 0)
        else:
            assert not torch.equal(resumed.table.weight, whole.table.weight)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adagrad, optim.Adam, optim.AdamW])
def test_the_state_goes_to_torch_and_copies_go_on(kind: Any) -> None:
    model = Model(True, torch.bfloat16)
    one = kind(model.groups(), lr=0.01, stochastic_rounding=True, seed=3)
    train(model, [one], batches(5))
    peer = getattr(torch.optim, kind.__name__)(model.groups())
    peer.load_state_dict(copy.deepcopy(one.state_dict()))
    assert one.state_dict()["param_groups"] == peer.state_dict()["param_groups"]
    other, two = copy.deepcopy((model, one))
    for a, b in ((model, one), (other, two)):
        train(a, [b], batches(10, 1))
    assert_same(model, other, 0)


def test_dense_gradients_are_rounded_alike() -> None:
    for kind in (optim.SGD, optim.Adagrad, optim.RowwiseAdagrad):
        models = []
        for sparse in (True, False):
            model = Model(sparse, torch.bfloat16)
            # Both gradients hold every row that is not zero, once.
            train(model, [kind(model.groups(), lr=0.1, stochastic_rounding=True)], [torch.arange(ROWS)] * 5)
            models.append(model)
        assert_same(models[0], models[1], 0)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adagrad, optim.RowwiseAdagrad, optim.Adam, optim.AdamW])
def test_other_dtypes_are_refused(kind: Any) -> None:
    for dtype in (torch.float32, torch.float64):
        message = f"{kind.__name__}: stochastic_rounding is for .* found {str(dtype).removeprefix('torch.')}"
        with pytest.raises(ValueError, match=message):
            kind(Model(True, dtype).parameters(), stochastic_rounding=True)
    model = Model(True, torch.bfloat16)
    for seed in (-1, 1 << 64):
        with pytest.raises(ValueError, match=f"seed must be 0 to 2\\^64 - 1, found {seed}"):
            kind(model.parameters(), stochastic_rounding=True, seed=seed)
    with pytest.raises(TypeError, match=f"{kind.__name__}: seed: 'float' object cannot be interpreted as an integer"):
        kind(model.parameters(), stochastic_rounding=True, seed=0.5)
    optimizer = kind(model.parameters(), lr=0.1, stochastic_rounding=True)
    model.float()
    with pytest.raises(ValueError, match="stochastic_rounding is for"):
        train(model, [optimizer], batches(1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stochastic_rounding": True}, "stochastic_rounding is for"),
        ({"seed": -1}, "seed must be"),
        ({"rows": torch.ones(3).bool()}, "rows of a parameter of shape"),
    ],
    ids=str,
)
def test_a_group_that_is_refused_is_not_added(settings: dict[str, Any], message: str) -> None:
    first = nn.Parameter(torch.ones(2, 3))
    half, single = nn.Parameter(torch.ones(3, 2).bfloat16()), nn.Parameter(torch.ones(4, 2))
    optimizer = optim.SGD([first], lr=0.5)
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [half, single], **settings})
    assert len(optimizer.param_groups) == 1
    assert not optimizer._masks and not optimizer._seeds
    optimizer.add_param_group({"params": [half, single]})
    for parameter in (first, half, single):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert all(torch.equal(p, torch.full_like(p, 0.5)) for p in (first, half, single))


def test_groups_choose_for_themselves() -> None:
    model = Model(True, torch.bfloat16)
    model.linear.float()
    groups = [{"params": [model.table.weight], "seed": 4}, {"params": model.linear.parameters()}]
    groups[1]["stochastic_rounding"] = False
    optimizer = optim.SGD(groups, lr=0.1, stochastic_rounding=True)
    assert set(optimizer.param_groups[0]) == set(torch.optim.SGD(model.parameters()).param_groups[0])
    optimizer.zero_grad()
    model.linear(model.table(torch.tensor([1, 2])).float()).sum().backward()
    optimizer.step()
    assert len(optimizer.state[model.table.weight]) == 1
