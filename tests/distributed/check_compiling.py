"""Sharded layers in models that torch.compile compiles."""

from __future__ import annotations

import torch
from check_sharding import LAYERS
from world import Model, World, assert_close, table_of

from embrow.distributed import shard_rows


def check_compiled_models_break_their_graph(world: World) -> None:
    model = Model(shard_rows(table_of(LAYERS[0]), world.mesh))
    ids = torch.tensor([[1, 2, 2]])
    assert_close(torch.compile(model, backend="eager")(ids), Model(table_of(LAYERS[0]))(ids), "result")
