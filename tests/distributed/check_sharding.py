"""Layers whose rows are split over processes: what one process with the whole table does."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from world import DIM, ROWS, Model, World, assert_close, assert_same_parameters, batches, loss_of, table_of, whole

import embrow.nn
import embrow.optim
from embrow.distributed import shard_rows

LAYERS = [embrow.nn.Embedding, embrow.nn.EmbeddingBag]
Optimizer = Callable[[Any], torch.optim.Optimizer]


def in_parallel(model: Model) -> nn.Module:
    """Have DistributedDataParallel average the gradients of all but the table."""
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, ["table.weight"])
    return DistributedDataParallel(model)


def train_alike(world: World, optimizer: Optimizer, kind: type[Any] = LAYERS[0], **settings: Any) -> None:
    """Train a sharded layer and, on the batches of all, one that is whole."""
    table = shard_rows(table_of(kind, **settings), world.mesh)
    here = table.weight.to_local().size(0)
    assert here <= -(-ROWS // world.size) and table.weight.shape == (ROWS, DIM)
    ours, alone = in_parallel(Model(table)), Model(table_of(kind, **settings))
    one, other = optimizer(ours.parameters()), optimizer(alone.parameters())
    for number, batch in enumerate(batches(world.size)):
        out, expected = ours(batch[world.rank]), alone(batch.flatten(0, 1))
        assert_close(out, expected.unflatten(0, batch.shape[:2])[world.rank], f"result of step {number}")
        one.zero_grad()
        other.zero_grad()
        loss_of(out).backward()
        loss_of(expected).backward()
        assert_close(whole_gradient(table), alone.table.weight.grad, f"gradient of step {number}")
        assert (table.weight.grad.layout is torch.sparse_coo) == table.sparse
        one.step()
        other.step()
    assert_same_parameters(ours, alone)


def whole_gradient(layer: Any) -> Tensor:
    """Return the gradient of a sharded table, of the rows of all processes."""
    grad = layer.weight.grad
    if isinstance(grad, DTensor):
        return whole(grad)
    dense = grad.to_dense()
    assert dense.shape == layer.weight.shape
    dist.all_reduce(dense)
    return dense


def check_optimizers_update_local_rows(world: World) -> None:
    optim = embrow.optim
    optimizers: list[Optimizer] = [
        lambda parameters: optim.SGD(parameters, lr=0.05),
        lambda parameters: optim.SGD(parameters, lr=0.05, momentum=0.9),
        lambda parameters: optim.Adagrad(parameters, lr=0.05),
        lambda parameters: optim.RowwiseAdagrad(parameters, lr=0.05, initial_accumulator_value=0.1),
        lambda parameters: optim.Adam(parameters, lr=0.05, amsgrad=True),
        lambda parameters: optim.AdamW(parameters, lr=0.05),
    ]
    for optimizer in optimizers:
        train_alike(world, optimizer, sparse=True, padding_idx=2)


def check_dense_gradients_suit_any_optimizer(world: World) -> None:
    for kind in (torch.optim.Adam, embrow.optim.Adam, embrow.optim.RowwiseAdagrad):
        train_alike(world, lambda parameters, kind=kind: kind(parameters, lr=0.05), padding_idx=2)


def check_settings(world: World) -> None:
    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return embrow.optim.SGD(parameters, lr=0.05)

    for sparse in (False, True):
        for padding_idx in (None, 0, -1):
            train_alike(world, optimizer, sparse=sparse, padding_idx=padding_idx)
        train_alike(world, optimizer, sparse=sparse, max_norm=1.5)
        for mode in ("sum", "mean"):
            train_alike(world, optimizer, LAYERS[1], sparse=sparse, mode=mode, padding_idx=3)
    train_alike(world, optimizer, LAYERS[1], mode="max")


def check_bags_with_offsets_and_weights(world: World) -> None:
    settings: Any = {"mode": "sum", "include_last_offset": True, "padding_idx": 4}
    ours, alone = shard_rows(table_of(LAYERS[1], **settings), world.mesh), table_of(LAYERS[1], **settings)
    ids, offsets = torch.tensor([4, 1, 22, 1, 4 + world.rank]), torch.tensor([0, 2, 2, 5])
    weights = [torch.linspace(-1, 1, 5, requires_grad=True) for _ in range(2)]
    out, expected = ours(ids, offsets, weights[0]), alone(ids, offsets, weights[1])
    assert_close(out, expected, "result")
    out.sin().sum().backward()
    expected.sin().sum().backward()
    assert_close(weights[0].grad, weights[1].grad, "gradient of the weights")
    mean = alone.weight.grad / world.size
    dist.all_reduce(mean)
    assert_close(whole_gradient(ours), mean, "gradient")


def check_gradients_scaled_by_frequency_count_the_process_s_batch(world: World) -> None:
    ids = torch.tensor([1, 1, 5, world.rank])
    for sparse in (False, True):
        ours = shard_rows(table_of(LAYERS[0], scale_grad_by_freq=True, sparse=sparse), world.mesh)
        ours(ids).sin().sum().backward()
        alone = table_of(LAYERS[0], scale_grad_by_freq=True)
        alone(ids).sin().sum().backward()
        mean = alone.weight.grad / world.size
        dist.all_reduce(mean)
        assert_close(whole_gradient(ours), mean, "gradient")


def check_gradients_may_be_added_up(world: World) -> None:
    """The batches of processes are of different sizes, the first one's is empty, and two passes add up."""
    for sparse in (False, True):
        layer = shard_rows(table_of(LAYERS[0], sparse=sparse), world.mesh, average_gradients=False)
        for _ in range(2):
            layer(torch.arange(2 * world.rank)).sin().sum().backward()
        alone = table_of(LAYERS[0])
        for rank in range(world.size):
            (2 * alone(torch.arange(2 * rank)).sin().sum()).backward()
        assert_close(whole_gradient(layer), alone.weight.grad, "gradient")


def check_a_layer_may_be_used_twice_and_frozen(world: World) -> None:
    layer = shard_rows(table_of(LAYERS[0]), world.mesh)
    left, right = torch.tensor([1, 2]), torch.tensor([22, world.rank])
    (layer(left) * layer(right)).sum().backward()
    alone = table_of(LAYERS[0])
    sum((alone(left) * alone(torch.tensor([22, rank]))).sum() for rank in range(world.size)).backward()
    assert_close(whole_gradient(layer), alone.weight.grad / world.size, "gradient")
    frozen = shard_rows(LAYERS[0].from_pretrained(alone.weight.detach()), world.mesh)
    assert not frozen(left).requires_grad and not frozen.weight.requires_grad
    with torch.no_grad():
        assert_close(layer(left), alone(left), "result without gradient")


def check_more_processes_than_rows(world: World) -> None:
    weight = torch.arange(6.0).reshape(3, 2)
    layer = shard_rows(embrow.nn.Embedding(3, 2, sparse=True, _weight=weight), world.mesh)
    optimizer = embrow.optim.Adam(layer.parameters(), lr=0.1)
    ids = torch.tensor([[2, 0], [1, 1]], dtype=torch.int32)
    assert torch.equal(layer(ids), weight[ids])
    layer(ids).sum().backward()
    optimizer.step()
    assert_close(layer.weight, weight - 0.1, "table after a step")


def check_half_precision(world: World) -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        whole_layer = table_of(LAYERS[0], sparse=True).to(dtype)
        layer = shard_rows(whole_layer, world.mesh)
        ids = torch.tensor([3, 1, 3])
        assert torch.equal(layer(ids), whole_layer(ids))
        layer(ids).sum().backward()
        grad = whole_gradient(layer)
        assert grad.dtype is dtype and grad[3, 0] == 2 and grad[1, 0] == 1 and grad.sum() == 3 * DIM
        embrow.optim.SGD(layer.parameters(), lr=1.0).step()
        assert torch.equal(whole(layer.weight)[3], whole_layer.weight[3] - 2)


def expect(error: type[Exception], text: str, call: Callable[[], Any]) -> None:
    try:
        call()
    except error as found:
        assert re.search(text, str(found)), found
    else:
        raise AssertionError(f"no {error.__name__}")


def check_a_bad_batch_raises_in_every_process(world: World) -> None:
    fine = torch.tensor([[0, ROWS - 1]])
    last = world.size - 1
    for kind, error in zip(LAYERS, (IndexError, RuntimeError), strict=True):
        layer = shard_rows(table_of(kind), world.mesh)
        for bad in (ROWS, -1):
            ids = torch.tensor([[0, 1], [bad, -7]]) if world.rank == last else fine
            if kind is LAYERS[0]:
                where = "" if world.rank == last else f"in process {last}, "
                text = (
                    f"^index out of range in self: {where}position 2 of the ids is {bad}, the table has rows 0 to 22$"
                )
            else:
                where = "" if world.rank == last else f" in process {last}"
                text = f"^Index 2 of input{where} takes value {bad} which is not in the valid range "
            expect(error, text, lambda ids=ids: layer(ids))  # noqa: B023
        ids = fine.float() if world.rank == last else fine
        text = "scalar types: Long, Int" if world.rank == last else f"process {last} refused its batch"
        expect(RuntimeError, text, lambda ids=ids: layer(ids))  # noqa: B023
        assert_close(layer(fine), table_of(kind)(fine), "result after errors")
    offsets = torch.tensor([0, 9 if world.rank == last else 1])
    text = "offsets" if world.rank == last else f"process {last} refused its batch"
    expect(RuntimeError, text, lambda: layer(fine[0], offsets))


def check_shard_rows_refuses(world: World) -> None:
    layer = table_of(LAYERS[0])
    expect(
        TypeError, "takes an Embedding or EmbeddingBag, found Linear", lambda: shard_rows(nn.Linear(2, 2), world.mesh)
    )
    split = shard_rows(layer, world.mesh)
    expect(TypeError, "a table of its own, found DTensor", lambda: shard_rows(split, world.mesh))

    class Scaled(embrow.nn.Embedding):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    expect(TypeError, "Scaled has a forward pass of its own", lambda: shard_rows(Scaled(4, 2), world.mesh))
    normed = nn.utils.parametrizations.weight_norm(embrow.nn.Embedding(4, 2))
    expect(TypeError, "the weight of .*Embedding is computed", lambda: shard_rows(normed, world.mesh))
    hooked = embrow.nn.Embedding(4, 2)
    hooked.register_forward_hook(lambda *_: None)
    expect(TypeError, "Embedding has hooks", lambda: shard_rows(hooked, world.mesh))
    square = dist.init_device_mesh(world.mesh.device_type, (1, world.size), mesh_dim_names=("one", "all"))
    expect(ValueError, r"one dimension, found 2, \('one', 'all'\)", lambda: shard_rows(layer, square))
    assert shard_rows(layer, square["all"]).weight.placements == (Shard(0),)
    split.weight.grad = None
    split(torch.tensor([1])).sum().backward()
    optimizer = embrow.optim.Adam(split.parameters(), catch_up=True)
    expect(ValueError, "attach", lambda: optimizer.catch_up(split.weight, torch.tensor([1])))


def check_tables_come_from_one_process_or_all(world: World) -> None:
    weight = table_of(LAYERS[0]).weight.detach()
    mine = embrow.nn.Embedding(ROWS, DIM, _weight=weight + world.rank)
    split = shard_rows(mine, world.mesh).weight
    assert torch.equal(whole(split), weight)
    assert split.to_local().data_ptr() != mine.weight.data_ptr()
    last = shard_rows(mine, world.mesh, src_data_rank=world.size - 1).weight
    assert torch.equal(whole(last), weight + (world.size - 1))
    own = shard_rows(mine, world.mesh, src_data_rank=None).weight
    most = -(-ROWS // world.size)
    expected = weight + torch.arange(ROWS).div(most, rounding_mode="floor").unsqueeze(1)
    assert torch.equal(whole(own), expected)
    for rows in (split, own):
        assert rows.to_local().untyped_storage().nbytes() <= most * DIM * 4


def check_rows_are_drawn_the_same_in_every_world(world: World) -> None:
    layer = embrow.nn.Embedding(5000, 3, padding_idx=-1, device="meta")
    layer = shard_rows(layer, world.mesh).to_empty(device="cpu")
    # Only the first process's generator counts.
    torch.manual_seed(3 + world.rank)
    layer.reset_parameters()
    weight = whole(layer.weight)
    assert not weight[-1].any() and abs(weight.mean()) < 0.03 and abs(weight.std() - 1) < 0.03
    assert weight.unique(dim=0).size(0) == 5000
    path = world.folder / "drawn.pt"
    if not path.exists() and world.rank == 0:
        torch.save(weight, path)
    dist.barrier()
    assert torch.equal(weight, torch.load(path))


def check_norms_are_those_of_the_whole_gradient(world: World) -> None:
    batch = batches(world.size)[0]
    for sparse in (False, True):
        for norm_type in (0.0, 2.0, float("inf")):
            ours = in_parallel(Model(shard_rows(table_of(LAYERS[0], sparse=sparse), world.mesh)))
            alone = Model(table_of(LAYERS[0]))
            loss_of(ours(batch[world.rank])).backward()
            loss_of(alone(batch.flatten(0, 1))).backward()
            expected = nn.utils.clip_grad_norm_(alone.parameters(), 0.01, norm_type)
            assert_close(embrow.optim.clip_grad_norm_(ours.parameters(), 0.01, norm_type), expected, "norm")
            assert_close(whole_gradient(ours.module.table), alone.table.weight.grad, "clipped gradient")
            assert_close(ours.module.linear.weight.grad, alone.linear.weight.grad, "clipped gradient")


def check_norms_where_a_process_has_no_gradient(world: World) -> None:
    for sparse in (False, True):
        weight = torch.ones(1, 2)
        layer = shard_rows(embrow.nn.Embedding(1, 2, sparse=sparse, _weight=weight), world.mesh)
        (3 * layer(torch.tensor([0]))).sum().backward()
        norm = embrow.optim.clip_grad_norm_(layer.parameters(), 1.0, float("inf"))
        assert_close(norm, torch.tensor(3.0), "norm")
        assert_close(whole_gradient(layer), weight, "clipped gradient")


def check_norms_under_other_wrappers(world: World) -> None:
    batch = batches(1)[0][0]
    for plan in (ColwiseParallel(output_layouts=Replicate()), None):
        model, alone = Model(table_of(LAYERS[0])), Model(table_of(LAYERS[0]))
        if plan is None:
            fully_shard(model, mesh=world.mesh)
        else:
            parallelize_module(model, world.mesh, {"table": plan})
        for one in (model, alone):
            loss_of(one(batch)).backward()
        expected = nn.utils.clip_grad_norm_(alone.parameters(), 0.01)
        assert_close(embrow.optim.clip_grad_norm_(model.parameters(), 0.01), expected, "norm")
        for found, other in zip(model.parameters(), alone.parameters(), strict=True):
            assert_close(found.grad, other.grad, "clipped gradient")


def check_rows_catch_up_before_they_are_read(world: World) -> None:
    """With the numbers of dense gradients, in one process and in all."""
    ours = in_parallel(Model(shard_rows(table_of(LAYERS[0], sparse=True), world.mesh)))
    alone = Model(table_of(nn.Embedding))
    one = embrow.optim.Adam(ours.parameters(), lr=0.05, catch_up=True)
    one.attach(ours.module.table)
    other = torch.optim.Adam(alone.parameters(), lr=0.05)
    for number, batch in enumerate(batches(world.size, steps=8)):
        few = batch % 5 if number % 2 else batch
        one.zero_grad()
        other.zero_grad()
        out, expected = ours(few[world.rank]), alone(few.flatten(0, 1))
        assert_close(out, expected.unflatten(0, few.shape[:2])[world.rank], f"result of step {number}")
        loss_of(out).backward()
        loss_of(expected).backward()
        one.step()
        other.step()
    ours.state_dict()
    assert_same_parameters(ours, alone)


def check_masked_rows_stay(world: World) -> None:
    """Of sharded tables and of those of fully_shard, whose gradients are dense."""
    ids = torch.arange(ROWS)
    mask = ids % 5 == 0
    before = table_of(LAYERS[0]).weight.detach()
    for layer in (
        shard_rows(table_of(LAYERS[0], sparse=True), world.mesh),
        shard_rows(table_of(LAYERS[0]), world.mesh),
        fully_shard(table_of(LAYERS[0]), mesh=world.mesh),
    ):
        optimizer = embrow.optim.SGD(layer.parameters(), lr=0.5, rows={layer.weight: mask})
        version = layer.weight._version
        layer(ids).sum().backward()
        optimizer.step()
        assert layer.weight._version > version
        assert_close(layer.weight, before - 0.5 * mask.unsqueeze(1), "table")


def check_copies_and_other_dtypes_go_on(world: World) -> None:
    layer = shard_rows(table_of(LAYERS[0], sparse=True), world.mesh)
    copied, ids = copy.deepcopy(layer), torch.tensor([1, 20, 1])
    for one in (layer, copied.double()):
        optimizer = embrow.optim.SGD(one.parameters(), lr=0.5)
        for _ in range(2):
            one(ids).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    expected = table_of(LAYERS[0]).weight.detach().index_add(0, ids, -torch.ones(3, DIM))
    assert_close(layer.weight, expected, "table")
    assert_close(copied.weight, expected.double(), "copy")


def check_columns_are_not_updated_by_rows(world: World) -> None:
    layer = table_of(LAYERS[0]).bfloat16()
    parallelize_module(layer, world.mesh, ColwiseParallel(output_layouts=Replicate()))
    optimizer = embrow.optim.SGD(layer.parameters(), lr=0.5, stochastic_rounding=True)
    layer(torch.tensor([1])).sum().backward()
    expect(ValueError, "must be split by rows over a mesh of one dimension, found .*Shard.*1", optimizer.step)
    optimizer = embrow.optim.SGD(layer.parameters(), lr=0.5, catch_up=True)
    expect(TypeError, "that embrow.distributed.shard_rows makes; found Embedding", lambda: optimizer.attach(layer))


def check_rounding_stochastically(world: World) -> None:
    """Steps of a tenth of what bfloat16 can tell apart are taken by one row in ten."""
    ids = torch.arange(1000)
    for layer in (
        shard_rows(embrow.nn.Embedding(1000, 8, sparse=True, _weight=torch.ones(1000, 8).bfloat16()), world.mesh),
        fully_shard(embrow.nn.Embedding(1000, 8, _weight=torch.ones(1000, 8).bfloat16()), mesh=world.mesh),
    ):
        optimizer = embrow.optim.SGD(layer.parameters(), lr=2**-7 / 10, stochastic_rounding=True, maximize=True)
        layer(ids).sum().backward()
        optimizer.step()
        moved = (whole(layer.weight) != 1).float().mean()
        assert 0.08 < moved < 0.12, moved


def check_fully_shard_takes_the_rest(world: World) -> None:
    ours, alone = Model(shard_rows(table_of(LAYERS[0], sparse=True), world.mesh)), Model(table_of(LAYERS[0]))
    fully_shard(ours, mesh=world.mesh, ignored_params={ours.table.weight})
    one, other = (embrow.optim.SGD(model.parameters(), lr=0.05) for model in (ours, alone))
    for batch in batches(world.size):
        one.zero_grad()
        other.zero_grad()
        loss_of(ours(batch[world.rank])).backward()
        loss_of(alone(batch.flatten(0, 1))).backward()
        one.step()
        other.step()
    assert_same_parameters(ours, alone)


class Sent(TorchDispatchMode):
    """Keeps what collectives are given."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[Tensor] = []
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if "c10d" in name:
            self.names.add(name)
            parts = [part for arg in args for part in (arg if isinstance(arg, list) else [arg])]
            self.tensors += [part for part in parts if isinstance(part, Tensor)]
        return func(*args, **(kwargs or {}))


def check_a_step_sends_what_the_batch_takes(world: World) -> None:
    rows, dim = 20_000, 32
    layer = shard_rows(embrow.nn.Embedding(rows, dim, sparse=True), world.mesh)
    optimizer = embrow.optim.Adam(layer.parameters(), lr=0.1)
    ids = torch.randint(rows, (50,)).repeat(40)
    with Sent() as sent:
        layer(ids).sum().backward()
    optimizer.step()
    assert sent.names == {"c10d.alltoall_base_.default"}
    # Both ends of each: ids, rows and gradients of 50 distinct ids here, and what the others ask for.
    size = sum(tensor.nbytes for tensor in sent.tensors)
    assert 50 * dim * 4 < size < 2 * (50 * (8 + 2 * dim * 4) * (world.size + 1) + 32 * world.size)


def check_no_collective_holds_the_graph(world: World) -> None:
    layer = shard_rows(embrow.nn.Embedding(ROWS, DIM), world.mesh)
    with Sent() as sent:
        out = layer(torch.tensor([1, 2]))
    out.sum().backward()
    assert sent.tensors and all(tensor.grad_fn is None for tensor in sent.tensors)
