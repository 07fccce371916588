"""The layers under PyTorch's own wrappers: what torch.nn's layers do there, and what one process does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
from world import Model, World, assert_close, assert_same_parameters, batches, loss_of, table_of

import embrow.nn
import embrow.optim

Wrap = Callable[[Model], nn.Module]
Optimizers = Callable[[nn.Module], list[torch.optim.Optimizer]]
LAYERS = [(embrow.nn.Embedding, nn.Embedding), (embrow.nn.EmbeddingBag, nn.EmbeddingBag)]
CASES = [(LAYERS[0], None), (LAYERS[0], 2), (LAYERS[1], 2)]


def one_optimizer(kind: type[torch.optim.Optimizer]) -> Optimizers:
    return lambda model: [kind(model.parameters(), lr=0.05)]  # type: ignore[call-arg]


def sparse_adam(model: nn.Module) -> list[torch.optim.Optimizer]:
    """Make PyTorch's two optimizers for a table with sparse gradients and a dense layer."""
    table, *rest = model.parameters()
    return [torch.optim.SparseAdam([table], lr=0.05), torch.optim.Adam(rest, lr=0.05)]


def train_alike(
    world: World,
    wrap: Wrap,
    layers: tuple[type[nn.Module], type[nn.Module]],
    optimizers: Sequence[Optimizers],
    shares: bool = True,
    **settings: Any,
) -> None:
    """Train our layer and PyTorch's, both wrapped, and PyTorch's in one process on the batches of all.

    With `shares` each process has a part of every batch, else all of it.
    """
    ours, theirs = (wrap(Model(table_of(kind, **settings)).to(world.device)) for kind in layers)
    alone = Model(table_of(layers[1], **settings)).to(world.device)
    runs = [(ours, optimizers[0](ours)), (theirs, optimizers[1](theirs)), (alone, optimizers[1](alone))]
    for number, batch in enumerate(batches(world.size)):
        all_of_it = batch.flatten(0, 1).to(world.device)
        share = all_of_it.unflatten(0, batch.shape[:2])[world.rank] if shares else all_of_it
        outs = []
        for model, ones in runs:
            for one in ones:
                one.zero_grad()
            outs.append(model(all_of_it if model is alone else share))
            loss_of(outs[-1]).backward()
        here = outs[2].unflatten(0, (world.size, -1))[world.rank] if shares else outs[2]
        assert_close(outs[0], outs[1], f"result of step {number}")
        assert_close(outs[0], here, f"result of step {number}, alone")
        for found, expected, single in zip(*(model.parameters() for model, _ in runs), strict=True):
            assert type(found.grad) is type(expected.grad) and found.grad.layout is expected.grad.layout
            assert_close(found.grad, expected.grad, f"gradient of step {number}")
            assert_close(found.grad, single.grad, f"gradient of step {number}, alone")
        for _, ones in runs:
            for one in ones:
                one.step()
    assert_same_parameters(ours, theirs)
    assert_same_parameters(ours, alone)
    assert not torch.equal(alone.table.weight, table_of(layers[1], **settings).weight.to(world.device))


def data_parallel(model: Model) -> nn.Module:
    return DistributedDataParallel(model)


def check_data_parallel_dense(world: World) -> None:
    both = one_optimizer(embrow.optim.Adam), one_optimizer(torch.optim.Adam)
    for layers, padding_idx in CASES:
        train_alike(world, data_parallel, layers, both, padding_idx=padding_idx)


def check_data_parallel_sparse(world: World) -> None:
    cases = [
        (None, one_optimizer(embrow.optim.SGD), one_optimizer(torch.optim.SGD)),
        (2, one_optimizer(embrow.optim.Adagrad), one_optimizer(torch.optim.Adagrad)),
        (2, one_optimizer(embrow.optim.Adam), sparse_adam),
    ]
    for layers in LAYERS:
        for padding_idx, *both in cases:
            train_alike(world, data_parallel, layers, both, padding_idx=padding_idx, sparse=True)


def check_data_parallel_keeps_views_of_buckets(world: World) -> None:
    both = one_optimizer(embrow.optim.SGD), one_optimizer(torch.optim.SGD)

    def wrap(model: Model) -> nn.Module:
        return DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True)

    train_alike(world, wrap, LAYERS[0], both)


def check_fully_shard(world: World) -> None:
    both = one_optimizer(embrow.optim.Adam), one_optimizer(torch.optim.Adam)

    def wrap(model: Model) -> nn.Module:
        fully_shard(model.table, mesh=world.mesh)
        return fully_shard(model, mesh=world.mesh)

    for layers, padding_idx in CASES:
        train_alike(world, wrap, layers, both, padding_idx=padding_idx)


def check_tensor_parallel(world: World) -> None:
    """Rows or columns of the table are split; every process has the whole batch."""
    both = one_optimizer(embrow.optim.Adam), one_optimizer(torch.optim.Adam)
    plans: list[Any] = [
        RowwiseParallel(input_layouts=Replicate()),
        ColwiseParallel(output_layouts=Replicate()),
    ]
    for plan, placement in zip(plans, (Shard(0), Shard(1)), strict=True):

        def wrap(model: Model, plan: Any = plan, placement: Any = placement) -> nn.Module:
            parallelize_module(model, world.mesh, {"table": plan})
            weight: Tensor = model.table.weight  # type: ignore[assignment]
            assert isinstance(weight, DTensor) and weight.placements == (placement,)
            return model

        train_alike(world, wrap, LAYERS[0], both, shares=False)
