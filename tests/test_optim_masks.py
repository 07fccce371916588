"""Masks of rows to train: the others keep their bits, and those trained have the numbers that they have without."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from embrow import optim
from sparse_training import ROWS, Model, assert_same, batches, train

pytestmark = pytest.mark.usefixtures("unchecked")

MASK = torch.rand(ROWS, generator=torch.Generator().manual_seed(1)) < 0.5
KINDS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {}),
    (optim.SGD, {"weight_decay": 0.1}),
    (optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    (optim.Adagrad, {"weight_decay": 0.1}),
    (optim.RowwiseAdagrad, {"weight_decay": 0.1}),
    (optim.Adam, {}),
    (optim.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    (optim.AdamW, {"weight_decay": 0.1}),
]


def row_states(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in optimizer.state[parameter].items() if value.dim() > 0}


@pytest.mark.parametrize("catch_up", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_only_the_rows_of_the_mask_move(kind: Any, settings: dict[str, Any], sparse: bool, catch_up: bool) -> None:
    if catch_up and kind is optim.RowwiseAdagrad:
        pytest.skip("rows of RowwiseAdagrad have nothing to catch up with")
    settings = {**settings, "catch_up": True} if catch_up else settings
    masked, free = Model(sparse), Model(sparse)
    before = masked.table.weight.detach().clone()
    one = kind(masked.groups(), lr=0.01, rows={masked.table.weight: MASK}, **settings)
    two = kind(free.groups(), lr=0.01, **settings)
    for model, optimizer in ((masked, one), (free, two)):
        if catch_up:
            optimizer.attach(model.table)
        # A row's numbers depend on no other row.
        for ids in batches(40):
            optimizer.zero_grad()
            model.table(ids).sin().sum().backward()
            optimizer.step()
        optimizer.state_dict()
    assert torch.equal(masked.table.weight[~MASK], before[~MASK])
    # Its sums are float32, and without a mask PyTorch adds up dense gradients.
    atol = 1e-5 if kind is optim.RowwiseAdagrad else 1e-12
    torch.testing.assert_close(masked.table.weight[MASK], free.table.weight[MASK], rtol=0, atol=atol)
    assert not torch.equal(masked.table.weight[MASK], before[MASK])
    states = row_states(two, free.table.weight)
    for name, state in row_states(one, masked.table.weight).items():
        torch.testing.assert_close(state[MASK], states[name][MASK], rtol=0, atol=atol)
        assert not state[~MASK].any()


def test_state_of_masked_rows_stays_as_it_was_loaded() -> None:
    model = Model(True)
    first = optim.Adam(model.groups(), lr=0.01)
    train(model, [first], batches(20))
    second = optim.Adam(model.groups(), lr=0.01, rows={model.table.weight: MASK}, catch_up=True)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.attach(model.table)
    weight, states = model.table.weight.detach().clone(), row_states(second, model.table.weight)
    train(model, [second], batches(20, 1))
    second.catch_up()
    assert torch.equal(model.table.weight[~MASK], weight[~MASK])
    for name, state in row_states(second, model.table.weight).items():
        assert torch.equal(state[~MASK], states[name][~MASK])
        assert not torch.equal(state[MASK], states[name][MASK])


@pytest.mark.parametrize("kind", ["SGD", "Adagrad", "Adam", "AdamW"])
def test_a_dense_gradient_has_torchs_numbers_in_the_rows_that_are_trained(kind: str) -> None:
    ours, theirs = Model(False), Model(False)
    optimizer = getattr(optim, kind)(ours.groups(), lr=0.01, rows={ours.table.weight: torch.ones(ROWS).bool()})
    train(ours, [optimizer], batches(60), schedule=True)
    train(theirs, [getattr(torch.optim, kind)(theirs.groups(), lr=0.01)], batches(60), schedule=True)
    assert_same(ours, theirs, 1e-7)


def test_any_parameter_may_have_a_mask() -> None:
    bias, scalar, filters = (
        nn.Parameter(torch.zeros(4)),
        nn.Parameter(torch.zeros(())),
        nn.Parameter(torch.zeros(3, 2, 5)),
    )
    masks = {bias: torch.tensor([True, False, True, True]), scalar: torch.tensor([False]), filters: torch.eye(3)[1] > 0}
    optimizer = optim.SGD([bias, scalar, filters], lr=1.0, rows=masks)
    (bias.sum() + scalar + filters.sum()).backward()
    optimizer.step()
    assert bias.tolist() == [-1, 0, -1, -1]
    assert scalar.item() == 0
    assert filters.sum((1, 2)).tolist() == [0, -10, 0]


def test_a_mask_is_copied_stays_with_copies_and_may_stand_in_a_group() -> None:
    model = Model(True)
    mask = MASK.clone()
    optimizer = optim.Adam([{"params": [model.table.weight], "rows": mask}], lr=0.1)
    assert set(optimizer.param_groups[0]) == set(torch.optim.Adam(model.parameters()).param_groups[0])
    mask.fill_(True)
    before = model.table.weight.detach().clone()
    other, copied = copy.deepcopy((model, optimizer))
    for a, b in ((model, optimizer), (other, copied)):
        train(a, [b], batches(10))
        assert torch.equal((a.table.weight != before).any(1) & ~MASK, torch.zeros(ROWS).bool())
    assert_same(model, other, 0)


def test_masks_are_checked() -> None:
    model = Model(True)
    weight = model.table.weight
    for mask, found in (
        (torch.ones(ROWS), r"torch\.float32, shape \(50,\)"),
        (torch.ones(ROWS - 1).bool(), r"torch\.bool, shape \(49,\)"),
        (torch.ones(ROWS, 13).bool(), r"torch\.bool, shape \(50, 13\)"),
        ([True] * ROWS, "list"),
    ):
        message = (
            rf"Adam: rows of a parameter of shape \(50, 13\) must be a bool tensor of shape \(50,\), found {found}"
        )
        with pytest.raises(ValueError, match=message):
            optim.Adam([weight], rows={weight: mask})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"SGD: rows names a parameter of shape \(1,\) that is not among"):
        optim.SGD([weight], rows={model.linear.bias: torch.ones(1).bool()})


def test_a_mask_of_a_table_that_grew_is_refused() -> None:
    parameter = nn.Parameter(torch.zeros(3, 2))
    optimizer = optim.SGD([parameter], lr=0.1, rows={parameter: torch.ones(3).bool()})
    parameter.data = torch.zeros(4, 2)
    parameter.grad = torch.ones(4, 2)
    with pytest.raises(ValueError, match=r"must be a bool tensor of shape \(4,\), found torch\.bool, shape \(3,\)"):
        optimizer.step()


def test_rows_that_are_no_dict_are_named() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3, 2))
    for rows in ([True], 1):
        with pytest.raises(TypeError, match=f"^Adam: rows is a {type(rows).__name__}; it is a dict parameter -> mask$"):
            optim.Adam([parameter], rows=rows)  # type: ignore[arg-type]
