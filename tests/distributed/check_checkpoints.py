"""Sharded tables and their optimizers' state, saved by one world and loaded by this one and by smaller ones."""

from __future__ import annotations

import shutil
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from check_sharding import LAYERS, in_parallel
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.tensor import DTensor, Shard
from world import Model, World, assert_close, assert_same_parameters, batches, loss_of, table_of, whole

import embrow.optim
from embrow.distributed import shard_rows

# Of the largest world, so that batches may be dealt out to any.
PARTS, BEFORE = 4, 3
OPTIMIZERS = {
    "SGD": {"momentum": 0.9},
    "Adagrad": {},
    "RowwiseAdagrad": {},
    "Adam": {"amsgrad": True},
    "AdamW": {"catch_up": True},
}


def make(world: World, kind: Any, name: str, seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Make a model, its table sharded and drawn from a seed, and its optimizer."""
    table = shard_rows(table_of(kind, sparse=True, padding_idx=2), world.mesh)
    torch.manual_seed(seed)
    table.reset_parameters()
    model = in_parallel(Model(table))
    optimizer = getattr(embrow.optim, name)(model.parameters(), lr=0.05, **OPTIMIZERS[name])
    if "catch_up" in OPTIMIZERS[name]:
        optimizer.attach(table)
    return model, optimizer


def train(world: World, model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for batch in batches(PARTS, steps=last)[first:]:
        optimizer.zero_grad()
        loss_of(model(batch.unflatten(0, (world.size, -1))[world.rank].flatten(0, 1))).backward()
        optimizer.step()


def check_training_goes_on_in_another_world(world: World) -> None:
    for name in ("SGD", "RowwiseAdagrad", "Adam", "AdamW"):
        model, optimizer = make(world, LAYERS[0], name, seed=1)
        train(world, model, optimizer, 0, BEFORE)
        mine = world.folder / f"{name}-{world.size}"
        states = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
        weight = states["model"]["table.weight"]
        assert isinstance(weight, DTensor) and weight.placements == (Shard(0),)
        dcp.save(states, checkpoint_id=mine)
        dist.barrier()
        train(world, model, optimizer, BEFORE, 2 * BEFORE)
        for path in sorted(world.folder.glob(f"{name}-*")):
            other, other_optimizer = make(world, LAYERS[0], name, seed=2)
            states = dict(zip(("model", "optimizer"), get_state_dict(other, other_optimizer), strict=True))
            dcp.load(states, checkpoint_id=path)
            set_state_dict(
                other, other_optimizer, model_state_dict=states["model"], optim_state_dict=states["optimizer"]
            )
            train(world, other, other_optimizer, BEFORE, 2 * BEFORE)
            for one in (optimizer, other_optimizer):
                one.state_dict()  # which brings every row up to date
            assert_same_parameters(other, model)


def check_the_state_of_all_rows_is_that_of_one_process(world: World) -> None:
    for name, settings in OPTIMIZERS.items():
        model, optimizer = make(world, LAYERS[0], name, seed=1)
        alone = Model(table_of(LAYERS[0], sparse=True, padding_idx=2))
        weight = whole(model.module.table.weight)
        with torch.no_grad():
            alone.table.weight.copy_(weight)
        alone_optimizer = getattr(embrow.optim, name)(alone.parameters(), lr=0.05, **settings)
        if "catch_up" in settings:
            alone_optimizer.attach(alone.table)
        train(world, model, optimizer, 0, BEFORE)
        for batch in batches(PARTS, steps=BEFORE):
            alone_optimizer.zero_grad()
            loss_of(alone(batch.flatten(0, 1))).backward()
            alone_optimizer.step()
        found, expected = optimizer.state_dict()["state"], alone_optimizer.state_dict()["state"]
        assert found.keys() == expected.keys()
        for number, state in found.items():
            assert state.keys() == expected[number].keys()
            for key, value in state.items():
                assert_close(value, expected[number][key], f"{name}'s {key}")


def check_whole_tables_are_gathered_and_dealt_out(world: World) -> None:
    """For worlds without torch.distributed.checkpoint, and for a plain layer."""
    model = Model(shard_rows(table_of(LAYERS[0], sparse=True), world.mesh))
    gathered = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if world.rank == 0:
        plain = Model(table_of(nn.Embedding))
        plain.load_state_dict(gathered)
    other = Model(shard_rows(torch.nn.Embedding(*model.table.weight.shape), world.mesh))
    full = {name: tensor + 1 for name, tensor in Model(table_of(nn.Embedding)).state_dict().items()}
    set_model_state_dict(other, full, options=StateDictOptions(full_state_dict=True))
    for name, tensor in other.state_dict().items():
        assert_close(tensor, full[name], name)


def check_a_table_is_loaded_where_none_was(world: World) -> None:
    path = world.folder / f"meta-{world.size}"
    layer = shard_rows(table_of(LAYERS[0]), world.mesh)
    dcp.save(layer.state_dict(), checkpoint_id=path)
    empty = shard_rows(table_of(LAYERS[0]).to("meta"), world.mesh).to_empty(device=world.device)
    states = empty.state_dict()
    dcp.load(states, checkpoint_id=path)
    empty.load_state_dict(states)
    assert torch.equal(whole(empty.weight), table_of(LAYERS[0]).weight)
    dist.barrier()
    if world.rank == 0:
        shutil.rmtree(path)
