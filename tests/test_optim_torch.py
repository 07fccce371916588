"""Whole training runs beside PyTorch's sparse optimizers, and what users do around a step."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from embrow import optim
from sparse_training import ROWS, Model, assert_same, batches, train

pytestmark = pytest.mark.usefixtures("unchecked")

PEERS: dict[str, tuple[Any, Any, Any]] = {
    "SGD": (optim.SGD, torch.optim.SGD, torch.optim.SGD),
    "Adagrad": (optim.Adagrad, torch.optim.Adagrad, torch.optim.Adagrad),
    "Adam": (optim.Adam, torch.optim.SparseAdam, torch.optim.Adam),
    "AdamW": (optim.AdamW, torch.optim.SparseAdam, torch.optim.AdamW),
}
ALL = [optim.SGD, optim.Adagrad, optim.RowwiseAdagrad, optim.Adam, optim.AdamW]


def settings_of(name: str) -> dict[str, Any]:
    # SparseAdam has no weight decay.
    return {"weight_decay": 0.0} if name == "AdamW" else {}


def run(model: Model, optimizers: list[torch.optim.Optimizer], data: list[Tensor]) -> None:
    """Train with closures and schedules, the table and the dense layer at rates of their own."""
    schedulers = [torch.optim.lr_scheduler.StepLR(one, 10, 0.8) for one in optimizers]
    for ids in data:
        for one in optimizers:

            def closure() -> Tensor:
                model.zero_grad()
                loss: Tensor = model(ids)  # noqa: B023
                loss.backward()
                return loss

            # The second takes the gradients of the same weights.
            if one is optimizers[0]:
                assert math.isfinite(one.step(closure).item())
            else:
                one.step()
        for scheduler in schedulers:
            scheduler.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PEERS)
def test_a_hundred_steps_equal_torchs(name: str, dtype: torch.dtype) -> None:
    kind, sparse, dense = PEERS[name]
    ours, theirs = Model(True, dtype), Model(True, dtype)
    one = kind(ours.groups(), lr=0.01, **settings_of(name))
    two = sparse([theirs.table.weight], lr=0.01)
    three = dense(theirs.linear.parameters(), lr=0.02, **settings_of(name))
    run(ours, [one], batches(100))
    run(theirs, [two, three], batches(100))
    assert_same(ours, theirs, 1e-6)


@pytest.mark.parametrize("name", PEERS)
def test_a_run_moves_to_torch_and_back(name: str) -> None:
    kind, peer, _ = PEERS[name]
    ours, theirs = Model(True), Model(True)
    parts = [batches(35, seed) for seed in range(3)]
    whole = peer([theirs.table.weight], lr=0.05)
    train(theirs, [whole], [ids for part in parts for ids in part])

    one = kind([ours.table.weight], lr=0.05, **settings_of(name))
    train(ours, [one], parts[0])
    two = peer([ours.table.weight])
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    train(ours, [two], parts[1])
    three = kind([ours.table.weight])
    three.load_state_dict(copy.deepcopy(two.state_dict()))
    train(ours, [three], parts[2])
    assert three.param_groups[0]["lr"] == 0.05
    # SparseAdam's bias corrections have the precision of the step that it was given, a float32 tensor.
    assert_same(ours, theirs, 1e-5 if peer is torch.optim.SparseAdam else 1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_grad_scaler_skips_steps_and_unscales(kind: Any) -> None:
    ours, theirs = Model(True, torch.float32), Model(True, torch.float32)
    one, two = kind(ours.groups(), lr=0.01), kind(theirs.groups(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step, ids in enumerate(batches(20)):
        one.zero_grad()
        loss = scaler.scale(ours(ids))
        (loss * math.inf if step == 7 else loss).backward()
        scaler.unscale_(one)
        optim.clip_grad_norm_(ours.parameters(), 1e3)
        scaler.step(one)
        scaler.update()
    train(theirs, [two], [ids for step, ids in enumerate(batches(20)) if step != 7])
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", PEERS)
def test_two_layers_may_share_a_table(name: str) -> None:
    kind, peer, _ = PEERS[name]
    weights = []
    for make, settings in ((kind, settings_of(name)), (peer, {})):
        first = nn.Embedding(ROWS, 5, sparse=True, _weight=torch.linspace(-1, 1, ROWS * 5).reshape(ROWS, 5))
        second = nn.Embedding(ROWS, 5, sparse=True)
        second.weight = first.weight
        optimizer = make(first.parameters(), lr=0.01, **settings)
        for left, right in zip(batches(50), batches(50, 1), strict=True):
            optimizer.zero_grad()
            (first(left) * second(right).cos()).sum().backward()
            optimizer.step()
        weights.append(first.weight.detach())
    torch.testing.assert_close(*weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adam", "AdamW"])
def test_a_table_tied_to_the_output_layer_has_dense_gradients(name: str) -> None:
    kind, _, peer = PEERS[name]
    weights = []
    for make, sparse in ((kind, True), (peer, False)):
        table = nn.Embedding(ROWS, 5, sparse=sparse, _weight=torch.linspace(-1, 1, ROWS * 5).reshape(ROWS, 5))
        optimizer = make(table.parameters(), lr=0.01)
        for ids in batches(50):
            optimizer.zero_grad()
            (table(ids) @ table.weight.t()).sin().mean().backward()
            optimizer.step()
        weights.append(table.weight.detach())
    torch.testing.assert_close(*weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", PEERS)
def test_gradients_that_are_not_finite_do_what_they_do_in_torch(name: str, value: float) -> None:
    kind, peer, _ = PEERS[name]
    weights = []
    for make, settings in ((kind, settings_of(name)), (peer, {})):
        weight = nn.Parameter(torch.ones(6, 9))
        optimizer = make([weight], lr=0.1, **settings)
        for values in (torch.ones(3, 9), torch.ones(3, 9).index_fill(1, torch.tensor([4]), value), torch.ones(3, 9)):
            weight.grad = torch.sparse_coo_tensor(torch.tensor([[1, 3, 1]]), values, weight.shape)
            optimizer.step()
        weights.append(weight.detach())
    assert not torch.isfinite(weights[0]).all()
    torch.testing.assert_close(*weights, equal_nan=True)


@pytest.mark.parametrize("kind", ALL)
def test_a_frozen_table_stays_as_it_is(kind: Any) -> None:
    model = Model(True)
    model.table.weight.requires_grad_(False)
    before, bias = model.table.weight.clone(), model.linear.bias.detach().clone()
    optimizer = kind(model.parameters(), lr=0.1)
    train(model, [optimizer], batches(3))
    assert torch.equal(model.table.weight, before)
    assert not torch.equal(model.linear.bias, bias)
    # Thawed later, it trains.
    model.table.weight.requires_grad_(True)
    train(model, [optimizer], batches(3))
    assert not torch.equal(model.table.weight, before)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ALL)
def test_a_bad_id_in_a_batch_leaves_table_and_state_as_they_are(kind: Any, threads: int) -> None:
    weight = nn.Parameter(torch.randn(6000, 128))
    optimizer = kind([weight], lr=0.1)

    def step(ids: Tensor) -> None:
        weight.grad = torch.sparse_coo_tensor(ids.unsqueeze(0), torch.ones(len(ids), 128), weight.shape)
        optimizer.step()

    was = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        step(torch.arange(6000))
        before = copy.deepcopy((weight, optimizer.state_dict()["state"]))
        ids = torch.arange(6000)
        ids[3001], ids[5000] = 6000, -1
        with pytest.raises(IndexError, match="position 3001 of the ids is 6000, the table has rows 0 to 5999"):
            step(ids)
    finally:
        torch.set_num_threads(was)
    assert torch.equal(weight, before[0])
    after = optimizer.state_dict()["state"]
    for number, state in before[1].items():
        for name, value in state.items():
            assert torch.equal(after[number][name], value)


@pytest.mark.parametrize("catch_up", [False, True])
@pytest.mark.parametrize("kind", ALL)
def test_a_step_allocates_nothing_of_the_size_of_the_table(kind: Any, catch_up: bool) -> None:
    if kind is optim.RowwiseAdagrad and catch_up:
        pytest.skip("rows of RowwiseAdagrad have nothing to catch up with")
    layer = nn.Embedding(100_000, 32, sparse=True)
    optimizer = kind(layer.parameters(), lr=0.1, **({"catch_up": True} if catch_up else {}))
    if catch_up:
        optimizer.attach(layer)

    def step() -> None:
        optimizer.zero_grad()
        layer(torch.arange(50)).sum().backward()
        optimizer.step()

    step()
    with torch.profiler.profile(profile_memory=True) as profile:
        step()
    events = profile.events()
    assert events
    # Of the table's 12.8 MB.
    assert max(abs(event.cpu_memory_usage) for event in events) < 100_000


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in ("SGD", "Adagrad", "Adam") for kind in ("entries", "strided")]
    + [("SGD", "complex"), ("Adagrad", "complex")],
)
def test_sparse_gradients_that_are_no_rows_of_floats(name: str, kind: str) -> None:
    ours, peer, _ = PEERS[name]
    generator = torch.Generator().manual_seed(0)

    def made() -> nn.Parameter:
        dtype = torch.complex64 if kind == "complex" else torch.float32
        weight = torch.randn(6, 4, 2, generator=generator.manual_seed(0), dtype=dtype)
        return nn.Parameter(weight[..., 0] if kind == "strided" else weight[..., 0].contiguous())

    one, two, dense = made(), made(), nn.Parameter(torch.ones(3))
    optimizers = [ours([one, dense], lr=0.1), peer([two], lr=0.1)]
    for step in range(10):
        ids = torch.randint(0, 6, (3, 4), generator=generator.manual_seed(step))
        for weight, optimizer in zip((one, two), optimizers, strict=True):
            optimizer.zero_grad()
            if kind == "entries":
                torch.gather(weight, 0, ids, sparse_grad=True).square().sum().backward()
            else:
                rows = ids.view(1, -1)
                weight.grad = torch.sparse_coo_tensor(rows, 2 * weight.detach()[rows[0]], weight.shape)
            optimizer.step()
    assert torch.equal(one, two)
    assert not torch.equal(one, made())


@pytest.mark.parametrize("change", [nn.Module.double, nn.Module.half, nn.Module.bfloat16])
@pytest.mark.parametrize("name", ["SGD", "Adagrad"])
@pytest.mark.parametrize("steps", [0, 2])
def test_a_module_changes_its_dtype_under_its_optimizer(name: str, change: Any, steps: int) -> None:
    ours, theirs = (nn.Embedding.from_pretrained(torch.ones(6, 4), freeze=False, sparse=True) for _ in range(2))
    # PyTorch starts no momentum from sparse gradients of float16.
    settings = {"momentum": 0.9} if name == "SGD" and steps else {}
    mine, peer, _ = PEERS[name]
    layers = [(ours, mine(ours.parameters(), **settings)), (theirs, peer(theirs.parameters(), **settings))]
    for step in range(steps + 3):
        for layer, optimizer in layers:
            if step == steps:
                change(layer)
            optimizer.zero_grad()
            layer(torch.tensor([1, 4, step])).square().sum().backward()
            optimizer.step()
    assert ours.weight.dtype is not torch.float32
    torch.testing.assert_close(ours.weight, theirs.weight)
    # Where state has the parameter's dtype again, so have the kernels their work.
    one = layers[0][1]
    one.load_state_dict(one.state_dict())
    one.zero_grad()
    ours(torch.tensor([2])).sum().backward()
    one.step()
    assert ours.weight in one._tables


def test_loading_leaves_no_keys_of_schedulers() -> None:
    def new(lr: float) -> torch.optim.Optimizer:
        return optim.SGD([nn.Parameter(torch.ones(2))], lr=lr)

    saved = new(0.5).state_dict()
    one = new(0.1)
    torch.optim.lr_scheduler.StepLR(one, 10)
    one.load_state_dict(saved)
    assert torch.optim.lr_scheduler.StepLR(one, 10).base_lrs == [0.5]
    two = new(0.1)
    two.register_load_state_dict_pre_hook(lambda _, wrapped: wrapped["optimizer"])
    two.load_state_dict({"optimizer": saved})
    assert two.param_groups[0]["lr"] == 0.5


def test_a_param_group_is_the_one_given() -> None:
    group: dict[str, Any] = {"params": [nn.Parameter(torch.ones(2))], "lr": 0.1}
    one = optim.SGD([group], lr=1.0)
    assert one.param_groups[0] is group
    masked = {**group, "params": [nn.Parameter(torch.ones(2))], "rows": torch.tensor([True, False])}
    one.add_param_group(masked)
    assert "rows" in masked
    assert "rows" not in one.param_groups[1]


@pytest.mark.parametrize("kind", ALL)
def test_init_tells_what_it_takes(kind: Any) -> None:
    class Sub(kind):  # type: ignore[misc]
        pass

    name = kind.__name__
    theirs = getattr(torch.optim, "Adagrad" if name == "RowwiseAdagrad" else name)
    for asked in (kind, Sub):
        found = inspect.signature(asked.__init__).parameters
        assert list(found)[1:] == list(inspect.signature(asked).parameters)
        shared = [p for p in inspect.signature(theirs.__init__).parameters if p in found]
        assert shared == [p for p in found if p in shared]
        assert {"params", "lr", "maximize", "seed", "rows"} <= set(found)
    assert Sub([nn.Parameter(torch.ones(2))], 0.5).defaults["lr"] == 0.5


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adam"])
@pytest.mark.parametrize("setting", ["rows", "stochastic_rounding"])
def test_what_pytorch_cannot_do_is_not_left_to_it(name: str, setting: str) -> None:
    weight = nn.Parameter(torch.ones(6, 4, dtype=torch.bfloat16))
    given: dict[str, Any] = {"rows": {weight: torch.arange(6) == 0}, "stochastic_rounding": True}
    optimizer = PEERS[name][0]([weight], lr=0.1, **{setting: given[setting]})
    weight.grad = torch.ones(6, 4, dtype=torch.bfloat16).to_sparse()
    with pytest.raises(ValueError, match="one sparse dimension, the rows; found 2"):
        optimizer.step()
    assert weight.eq(1).all()
