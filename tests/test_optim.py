"""Optimizers against PyTorch's own: numbers, state, groups, schedules."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.testing._internal.two_tensor import TwoTensor

from embrow import optim
from sparse_training import ROWS, Model, assert_same, batches, train

pytestmark = pytest.mark.usefixtures("unchecked")


def test_adam_has_the_numbers_of_sparse_adam() -> None:
    ours, theirs = Model(True), Model(True)
    one = optim.Adam(ours.groups(), lr=0.01, betas=(0.8, 0.95), eps=1e-3)
    table = torch.optim.SparseAdam([theirs.table.weight], lr=0.01, betas=(0.8, 0.95), eps=1e-3)
    dense = torch.optim.Adam(theirs.linear.parameters(), lr=0.02, betas=(0.8, 0.95), eps=1e-3)
    train(ours, [one], batches(120), schedule=True)
    train(theirs, [table, dense], batches(120), schedule=True)
    assert_same(ours, theirs, 1e-12)


SETTINGS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "adam": (optim.Adam, torch.optim.Adam, {}),
    "adam eps": (optim.Adam, torch.optim.Adam, {"eps": 1e-2}),
    "adam betas": (optim.Adam, torch.optim.Adam, {"betas": (0.99, 0.999)}),
    "adam no momentum": (optim.Adam, torch.optim.Adam, {"betas": (0.0, 0.9)}),
    "adam slow momentum": (optim.Adam, torch.optim.Adam, {"betas": (0.9, 0.5)}),
    "adam betas of 0": (optim.Adam, torch.optim.Adam, {"betas": (0.0, 0.0)}),
    "adam weight decay": (optim.Adam, torch.optim.Adam, {"weight_decay": 0.1}),
    "adam amsgrad": (optim.Adam, torch.optim.Adam, {"amsgrad": True}),
    "adam maximize": (optim.Adam, torch.optim.Adam, {"maximize": True}),
    "adamw": (optim.AdamW, torch.optim.AdamW, {}),
    "adamw decay": (optim.AdamW, torch.optim.AdamW, {"weight_decay": 0.5, "amsgrad": True}),
    "sgd": (optim.SGD, torch.optim.SGD, {}),
    "sgd decay": (optim.SGD, torch.optim.SGD, {"weight_decay": 0.1}),
    "sgd momentum": (optim.SGD, torch.optim.SGD, {"momentum": 0.9}),
    "sgd dampening": (optim.SGD, torch.optim.SGD, {"momentum": 0.8, "dampening": 0.3}),
    "sgd nesterov": (optim.SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "adagrad": (optim.Adagrad, torch.optim.Adagrad, {"lr_decay": 0.01}),
    "adagrad decay": (optim.Adagrad, torch.optim.Adagrad, {"weight_decay": 0.1, "initial_accumulator_value": 0.2}),
}


@pytest.mark.parametrize("schedule", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_rows_that_catch_up_have_the_numbers_of_dense_gradients(name: str, schedule: bool) -> None:
    kind, peer, settings = SETTINGS[name]
    ours, theirs = Model(True), Model(False)
    one = kind(ours.groups(), lr=0.01, catch_up=True, **settings)
    one.attach(ours.table)
    losses = train(ours, [one], batches(150), schedule)
    expected = train(theirs, [peer(theirs.groups(), lr=0.01, **settings)], batches(150), schedule)
    assert losses == pytest.approx(expected, rel=0, abs=1e-7)
    assert_same(ours, theirs, 1e-7)


@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-20])
@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
def test_gradients_of_the_size_of_eps_catch_up_too(kind: str, scale: float) -> None:
    ours, theirs = Model(True), Model(False)
    one = getattr(optim, kind)(ours.groups(), lr=0.01, catch_up=True)
    one.attach(ours.table)
    train(ours, [one], batches(150), schedule=True, scale=scale)
    peer = getattr(torch.optim, kind)(theirs.groups(), lr=0.01)
    train(theirs, [peer], batches(150), schedule=True, scale=scale)
    assert_same(ours, theirs, 1e-7)


def test_float32_rows_are_no_further_from_the_truth_than_dense_ones() -> None:
    ours, theirs, truth = Model(True, torch.float32), Model(False, torch.float32), Model(False)
    one = optim.Adam(ours.groups(), lr=0.01, catch_up=True)
    one.attach(ours.table)
    with torch.no_grad():
        truth.table.weight.copy_(ours.table.weight)
        truth.linear.weight.copy_(ours.linear.weight)
        truth.linear.bias.copy_(ours.linear.bias)
    train(ours, [one], batches(150))
    train(theirs, [torch.optim.Adam(theirs.groups(), lr=0.01)], batches(150))
    train(truth, [torch.optim.Adam(truth.groups(), lr=0.01)], batches(150))
    one.catch_up()
    off = (ours.table.weight.double() - truth.table.weight).abs().max().item()
    assert off < 1e-5
    assert off <= 1.5 * (theirs.table.weight.double() - truth.table.weight).abs().max().item() + 1e-6


def test_betas_may_change_between_steps() -> None:
    def run(model: Model, one: torch.optim.Optimizer) -> None:
        cycle = torch.optim.lr_scheduler.OneCycleLR(one, max_lr=0.05, total_steps=100)
        for ids in batches(100):
            one.zero_grad()
            model(ids).backward()
            one.step()
            cycle.step()

    ours, theirs = Model(True), Model(False)
    one = optim.Adam(ours.groups(), catch_up=True)
    one.attach(ours.table)
    run(ours, one)
    run(theirs, torch.optim.Adam(theirs.groups()))
    assert_same(ours, theirs, 1e-7)


@pytest.mark.parametrize("name", ["sgd", "adagrad"])
def test_lazy_numbers_are_those_of_sparse_gradients(name: str) -> None:
    kind, peer, settings = SETTINGS[name]
    ours, theirs = Model(True), Model(True)
    train(ours, [kind(ours.groups(), lr=0.05, **settings)], batches(120), schedule=True)
    train(theirs, [peer(theirs.groups(), lr=0.05, **settings)], batches(120), schedule=True)
    assert_same(ours, theirs, 1e-12)


@pytest.mark.parametrize("settings", [{"momentum": 0.9}, {"momentum": 0.5, "nesterov": True}])
def test_momentum_moves_every_row_without_catching_up(settings: dict[str, Any]) -> None:
    ours, theirs = Model(True), Model(False)
    train(ours, [optim.SGD(ours.groups(), lr=0.05, **settings)], batches(50))
    train(theirs, [torch.optim.SGD(theirs.groups(), lr=0.05, **settings)], batches(50))
    assert_same(ours, theirs, 1e-12)


def test_lazy_weight_decay_touches_rows_with_a_gradient_only() -> None:
    for kind in (optim.SGD, optim.Adagrad, optim.RowwiseAdagrad, optim.Adam, optim.AdamW):
        model = Model(True)
        before = model.table.weight.detach().clone()
        one = kind(model.groups(), lr=0.1, weight_decay=0.5)
        train(model, [one], [torch.tensor([[1, 2, 2]])])
        changed = (model.table.weight != before).any(1)
        assert changed.nonzero().flatten().tolist() == [1, 2]


@pytest.mark.parametrize("name", SETTINGS)
def test_gradients_are_reset_as_torch_resets_them(name: str) -> None:
    model = Model(True)
    one = SETTINGS[name][0](model.groups())
    model(torch.tensor([[1, 2, 2]])).backward()
    held = {parameter: parameter.grad for parameter in model.parameters()}
    one.zero_grad(set_to_none=False)
    assert all(parameter.grad is grad for parameter, grad in held.items())
    assert not any(grad.to_dense().any() for grad in held.values())
    one.zero_grad()
    assert not any(parameter.grad is not None for parameter in model.parameters())


watches_all_threads = pytest.mark.skipif(
    "profile_all_threads" not in torch._C._profiler._ExperimentalConfig.__init__.__doc__,
    reason="PyTorch 2.6 watches one thread alone",
)


@pytest.mark.parametrize("all_threads", [False, pytest.param(True, marks=watches_all_threads)])
def test_a_profiler_sees_gradients_reset(all_threads: bool) -> None:
    model = Model(True)
    one = optim.SGD(model.groups())
    model(torch.tensor([[1, 2, 2]])).backward()
    of_threads = {"profile_all_threads": True} if all_threads else {}
    config = torch._C._profiler._ExperimentalConfig(**of_threads)
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, experimental_config=config) as profile:
        one.zero_grad()
    assert "Optimizer.zero_grad#SGD.zero_grad" in {event.key for event in profile.key_averages()}
    assert model.table.weight.grad is None


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RowwiseAdagrad", "Adam", "AdamW"])
def test_steps_serve_hooks_once_and_are_named_to_profilers(name: str, dense: bool) -> None:
    """Whether PyTorch's own step is left anything to do or not, and its own class has been used or not."""
    model = Model(True)
    kind = getattr(optim, name)
    ones = [kind(model.groups() if dense else [model.table.weight])]
    if hasattr(torch.optim, name):
        getattr(torch.optim, name)(model.groups())
        ones.append(kind(model.groups() if dense else [model.table.weight]))
    for one in ones:
        model(torch.tensor([[1, 2, 2]])).backward()
        # In the order in which PyTorch calls them.
        hooks = {
            "before any": register_optimizer_step_pre_hook,
            "before": one.register_step_pre_hook,
            "after": one.register_step_post_hook,
            "after any": register_optimizer_step_post_hook,
        }
        for called in (*[[when] for when in hooks], list(hooks), []):
            calls: list[Any] = []
            handles = [hooks[when](lambda me, *_, when=when, calls=calls: calls.append((me, when))) for when in called]
            before = model.table.weight.detach().clone()
            one.step()
            for handle in handles:
                handle.remove()
            assert calls == [(one, when) for when in called]
            assert not torch.equal(model.table.weight, before)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            one.step()
        names = [event.name for event in profile.events() if event.name.startswith("Optimizer.step#")]
        assert names == [f"Optimizer.step#{name}.step"]
        one.zero_grad()


def test_a_hook_may_give_a_step_its_closure() -> None:
    model = Model(True)
    one = optim.SGD([model.table.weight], lr=0.5)

    def closure() -> Tensor:
        loss: Tensor = model(torch.tensor([[1, 2]]))
        loss.backward()
        return loss

    one.register_step_pre_hook(lambda me, args, kwargs: ((me, closure), {}))
    before = model.table.weight.detach().clone()
    assert isinstance(one.step(), Tensor)
    assert (model.table.weight != before).any(1).nonzero().ravel().tolist() == [1, 2]


@pytest.mark.parametrize("dense", [False, True])
def test_a_class_of_its_own_may_step_around_ours(dense: bool) -> None:
    class Counting(optim.Adam):
        steps = 0

        def step(self, closure: Any = None) -> Any:
            self.steps += 1
            return super().step(closure)

    ours, theirs = Model(True), Model(True)
    one = Counting(ours.groups() if dense else [ours.table.weight], lr=0.01)
    two = optim.Adam(theirs.groups() if dense else [theirs.table.weight], lr=0.01)
    train(ours, [one], batches(10), schedule=True)
    train(theirs, [two], batches(10), schedule=True)
    assert one.steps == 10
    assert_same(ours, theirs, 0.0)


def test_rowwise_adagrad_by_hand() -> None:
    model = Model(True)
    one = optim.RowwiseAdagrad([model.table.weight], lr=0.1, eps=1e-3)
    weight, sums = model.table.weight.detach().clone(), torch.zeros(ROWS)
    for ids in batches(30):
        one.zero_grad()
        model(ids).backward()
        assert model.table.weight.grad is not None
        grad = model.table.weight.grad.to_dense()
        sums += grad.square().mean(1)
        weight -= 0.1 * grad / (sums.double().sqrt() + 1e-3).unsqueeze(1)
        one.step()
    torch.testing.assert_close(model.table.weight.detach(), weight, rtol=0, atol=1e-6)
    state = one.state[model.table.weight]
    assert state["sum"].dtype == torch.float32
    torch.testing.assert_close(state["sum"], sums)


def test_rowwise_adagrad_of_dense_gradients_is_the_same() -> None:
    sparse, dense = Model(True), Model(False)
    for model in (sparse, dense):
        train(model, [optim.RowwiseAdagrad(model.groups(), lr=0.1, lr_decay=0.1, eps=1e-3)], batches(30))
    assert_same(sparse, dense)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0,)])
def test_rowwise_adagrad_of_parameters_without_elements(shape: tuple[int, ...]) -> None:
    parameter = nn.Parameter(torch.ones(shape))
    parameter.grad = torch.ones(shape)
    one = optim.RowwiseAdagrad([parameter])
    one.step()
    assert one.state[parameter]["step"] == 1
    assert one.state[parameter]["sum"].tolist() == [0.0] * shape[0]


def test_rowwise_adagrad_keeps_float32_sums_through_a_state_dict() -> None:
    model = Model(True, torch.bfloat16)
    one = optim.RowwiseAdagrad(model.groups(), lr=0.1)
    train(model, [one], batches(3))
    other = optim.RowwiseAdagrad(model.groups(), lr=0.1)
    other.load_state_dict(one.state_dict())
    found = other.state[model.table.weight]["sum"]
    assert found.dtype == torch.float32
    assert torch.equal(found, one.state[model.table.weight]["sum"])


PAIRS = [name for name in SETTINGS if name not in ("adam betas of 0",)]


@pytest.mark.parametrize("name", PAIRS)
def test_state_goes_to_torch_and_comes_back(name: str) -> None:
    kind, peer, settings = SETTINGS[name]
    ours, theirs = Model(True), Model(False)
    whole = peer(theirs.groups(), lr=0.01, **settings)
    train(theirs, [whole], batches(40) + batches(40, 1) + batches(40, 2))

    one = kind(ours.groups(), lr=0.01, catch_up=True, **settings)
    handles = one.attach(ours.table)
    train(ours, [one], batches(40))
    saved = copy.deepcopy(one.state_dict())
    dense = Model(False)
    dense.load_state_dict(ours.state_dict())
    two = peer(dense.groups(), lr=0.01, **settings)
    two.load_state_dict(saved)
    train(dense, [two], batches(40, 1))
    for handle in handles:
        handle.remove()
    ours.load_state_dict(dense.state_dict())
    three = kind(ours.groups(), lr=0.5, catch_up=True, **settings)
    three.load_state_dict(copy.deepcopy(two.state_dict()))
    three.attach(ours.table)
    train(ours, [three], batches(40, 2))
    assert_same(ours, theirs)
    assert three.state_dict()["param_groups"] == whole.state_dict()["param_groups"]


def test_adam_loads_the_state_of_sparse_adam() -> None:
    ours, theirs = Model(True), Model(True)
    peer = torch.optim.SparseAdam([theirs.table.weight], lr=0.01)
    train(theirs, [peer], batches(20))
    ours.load_state_dict(theirs.state_dict())
    one = optim.Adam([ours.table.weight])
    one.load_state_dict(copy.deepcopy(peer.state_dict()))
    train(ours, [one], batches(20, 1))
    train(theirs, [peer], batches(20, 1))
    assert_same(ours, theirs, 1e-12)


@pytest.mark.parametrize("through", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_goes_on_where_the_original_was(through: Any) -> None:
    model = Model(True)
    one = optim.Adam(model.groups(), lr=0.01, catch_up=True)
    train(model, [one], batches(10))
    one.catch_up()
    other, two = through((model, one))
    for a, b in ((model, one), (other, two)):
        b.attach(a.table)
        train(a, [b], batches(20, 1))
    assert_same(model, other, 0)


def test_no_forward_pass_reads_a_row_that_is_behind() -> None:
    model = Model(True)
    one = optim.Adam(model.groups(), lr=0.01, catch_up=True)
    one.attach(model.table)
    train(model, [one], [torch.tensor([[1, 2]]), torch.tensor([[3]])])
    # Row 4 has never moved, row 1 missed a step.
    before = model.table.weight.detach().clone()
    read = model.table(torch.tensor([1, 4]))
    assert not torch.equal(read[0], before[1])
    assert torch.equal(read[1], before[4])
    assert torch.equal(read[0], model.table.weight[1])
    assert torch.equal(model.table.weight[2], before[2])
    one.catch_up(model.table.weight)
    assert not torch.equal(model.table.weight[2], before[2])


def test_a_long_history_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embrow._row_table._most_remembered", 7)
    ours, theirs = Model(True), Model(False)
    one = optim.Adam(ours.groups(), lr=0.01, catch_up=True)
    one.attach(ours.table)
    train(ours, [one], batches(60))
    train(theirs, [torch.optim.Adam(theirs.groups(), lr=0.01)], batches(60))
    assert_same(ours, theirs)


def test_gradients_may_turn_dense_and_sparse_again() -> None:
    ours, theirs = Model(True), Model(False)
    one = optim.Adam(ours.groups(), lr=0.01, catch_up=True)
    one.attach(ours.table)
    for part, sparse in enumerate((True, False, True)):
        ours.table.sparse = sparse
        train(ours, [one], batches(15, part))
    train(theirs, [torch.optim.Adam(theirs.groups(), lr=0.01)], batches(15, 0) + batches(15, 1) + batches(15, 2))
    assert_same(ours, theirs)


@pytest.mark.parametrize("fused", [False, True])
def test_grad_scaler(fused: bool) -> None:
    ours, theirs = Model(True, torch.float32), Model(True, torch.float32)
    one = optim.Adam(ours.groups(), lr=0.01, fused=fused)
    two = optim.Adam(theirs.groups(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step, ids in enumerate(batches(20)):
        one.zero_grad()
        loss = scaler.scale(ours(ids))
        if step == 7:
            loss = loss * float("inf")
        loss.backward()
        scaler.step(one)
        scaler.update()
    train(theirs, [two], [ids for step, ids in enumerate(batches(20)) if step != 7])
    assert_same(ours, theirs)
    assert int(one.state[ours.table.weight]["step"]) == 19


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adagrad, optim.Adam, optim.AdamW])
@pytest.mark.parametrize("coalesced", [False, True])
def test_fused_steps_leave_gradients_unscaled(kind: Any, coalesced: bool) -> None:
    gradients = []
    for made_by, sparse in ((kind, True), (getattr(torch.optim, kind.__name__), False)):
        layer = nn.Embedding(4, 2, sparse=sparse)
        optimizer = made_by(layer.parameters(), lr=0.1, fused=True)
        for factor in (1.0, math.inf):
            scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
            optimizer.zero_grad()
            scaler.scale((layer(torch.tensor([1, 2, 1])) * torch.tensor([1.0, 3.0])).sum() * factor).backward()
            grad = layer.weight.grad
            assert grad is not None
            if sparse and coalesced:
                grad = layer.weight.grad = grad.coalesce()
            entries = grad._values().shape if sparse else None
            scaler.step(optimizer)
            assert layer.weight.grad is grad
            assert not sparse or (grad.is_coalesced(), grad._values().shape) == (coalesced, entries)
            gradients.append(grad.to_dense())
    ours, theirs = gradients[:2], gradients[2:]
    assert torch.equal(ours[0], theirs[0])
    # A step that is skipped leaves them as they are.
    assert torch.equal(ours[1], theirs[1])


def test_closures_hooks_and_isinstance() -> None:
    model = Model(True)
    one = optim.Adam(model.groups(), lr=0.01)
    calls = []
    one.register_step_pre_hook(lambda *_: calls.append("pre"))
    one.register_step_post_hook(lambda *_: calls.append("post"))

    def closure() -> Tensor:
        one.zero_grad()
        loss = model(torch.tensor([[1, 2]]))
        loss.backward()
        return loss

    assert one.step(closure).item() == pytest.approx(model(torch.tensor([[1, 2]])).item(), abs=0.1)
    assert calls == ["pre", "post"]
    for name in ("SGD", "Adagrad", "Adam", "AdamW"):
        assert issubclass(getattr(optim, name), getattr(torch.optim, name))


def test_a_step_bumps_the_versions_of_what_it_writes() -> None:
    model = Model(True)
    one = optim.Adam(model.groups(), lr=0.01, catch_up=True)
    train(model, [one], batches(1))
    state = one.state[model.table.weight]
    before = [tensor._version for tensor in (model.table.weight, state["exp_avg"], state["exp_avg_sq"])]
    train(model, [one], batches(1))
    assert [t._version for t in (model.table.weight, state["exp_avg"], state["exp_avg_sq"])] > before
    saved = model.table.weight.square().sum()
    one.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.backward()


def test_memory_that_moves_is_found_again() -> None:
    ours, theirs = Model(True), Model(True)
    one, two = optim.Adam(ours.groups(), lr=0.01), optim.Adam(theirs.groups(), lr=0.01)
    for part in range(3):
        ours.table.weight.data = ours.table.weight.data.clone()
        train(ours, [one], batches(5, part))
        train(theirs, [two], batches(5, part))
    assert_same(ours, theirs, 0)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [1e-3, 1e3])
def test_clip_grad_norm(norm_type: float, max_norm: float) -> None:
    ours, theirs = Model(True), Model(False)
    ids = batches(1)[0]
    for model in (ours, theirs):
        model(ids).backward()
    found = optim.clip_grad_norm_(ours.parameters(), max_norm, norm_type)
    expected = nn.utils.clip_grad_norm_(theirs.parameters(), max_norm, norm_type)
    torch.testing.assert_close(found, expected)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.grad is not None
        torch.testing.assert_close(a.grad.to_dense(), b.grad)


def test_clip_grad_norm_of_no_entries() -> None:
    weight = nn.Parameter(torch.ones(3, 2))
    weight.grad = torch.sparse_coo_tensor(torch.empty(1, 0), torch.empty(0, 2), weight.shape)
    assert optim.clip_grad_norm_(weight, 1.0, float("inf")) == 0


def test_clip_grad_norm_refuses_what_is_not_finite() -> None:
    model = Model(True)
    (model(torch.tensor([[1]])) * float("nan")).backward()
    with pytest.raises(RuntimeError, match=r"The total norm of order 2\.0 for gradients from .* is non-finite, nan"):
        optim.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
    assert optim.clip_grad_norm_([], 1.0).item() == 0


def sparse_grad(parameter: Tensor, ids: list[int]) -> Tensor:
    values = torch.ones(len(ids), *parameter.shape[1:], dtype=parameter.dtype)
    return torch.sparse_coo_tensor(torch.tensor([ids]), values, parameter.shape)


def test_an_id_outside_the_table_changes_nothing() -> None:
    parameter = nn.Parameter(torch.zeros(4000, 64))
    one = optim.SGD([parameter], lr=0.1)
    ids = list(range(4000))
    ids[2500] = 4000
    parameter.grad = sparse_grad(parameter, ids)
    with pytest.raises(IndexError, match="position 2500 of the ids is 4000, the table has rows 0 to 3999"):
        one.step()
    assert not parameter.any()


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2), (0,), (0, 3, 2)], ids=str)
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adagrad, optim.RowwiseAdagrad, optim.Adam, optim.AdamW])
def test_a_sparse_gradient_may_have_no_entries(kind: Any, shape: tuple[int, ...]) -> None:
    parameter = nn.Parameter(torch.ones(shape))
    one = kind([parameter], lr=0.1)
    parameter.grad = sparse_grad(parameter, [])
    one.step()
    assert torch.equal(parameter, torch.ones(shape))
    if shape[0]:
        parameter.grad = sparse_grad(parameter, [2])
        one.step()
        assert [bool((row != 1).all()) for row in parameter] == [False, False, True, False]
        assert torch.equal(parameter[:2], torch.ones(2, *shape[1:]))


def test_errors_name_what_was_found() -> None:
    parameter = nn.Parameter(torch.zeros(4, 3, dtype=torch.complex64))
    parameter.grad = sparse_grad(parameter, [1])
    with pytest.raises(TypeError, match=r"Adam: a parameter of shape \(4, 3\) .* must be float32.*found complex64"):
        optim.Adam([parameter]).step()
    parameter = nn.Parameter(torch.zeros(4, 3))
    parameter.grad = torch.sparse_coo_tensor(torch.tensor([[1], [2]]), torch.ones(1), (4, 3))
    with pytest.raises(ValueError, match=r"SGD: .*one sparse dimension, the rows; found 2"):
        optim.SGD([parameter], catch_up=True).step()
    parameter = nn.Parameter(torch.zeros(3, 4).t())
    parameter.grad = sparse_grad(parameter, [1])
    with pytest.raises(ValueError, match=r"rows without gaps, found strides \(1, 4\); use \.contiguous"):
        optim.SGD([parameter], catch_up=True).step()
    one = optim.Adam([nn.Parameter(torch.zeros(4, 3))])
    with pytest.raises(ValueError, match=r"catch_up: a parameter of shape \(5,\) is not among those of this Adam"):
        one.catch_up(torch.zeros(5))
    with pytest.raises(TypeError, match="catch_up: ids were given without the parameter"):
        one.catch_up(ids=torch.zeros(5))
    with pytest.raises(TypeError, match="attach takes an Embedding or EmbeddingBag, found Linear"):
        one.attach(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="RowwiseAdagrad: lr must be 0 or more, found -1"):
        optim.RowwiseAdagrad([nn.Parameter(torch.zeros(3))], lr=-1)


def test_ids_to_catch_up_are_checked() -> None:
    model = Model(True)
    one = optim.Adam(model.groups(), catch_up=True)
    train(model, [one], batches(2))
    with pytest.raises(IndexError, match=f"position 1 of the ids is {ROWS}"):
        one.catch_up(model.table.weight, torch.tensor([1, ROWS]))
    with pytest.raises(TypeError, match="catch_up: ids must be int32 or int64, found float32"):
        one.catch_up(model.table.weight, torch.tensor([1.0]))


def test_a_table_whose_dtype_changed() -> None:
    for change in (nn.Module.half, nn.Module.double):
        ours, theirs = (
            torch.nn.Embedding.from_pretrained(torch.ones(5, 3), freeze=False, sparse=True) for _ in range(2)
        )
        optimizers = [optim.SGD(ours.parameters(), lr=0.5), torch.optim.SGD(theirs.parameters(), lr=0.5)]
        for step in range(2):
            for layer, optimizer in zip((ours, theirs), optimizers, strict=True):
                if step:
                    change(layer)
                optimizer.zero_grad()
                layer(torch.tensor([1, 1, 4])).sum().backward()
                optimizer.step()
        assert torch.equal(ours.weight, theirs.weight)
    layer = torch.nn.Embedding(5, 3, sparse=True)
    optimizer = optim.Adam(layer.parameters())
    layer(torch.tensor([1])).sum().backward()
    optimizer.step()
    layer.double()
    optimizer.zero_grad()
    layer(torch.tensor([1])).sum().backward()
    with pytest.raises(TypeError, match="make the optimizer after changing a module's dtype"):
        optimizer.step()


def step_rows(parameter: Tensor, one: Any, *ids: int, sparse: bool = True) -> None:
    one.zero_grad()
    nn.functional.embedding(torch.tensor(ids), parameter, sparse=sparse).pow(2).sum().backward()
    one.step()


def attached() -> tuple[nn.Embedding, Any]:
    """A layer of which the optimizer has left rows behind."""
    torch.manual_seed(0)
    layer = nn.Embedding(10, 4, sparse=True)
    one = optim.Adam(layer.parameters(), lr=0.1, catch_up=True)
    one.attach(layer)
    for i in range(4):
        one.zero_grad()
        layer(torch.tensor([i])).sum().backward()
        one.step()
    return layer, one


@pytest.mark.parametrize("to", ["bfloat16", "half", "double"])
@pytest.mark.parametrize("through", ["state_dict", "forward", "optimizer's state_dict", "catch_up"])
def test_rows_behind_catch_up_in_a_layer_of_another_dtype(to: str, through: str) -> None:
    layer, one = attached()
    expected, other = attached()
    other.catch_up()
    getattr(expected, to)()
    getattr(layer, to)()
    for _ in range(2):
        {
            "state_dict": layer.state_dict,
            "forward": lambda: layer(torch.tensor([7])),
            "optimizer's state_dict": one.state_dict,
            "catch_up": one.catch_up,
        }[through]()
        # Of 16 bits the rows are rounded before they catch up, and after.
        rtol = 0 if to == "double" else 2 * torch.finfo(getattr(torch, to)).eps
        torch.testing.assert_close(layer.weight.detach(), expected.weight.detach(), rtol=rtol, atol=rtol)


def test_rows_behind_catch_up_before_a_step_in_another_dtype() -> None:
    weights = []
    for kind in (optim.SGD, torch.optim.SGD):
        ours = kind is optim.SGD
        weight = nn.Parameter(torch.arange(1.0, 13).reshape(6, 2))
        one = kind([weight], lr=0.1, weight_decay=0.5, **({"catch_up": True} if ours else {}))
        for i in range(5):
            if i == 4:
                weight.data = weight.data.double()
            if ours:
                one.catch_up(weight, torch.tensor([i]))
            step_rows(weight, one, i, sparse=ours)
        if ours:
            one.catch_up()
        weights.append(weight.detach())
    torch.testing.assert_close(*weights, rtol=1e-6, atol=0)


@pytest.mark.parametrize("rows", [3, 3000])
def test_rows_behind_in_a_table_of_another_shape_are_refused(rows: int) -> None:
    layer, one = attached()
    before = layer.weight.data
    layer.weight.data = torch.ones(rows, 4)
    message = rf"Adam: a parameter of shape \(10, 4\) has become one of \({rows}, 4\).*call catch_up\(\) before"
    for read in (layer.state_dict, one.state_dict, one.catch_up, lambda: layer(torch.tensor([0]))):
        with pytest.raises(ValueError, match=message):
            read()
    assert torch.equal(layer.weight.data, torch.ones(rows, 4))
    layer.weight.data = before
    one.catch_up()
    layer.weight.data = torch.ones(rows, 4)
    layer.state_dict()


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adagrad, optim.RowwiseAdagrad, optim.Adam])
@pytest.mark.parametrize("rows", [6, 200000])
def test_state_of_another_shape_is_refused(kind: Any, rows: int) -> None:
    settings = {"momentum": 0.9} if kind is optim.SGD else {}
    weight = nn.Parameter(torch.ones(10, 4))
    one = kind([weight], lr=0.1, **settings)
    step_rows(weight, one, 1, 2)
    wanted = nn.Parameter(torch.ones(rows, 4))
    other = kind([wanted], lr=0.1, **settings)
    other.load_state_dict(one.state_dict())
    refused = pytest.raises(
        ValueError, match=rf"{kind.__name__}: the state of a parameter has shape \(10.*\({rows}, 4\)"
    )
    with refused:
        step_rows(wanted, other, rows - 1)
    weight.data = torch.ones(rows, 4)
    with refused:
        step_rows(weight, one, rows - 1)
    assert torch.equal(wanted.detach(), torch.ones(rows, 4))
    assert torch.equal(weight.detach(), torch.ones(rows, 4))


def test_sums_of_another_kind_are_refused() -> None:
    weight = nn.Parameter(torch.ones(10, 4))
    one = optim.Adagrad([weight])
    step_rows(weight, one, 1)
    other = optim.RowwiseAdagrad([weight])
    other.load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match=r"the state of a parameter has shape \(10, 4\) where \(10,\) belongs"):
        step_rows(weight, other, 1)


def test_tables_and_state_that_lose_their_layout_are_refused() -> None:
    weight = nn.Parameter(torch.ones(6, 4))
    one = optim.Adam([weight])
    step_rows(weight, one, 1, 3)
    sums = one.state[weight]["exp_avg"]
    before = weight.detach().clone()
    for name, make in (("state of a parameter", lambda: sums.t().contiguous().t()), ("state of", sums.bfloat16)):
        one.state[weight]["exp_avg"] = make()
        with pytest.raises((ValueError, TypeError), match=f"Adam: the {name}"):
            step_rows(weight, one, 1)
    one.state[weight]["exp_avg"] = sums
    weight.data = weight.data.t().contiguous().t()
    with pytest.raises(ValueError, match=r"Adam: a parameter of shape \(6, 4\) must have rows without gaps"):
        step_rows(weight, one, 1)
    assert torch.equal(weight.detach(), before)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
def test_what_has_no_memory_of_its_own_is_refused() -> None:
    def wrapped(number: float) -> Tensor:
        return TwoTensor(torch.full((5, 3), number), torch.full((5, 3), number))

    plain = torch.zeros(5, 3)
    for weight, grad in ((wrapped(0.0), wrapped(1.0)), (wrapped(0.0), plain), (plain, wrapped(1.0))):
        parameter = nn.Parameter(weight)
        one = optim.SGD([parameter], lr=0.1, rows={parameter: torch.ones(5, dtype=torch.bool)})
        parameter.grad = grad
        with pytest.raises(TypeError, match=r"SGD: .* a TwoTensor, has no memory of its own"):
            one.step()
    with FakeTensorMode():
        parameter = nn.Parameter(torch.zeros(5, 3))
        one = optim.SGD([parameter], lr=0.1, rows={parameter: torch.ones(5, dtype=torch.bool)})
        parameter.grad = torch.ones(5, 3)
        with pytest.raises(TypeError, match="has no memory of its own"):
            one.step()


def test_gradients_that_are_negated_views() -> None:
    weight = nn.Parameter(torch.zeros(5, 4))
    one = optim.SGD([weight], lr=1.0, rows={weight: torch.ones(5, dtype=torch.bool)})
    weight.grad = torch._neg_view(torch.ones(5, 4))
    one.step()
    assert torch.equal(weight.detach(), torch.ones(5, 4))


def test_steps_by_rows_cannot_be_differentiated() -> None:
    weight = nn.Parameter(torch.zeros(5, 4))
    one = optim.SGD([weight], lr=1.0, differentiable=True)
    with pytest.raises(ValueError, match="SGD: differentiable=True is for dense gradients"):
        step_rows(weight, one, 1)
    assert not weight.detach().any()


def test_a_parameter_leaves_the_settings_of_its_group_behind() -> None:
    weight, other = nn.Parameter(torch.zeros(5, 4, dtype=torch.bfloat16)), nn.Parameter(torch.zeros(2))
    mask = torch.tensor([True, False, True, True, True])
    one = optim.SGD([{"params": [weight], "stochastic_rounding": True, "rows": mask}, {"params": [other]}], lr=1.0)
    step_rows(weight, one, 0)
    one.param_groups[0]["params"].clear()
    # Half way between two numbers.
    one.add_param_group({"params": [weight], "lr": 1 + 2.0**-8})
    indices = torch.arange(5).reshape(1, 5)
    weight.grad = torch.sparse_coo_tensor(indices, torch.ones(5, 4, dtype=torch.bfloat16), (5, 4))
    one.step()
    assert torch.equal(weight.detach(), torch.full((5, 4), -1.0, dtype=torch.bfloat16))


def test_copies_of_an_attached_layer_are_layers_of_their_own() -> None:
    layer, one = attached()
    one.catch_up()
    average = torch.optim.swa_utils.AveragedModel(layer)
    pickled = pickle.loads(pickle.dumps(layer))
    for copied in (average.module, pickled, copy.deepcopy(layer)):
        before = copied.weight.detach().clone()
        step_rows(layer.weight, one, 8)
        assert torch.equal(copied(torch.tensor([1])), before[1:2])
        assert torch.equal(copied.state_dict()["weight"], before)
    weight = torch.ones(10, 4)
    assert torch.equal(torch.func.functional_call(layer, {"weight": weight}, torch.tensor([2])), weight[:1])
    # The layer itself is still brought up to date.
    behind = layer.weight.detach().clone()
    assert not torch.equal(layer.state_dict()["weight"], behind)


def test_a_layer_of_another_optimizer_cannot_be_attached() -> None:
    one = optim.Adam(nn.Embedding(10, 4).parameters(), catch_up=True)
    with pytest.raises(ValueError, match=r"attach: the weight of shape \(3, 4\) is not among the parameters"):
        one.attach(nn.Embedding(3, 4))


def test_steps_under_another_default_device() -> None:
    weight = nn.Parameter(torch.zeros(5, 4))
    one = optim.Adam([weight])
    nn.functional.embedding(torch.tensor([1]), weight, sparse=True).sum().backward()
    with torch.device("meta"):
        one.step()
    assert weight.detach()[1].all()


@pytest.mark.parametrize("dense", [False, True])
def test_gradients_of_another_shape_are_refused(dense: bool) -> None:
    weight = nn.Parameter(torch.ones(10, 4))
    one = optim.SGD([weight], lr=0.1, **({"rows": {weight: torch.ones(10, dtype=torch.bool)}} if dense else {}))
    for shape in ((10, 64), (10, 1 << 22)):
        nn.functional.embedding(torch.tensor([1]), weight, sparse=not dense).sum().backward()
        weight.data = torch.ones(shape)
        with pytest.raises(
            ValueError, match=rf"SGD: a parameter of shape \(10, {shape[1]}\) has a gradient of .*10, 4"
        ):
            one.step()
        assert torch.equal(weight.detach(), torch.ones(shape))
        weight.data = torch.ones(10, 4)
        one.zero_grad()
    step_rows(weight, one, 1)
    before = weight.detach().clone()
    weight.grad = torch.ones(10, 4).to_sparse()
    if dense:
        with pytest.raises(ValueError, match="must have a gradient of one sparse dimension, the rows; found 2"):
            one.step()
    else:
        one.step()
        torch.testing.assert_close(weight.detach(), before - 0.1)


def test_rows_whose_ids_cannot_be_read_here_catch_up() -> None:
    layer, one = attached()
    expected, other = attached()
    other.catch_up()
    ids = torch.tensor([[1, 2], [3, 0]])
    assert torch.equal(torch.vmap(layer)(ids), expected(ids))
    layer, one = attached()
    one.catch_up(layer.weight, TwoTensor(ids, ids))
    assert torch.equal(layer.weight, expected.weight)
    with pytest.raises(TypeError, match="catch_up: ids must be int32 or int64, found list"):
        one.catch_up(layer.weight, [1])


def test_rows_that_are_up_to_date_keep_their_bits_in_another_dtype() -> None:
    layer, one = attached()
    layer.double()
    with torch.no_grad():
        layer.weight[5:] = math.pi
    state = one.state[layer.weight]
    written = (layer.weight, state["exp_avg"], state["exp_avg_sq"])
    versions = [tensor._version for tensor in written]
    behind = layer.weight.detach().clone()
    one.catch_up()
    assert torch.equal(layer.weight[4:], behind[4:])
    assert not torch.equal(layer.weight[:4], behind[:4])
    assert all(tensor._version > version for tensor, version in zip(written, versions, strict=True))


def test_negated_views_are_refused() -> None:
    weight = nn.Parameter(torch._neg_view(torch.ones(5, 4)))
    with pytest.raises(ValueError, match="SGD: a parameter is a negated view"):
        step_rows(weight, optim.SGD([weight]), 1)
    weight = nn.Parameter(torch.ones(5, 4))
    one = optim.Adagrad([weight])
    one.state[weight]["sum"] = torch._neg_view(torch.ones(5, 4))
    with pytest.raises(ValueError, match="Adagrad: the state of a parameter is a negated view"):
        step_rows(weight, one, 1)
    assert torch.equal(weight.detach(), torch.ones(5, 4))


def test_a_step_that_failed_was_none() -> None:
    weights = []
    for fails in (True, False):
        weight = nn.Parameter(torch.ones(5, 4))
        one = optim.SGD([weight], lr=1.0, momentum=0.9, dampening=0.5)
        if fails:
            weight.grad = torch.sparse_coo_tensor([[7]], torch.ones(1, 4), (5, 4), check_invariants=False)
            with pytest.raises(IndexError):
                one.step()
        step_rows(weight, one, 1, 2)
        weight.grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 4), (5, 4))
        one.step()
        weights.append(weight.detach())
    assert torch.equal(*weights)


def test_what_is_refused_once_is_refused_again() -> None:
    layer, one = attached()
    layer.weight.data = torch.ones(3, 4)
    layer.weight.grad = torch.ones(3, 4)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"shape \(10, 4\) has become one of \(3, 4\)"):
            one.step()


@pytest.mark.parametrize("is_loaded", [False, True])
def test_state_loaded_under_a_table(is_loaded: bool) -> None:
    """Rows behind catch up first, but not where the table has been loaded, too."""
    tables = []
    for kind, ours in ((optim.Adam, True), (torch.optim.Adam, False)):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(10, 4))
        one = kind([weight], lr=0.1, **({"catch_up": True} if ours else {}))
        for i in range(8):
            if i == 3:
                saved = copy.deepcopy((one.state_dict(), weight.detach()))
            if i == 6:
                if is_loaded:
                    with torch.no_grad():
                        weight.copy_(saved[1])
                one.load_state_dict(saved[0])
            if ours:
                one.catch_up(weight, torch.tensor([i]))
            step_rows(weight, one, i, sparse=ours)
        if ours:
            one.catch_up()
        tables.append(weight.detach())
    torch.testing.assert_close(*tables, rtol=1e-6, atol=1e-6)


def test_rowwise_sums_pass_the_hooks_of_loading() -> None:
    weight = nn.Parameter(torch.ones(5, 4, dtype=torch.bfloat16))
    one = optim.RowwiseAdagrad([weight], lr=0.1)
    step_rows(weight, one, 1)
    saved = one.state_dict()
    saved["state"][0]["sum"] = torch.full((5,), 1 + 2.0**-12)
    one.load_state_dict(saved)
    assert torch.equal(one.state[weight]["sum"], saved["state"][0]["sum"])

    def sevens(_: Any, found: dict[str, Any]) -> dict[str, Any]:
        state = {**found["state"][0], "sum": torch.full((5,), 7.0)}
        return {**found, "state": {0: state}}

    def one_more(loaded: Any) -> None:
        loaded.state[weight]["sum"] += 1

    one.register_load_state_dict_pre_hook(sevens)
    one.load_state_dict(saved)
    assert torch.equal(one.state[weight]["sum"], torch.full((5,), 7.0))
    one.register_load_state_dict_post_hook(one_more)
    one.load_state_dict(saved)
    assert torch.equal(one.state[weight]["sum"], torch.full((5,), 8.0))


def test_steps_and_reading_threads_take_turns() -> None:
    """Else one finds a history of steps that another is writing."""
    layer = nn.Embedding(3000, 32, sparse=True)
    one = optim.Adam(layer.parameters(), lr=1e-4, catch_up=True)
    one.attach(layer)
    momentum = nn.Parameter(torch.zeros(3000, 32))
    other = optim.SGD([momentum], lr=1e-4, momentum=0.5)
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, 3000, (1000,), generator=generator) for _ in range(8)]
    done = threading.Event()

    def train() -> None:
        for step in range(300):
            one.zero_grad()
            layer(batches[step % 8]).sum().backward()
            one.step()

    def push() -> None:
        for step in range(300):
            grad = torch.sparse_coo_tensor(batches[step % 8].unsqueeze(0), torch.ones(1000, 32), (3000, 32))
            momentum.grad = grad
            other.step()

    def read() -> None:
        while not done.is_set():
            with torch.no_grad():
                layer(batches[0])
            one.catch_up()
            other.catch_up()

    with ThreadPoolExecutor(4) as threads:
        reader = threads.submit(read)
        try:
            for work in [threads.submit(task) for task in (train, push, push)]:
                work.result()
        finally:
            done.set()
        reader.result()
    assert layer.weight.isfinite().all()
    assert momentum.isfinite().all()
    assert momentum.abs().max() < 1


def test_memory_that_was_given_up_is_refused() -> None:
    flat = torch.ones(64 + 40)
    weight = nn.Parameter(flat[64:].view(10, 4))
    nn.functional.embedding(torch.tensor([1]), weight, sparse=True).sum().backward()
    flat.untyped_storage().resize_(0)
    with pytest.raises(TypeError, match="SGD: a parameter, a Parameter, has no memory of its own"):
        optim.SGD([weight]).step()


@pytest.mark.parametrize("steps_without", [0, 3])
def test_amsgrad_that_is_turned_on_late_catches_up(steps_without: int) -> None:
    """The greatest squares are then less than the last ones, which PyTorch makes up for in the first step."""

    def trained(kind: Any, sparse: bool) -> nn.Embedding:
        layer = nn.Embedding(2, 1, sparse=sparse, _weight=torch.ones(2, 1, dtype=torch.float64))
        one = kind([layer.weight], lr=0.01, amsgrad=True, **({"catch_up": True} if sparse else {}))
        if sparse:
            one.attach(layer)
        scales = [1e-3, *[10.0] * steps_without, *[1.0] * 20]
        for step, scale in enumerate(scales):
            one.param_groups[0]["amsgrad"] = not 1 <= step <= steps_without
            ids = [0, 1] if step <= steps_without else [0]
            one.zero_grad()
            (scale * layer(torch.tensor(ids))).sum().backward()
            one.step()
        if sparse:
            one.catch_up()
        return layer

    ours, theirs = trained(optim.Adam, True), trained(torch.optim.Adam, False)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-7)


def test_amsgrad_of_rows_that_had_no_greatest_square() -> None:
    layer = nn.Embedding(2, 1, sparse=True, _weight=torch.ones(2, 1))
    one = optim.Adam([layer.weight], lr=0.01, catch_up=True)
    for ids, amsgrad in (([0, 1], False), ([0], True)):
        one.param_groups[0]["amsgrad"] = amsgrad
        one.zero_grad()
        layer(torch.tensor(ids)).sum().backward()
        one.step()
    one.catch_up()
    assert (layer.weight > 0.97).all()


@pytest.mark.parametrize("value", [1e-4, 2e-4, 300.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dense_gradients_of_rowwise_adagrad_have_the_numbers_of_sparse_ones(dtype: torch.dtype, value: float) -> None:
    found = []
    for sparse in (False, True):
        parameter = nn.Parameter(torch.ones(2, 40, dtype=dtype))
        one = optim.RowwiseAdagrad([parameter], lr=0.01)
        grad = torch.full((2, 40), value, dtype=dtype)
        parameter.grad = grad.to_sparse(1) if sparse else grad
        one.step()
        found.append((parameter.detach(), one.state[parameter]["sum"]))
    torch.testing.assert_close(*found, rtol=1e-12 if dtype is torch.float64 else 1e-6, atol=0)


def test_what_rowwise_adagrad_does_not_decay_keeps_its_infinities() -> None:
    parameter = nn.Parameter(torch.tensor([[1.0, -math.inf]]))
    parameter.grad = torch.ones(1, 2)
    optim.RowwiseAdagrad([parameter], lr=0.01).step()
    torch.testing.assert_close(parameter.detach(), torch.tensor([[0.99, -math.inf]]))


def test_settings_that_a_loaded_state_lacks_stay() -> None:
    layer = nn.Embedding(6, 3, sparse=True)
    sparse = torch.optim.SparseAdam(layer.parameters())
    layer(torch.tensor([1])).sum().backward()
    sparse.step()
    one = optim.Adam([{"params": layer.parameters(), "amsgrad": True, "weight_decay": 0.1}])
    saved = sparse.state_dict()
    one.load_state_dict(saved)
    (group,) = one.param_groups
    assert group["amsgrad"] and group["weight_decay"] == 0.1
    assert "amsgrad" not in saved["param_groups"][0]
    one.step()
    assert set(one.state[layer.weight]) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}


def test_clip_grad_norm_takes_what_pytorchs_does() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([3.0, -4.0, 0.0])
    assert optim.clip_grad_norm_([parameter], 8.0, "inf", foreach=True) == 4  # type: ignore[arg-type]


class Moved(nn.Embedding):
    """Looks other rows up than it is asked for."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward((input + 1) % self.num_embeddings)


@pytest.mark.parametrize("how", ["class", "hook", "method"])
def test_a_layer_that_reads_other_rows_than_its_input_names_is_up_to_date(how: str) -> None:
    def made(sparse: bool) -> nn.Embedding:
        torch.manual_seed(0)
        return (Moved if how == "class" else nn.Embedding)(3, 2, sparse=sparse)

    ours, theirs = made(True), made(False)
    one = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9, catch_up=True)
    one.attach(ours)
    other = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for layer in (ours, theirs):
        if how == "hook":
            layer.register_forward_pre_hook(lambda _, args: ((args[0] + 1) % 3,))
        elif how == "method":
            layer.forward = lambda ids, layer=layer: nn.Embedding.forward(layer, (ids + 1) % 3)  # type: ignore[method-assign, misc]
    for row in (0, 1, 1, 2, 2, 0, 1, 2):
        for layer, optimizer in ((ours, one), (theirs, other)):
            optimizer.zero_grad()
            layer(torch.tensor([row])).pow(2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours(torch.arange(3)), theirs(torch.arange(3)))


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_what_is_wrong_with_ids_an_attached_layer_tells_as_without(kind: Any) -> None:
    layer = kind(10, 4, sparse=True)
    one = optim.Adam(layer.parameters(), catch_up=True)
    one.attach(layer)
    told = []
    for _ in range(2):
        for arguments in ([torch.tensor([[99]])], [torch.tensor([[1.5]])], []):
            with pytest.raises((IndexError, RuntimeError, TypeError)) as caught:
                layer(*arguments)
            told.append((caught.type, str(caught.value)))
        layer(torch.tensor([[1]])).sum().backward()
        one.step()
    assert told[:3] == told[3:]


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adagrad, optim.Adam])
def test_gradients_of_entries_after_those_of_rows(kind: Any) -> None:
    peer = torch.optim.SparseAdam if kind is optim.Adam else getattr(torch.optim, kind.__name__)
    ours, theirs = nn.Parameter(torch.ones(10, 4)), nn.Parameter(torch.ones(10, 4))
    one, other = kind([ours], lr=0.1), peer([theirs], lr=0.1)
    for entries in (False, True, False, True):
        for weight, optimizer in ((ours, one), (theirs, other)):
            grad = sparse_grad(weight, [1, 3])
            weight.grad = grad.to_dense().to_sparse() if entries else grad
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_a_refused_step_leaves_an_attached_layer_in_use() -> None:
    layer, one = attached()
    layer.double()
    layer(torch.tensor([2])).sum().backward()
    with pytest.raises(TypeError, match=r"the state of a parameter is torch\.float32 where torch\.float64"):
        one.step()
    rows = layer(torch.arange(4))
    assert torch.equal(rows, layer.state_dict()["weight"][:4])
    state = one.state_dict()
    one.load_state_dict(state)
    layer(torch.tensor([2])).sum().backward()
    one.step()
    assert not torch.equal(rows[2], layer.weight[2])


def test_transforms_read_rows_that_are_up_to_date() -> None:
    def loss(parameters: dict[str, Tensor], ids: Tensor) -> Tensor:
        return torch.func.functional_call(layer, parameters, (ids,)).square().sum()

    ids = torch.tensor([0, 1, 3])
    for transform in ("grad", "jvp", "export"):
        layer, _ = attached()
        expected, other = attached()
        other.catch_up()
        assert not torch.equal(layer.weight, expected.weight)
        parameters = dict(layer.named_parameters())
        if transform == "grad":
            grads, found = torch.func.grad_and_value(loss)(parameters, ids)
            assert torch.equal(grads["weight"][0], 2 * expected.weight[0])
        elif transform == "jvp":
            tangents = {"weight": torch.zeros_like(layer.weight)}
            found, _ = torch.func.jvp(lambda p: loss(p, ids), (parameters,), (tangents,))
        else:
            found = torch.export.export(layer, (ids,), strict=False).module()(ids).square().sum()
        assert found.item() == pytest.approx(expected(ids).square().sum().item(), rel=1e-6)
