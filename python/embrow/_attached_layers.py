"""A layer's own hooks, which bring the rows that it is about to read up to date."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from embrow import _gpu, nn
from embrow._outside_graphs import outside_graphs
from embrow._row_table import Table, row_count
from embrow._sharding import is_shared

_functorch_is_active = torch._C._are_functorch_transforms_active


def hook_layer(
    module: torch.nn.Embedding | torch.nn.EmbeddingBag, table_of: Callable[[Tensor], Table | None]
) -> list[RemovableHandle]:
    """Register hooks for the optimizer whose tables `table_of` finds by their parameters."""
    register: Any = module.register_forward_pre_hook
    if is_shared(module.weight):
        register = getattr(module, "register_gather_pre_hook", None)
        if register is None:
            raise TypeError(
                "attach takes, of layers whose tables processes share, those that embrow.distributed.shard_rows "
                f"makes; found {type(module).__name__}"
            )

    # The weight may be another for a while, as in torch.func.functional_call.
    attached = weakref.ref(module.weight)

    def before_gather(weight: Tensor, rows: Tensor) -> None:
        table = table_of(weight)
        if table is not None:
            table.catch_up(rows)

    def before_forward(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        table = table_of(module.weight)
        if table is None and not torch.compiler.is_dynamo_compiling() and _stands_for_another(module.weight):
            own = attached()
            table = None if own is None else table_of(own)
        if table is not None:
            _catch_up_for(table, module, args[0] if args else kwargs.get("input"))

    def before_others(module: Any, *_: Any) -> None:
        table = table_of(module.weight)
        if table is not None:
            table.catch_up()

    before_reading = (
        register(_Hook(before_gather))
        if is_shared(module.weight)
        else register(_Hook(before_forward), with_kwargs=True)
    )
    return [
        before_reading,
        module.register_state_dict_pre_hook(_Hook(before_others)),  # type: ignore[no-untyped-call]
        module.register_load_state_dict_pre_hook(_Hook(before_others)),  # type: ignore[no-untyped-call]
    ]


def _stands_for_another(weight: Tensor) -> bool:
    """Whether a transform or an export has put something of its own in the place of a layer's weight."""
    return _functorch_is_active() or type(weight) not in (Tensor, torch.nn.Parameter)


class _Hook:
    """A layer's hook; copies and pickles of the layer, which have a table of their own, hold one that does nothing."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self._call(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Hook, (_nothing,)


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


@outside_graphs
def _catch_up_for(table: Table, module: torch.nn.Module, input: Any) -> None:
    """Bring the rows that a layer's forward pass reads up to date; what is wrong with its input is its own to tell."""
    hooks = list(module._forward_pre_hooks.values())
    if getattr(module.forward, "__func__", None) not in nn.lookup_forwards or not isinstance(hooks[-1], _Hook):
        # Which rows it reads in the end, nobody knows.
        return table.catch_up()
    if (
        isinstance(input, Tensor)
        and input.dtype in (torch.int32, torch.int64)
        and input.device == table.parameter.device
    ):
        if _gpu.holds(input):
            # Ids outside the table the lookup records; an error that is raised here is of an earlier call.
            return table.catch_up(_gpu.inside(input, row_count(table.parameter)))
        with contextlib.suppress(IndexError):
            table.catch_up(input)
    return None
