"""Rows of a table that processes share, fetched from where they lie, and gradients brought back to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from embrow._embedding import embedding, table_gradient
from embrow._sharding import bounds, first_row, local_rows, share_like


class Settings(NamedTuple):
    """What a layer asks of an exchange."""

    padding_idx: int | None
    max_norm: float | None
    norm_type: float
    sparse: bool
    averages: bool  # gradients, over the processes
    before_gather: Iterable[Callable[[Tensor], None]]


class Fetched(NamedTuple):
    """The rows that a batch names, each once."""

    rows: Tensor  # (distinct ids, dim)
    places: Tensor  # int64, the shape of the ids: each one's row
    padding: int | None  # the row of padding, if the batch has any


@dataclass(slots=True)
class _Route:
    group: dist.ProcessGroup
    asked: list[int]  # ids that this process asks each one for
    wanted: list[int]  # ids that each one asks this process for

    def there(self, ids: Tensor) -> Tensor:
        """Send each process what it is asked for."""
        return self._exchange(ids, self.asked, self.wanted)

    def back(self, rows: Tensor) -> Tensor:
        """Send each process what it asks for."""
        return self._exchange(rows, self.wanted, self.asked)

    def _exchange(self, sent: Tensor, leaving: list[int], coming: list[int]) -> Tensor:
        received = sent.new_empty((sum(coming), *sent.shape[1:]))
        dist.all_to_all_single(received, sent.contiguous(), coming, leaving, self.group)
        # A thread of the group may still hold the tensor it has filled, and be the last to: the graph that this one is
        # to become part of holds the group, which cannot end in a thread of its own.
        return received.detach()


def fetch(
    ids: Tensor, weight: Any, settings: Settings, refused: Exception | None, error: Callable[..., Exception]
) -> Fetched:
    """Fetch the rows of ids; every process of the mesh must call it.

    Parameters
    ----------
    refused : Exception or None
        What is wrong with the rest of the batch. Then every process raises, this one that.
    error : callable
        Makes the exception for an id outside the table, from a position, the id, the number of rows, and the process
        whose id it is if that is another one.
    """
    rows = weight.size(0)
    if refused is None:
        distinct, places = torch.unique(ids, return_inverse=True)
        distinct = distinct.long()
    else:
        distinct = places = torch.empty(0, dtype=torch.int64, device=weight.device)
    group = weight.device_mesh.get_group()
    route = _Route(group, *_agree(ids, distinct, rows, group, refused, error))
    fetched: Tensor = _Exchange.apply(weight, distinct, route, settings)  # type: ignore[no-untyped-call]
    padding = None
    if settings.padding_idx is not None:
        # Within the sorted ids, or where it would be.
        place = int(torch.searchsorted(distinct, settings.padding_idx))
        if place < distinct.numel() and int(distinct[place]) == settings.padding_idx:
            padding = place
    return Fetched(fetched, places, padding)


def _agree(
    ids: Tensor,
    distinct: Tensor,
    rows: int,
    group: dist.ProcessGroup,
    refused: Exception | None,
    error: Callable[..., Exception],
) -> tuple[list[int], list[int]]:
    """Return how many ids go to each process, and how many each sends; raise in all if one has a batch that it refuses.

    Otherwise the others would wait for it.
    """
    fine, bad_id, other = 0, 1, 2
    processes = dist.get_world_size(group)
    edges = torch.tensor(bounds(rows, processes), device=distinct.device)
    counts = torch.searchsorted(distinct, edges).diff()
    fault = [other, 0, 0]
    if refused is None:
        fault = [fine, 0, 0]
        if distinct.numel() and (int(distinct[0]) < 0 or int(distinct[-1]) >= rows):
            flat = ids.reshape(-1)
            position = int(((flat < 0) | (flat >= rows)).nonzero()[0])
            fault = [bad_id, position, int(flat[position])]
    told = torch.cat([counts.unsqueeze(1), counts.new_tensor(fault).expand(processes, 3)], 1)
    heard = torch.empty_like(told)
    dist.all_to_all_single(heard, told, group=group)
    if refused is not None:
        raise refused
    if fault[0] == bad_id:
        raise error(*fault[1:], rows, None)
    wanted = []
    for process, (count, kind, position, value) in enumerate(heard.tolist()):
        if kind == bad_id:
            raise error(position, value, rows, dist.get_global_rank(group, process))
        if kind == other:
            raise RuntimeError(
                f"a lookup in a table that processes share: process {dist.get_global_rank(group, process)} refused its "
                "batch, see its error"
            )
        wanted.append(count)
    return counts.tolist(), wanted


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Any, distinct: Tensor, route: _Route, settings: Settings) -> Tensor:
        wanted = route.there(distinct)
        here = wanted - first_row(weight)
        for hook in settings.before_gather:
            hook(here)
        rows = embedding(here, local_rows(weight), None, settings.max_norm, settings.norm_type)
        ctx.save_for_backward(here)
        ctx.weight = weight
        ctx.route, ctx.settings = route, settings
        return route.back(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        (here,) = ctx.saved_tensors
        weight, settings = ctx.weight, ctx.settings
        if settings.averages:
            grad = grad / weight.device_mesh.size()
        grads = ctx.route.there(grad)
        first, rows = first_row(weight), local_rows(weight).size(0)
        if not settings.sparse:
            # Padding's gradients have come as zeros.
            table = table_gradient(grads, here, rows, -1, False, False)
            return share_like(table, weight), None, None, None
        if settings.padding_idx is not None and first <= settings.padding_idx < first + rows:
            kept = here != settings.padding_idx - first
            here, grads = here[kept], grads[kept]
        indices = (here + first).unsqueeze(0)
        return torch.sparse_coo_tensor(indices, grads, weight.shape, check_invariants=False), None, None, None
