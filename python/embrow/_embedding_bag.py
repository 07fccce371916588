"""The lookup of one row per bag of ids, and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag as _torch_embedding_bag

from embrow import _core, _gpu
from embrow._compiled import define, define_gradient, is_training_compiled
from embrow._eager import (
    are_plain_ids,
    are_settings_plain,
    elements,
    is_eager,
    is_lookup_served,
    is_plain,
    lie_together,
    row_stride_bytes,
)
from embrow._embedding import embedding, embedding_backward, is_gradient_served
from embrow._table_memory import scatter_table, zero_table

_is_grad_enabled = torch.is_grad_enabled
_get_num_threads = torch.get_num_threads
_int64 = torch.int64
_modes = {"sum": _core.Pooling.sum, "mean": _core.Pooling.mean, "max": _core.Pooling.max}
_sum, _mean, _max = _modes.values()
_ops = torch.ops.embrow
_weights_backward = torch.ops.aten._embedding_bag_per_sample_weights_backward


@dataclass(slots=True)
class _Bags:
    """Ids in one piece, and where each bag starts; without offsets all are `width` long."""

    ids: Tensor
    offsets: Tensor | None
    count: int
    width: int

    def arguments(self) -> tuple[int, int, bool, int, bool, int, int]:
        """Return what kernels are told."""
        ids, offsets = self.ids, self.offsets
        return (
            ids.data_ptr(),
            ids.numel(),
            ids.dtype is _int64,
            0 if offsets is None else offsets.data_ptr(),
            offsets is not None and offsets.dtype is _int64,
            self.count,
            self.width,
        )

    def checked_arguments(self) -> tuple[int, int, bool, int, int, bool, int, int]:
        """Return what kernels are told that check the offsets themselves: how many there are, too."""
        ids, count, wide, offsets, offsets_wide, bags, width = self.arguments()
        number = 0 if self.offsets is None else self.offsets.numel()
        return ids, count, wide, offsets, number, offsets_wide, bags, width

    def of_ids(self) -> Tensor:
        """Return the bag that each id lies in."""
        bags = torch.arange(self.count, dtype=self.ids.dtype, device=self.ids.device)
        if self.offsets is None:
            return bags.repeat_interleave(self.width)
        if _gpu.holds(self.ids):
            # Whatever the offsets are, which only the device has seen, these are bags; and it is not waited for.
            places = torch.arange(self.ids.numel(), device=self.ids.device)
            found = torch.bucketize(places, self.offsets[: self.count], right=True) - 1
            return found.clamp_(0, self.count - 1).to(self.ids.dtype)
        ends = torch.cat([self.offsets[1 : self.count], self.offsets.new_tensor([self.ids.numel()])])
        return bags.repeat_interleave(ends - self.offsets[: self.count])

    def with_rest(self) -> _Bags:
        """Return the bags and, where the offsets tell where the last one ends, one more of the ids behind it."""
        if self.offsets is None or self.offsets.numel() == self.count:
            return self
        return _Bags(self.ids, self.offsets, self.count + 1, 0)


class _Settings(NamedTuple):
    mode: _core.Pooling
    rows: int
    dim: int
    padding_idx: int  # -1: none
    by_freq: bool
    sparse: bool


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    bags = settings = None
    if (
        is_eager()
        and is_lookup_served(input, weight, max_norm)
        and are_settings_plain(padding_idx, scale_grad_by_freq, sparse)
        and type(include_last_offset) is bool
        and _are_weights_served(per_sample_weights, input, weight, mode)
    ):
        bags = _served_bags(input, offsets, include_last_offset)
        settings = _served_settings(weight, mode, padding_idx, scale_grad_by_freq, sparse)
    elif (
        offsets is None
        and max_norm is None
        and not scale_grad_by_freq
        and not sparse
        and per_sample_weights is None
        and mode in ("sum", "mean")
        and is_training_compiled(input, weight)
        and input.dim() == 2
        and input.size(1) > 0
        and (padding_idx is None or 0 <= padding_idx < weight.size(0))
    ):
        rows_in_graph: Tensor = _ops.pool(weight, input, mode, -1 if padding_idx is None else padding_idx)
        return rows_in_graph
    if bags is None or settings is None:
        return _torch_embedding_bag(
            input,
            weight,
            offsets,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            per_sample_weights,
            include_last_offset,
            padding_idx,
        )
    if per_sample_weights is not None:
        per_sample_weights = per_sample_weights.reshape(-1).contiguous()
    if max_norm is not None:
        _core.check_bag_ids(*bags.arguments()[:3], settings.rows)
        with torch.no_grad():
            torch.embedding_renorm_(weight.detach(), bags.ids, max_norm, norm_type)
    trained = weight.requires_grad or (per_sample_weights is not None and per_sample_weights.requires_grad)
    if trained and _is_grad_enabled():
        rows_of_bags: Tensor = _apply(weight, per_sample_weights, bags, settings)
        return rows_of_bags
    return _pool(weight, per_sample_weights, bags, settings, None)


# What these refuse is PyTorch's: the errors, and offsets that fall or end before the ids do.


def _are_weights_served(per_sample_weights: Tensor | None, input: Tensor, weight: Tensor, mode: str) -> bool:
    return per_sample_weights is None or (
        is_plain(per_sample_weights)
        and per_sample_weights.device == weight.device
        and per_sample_weights.dtype is weight.dtype
        and per_sample_weights.shape == input.shape
        and mode == "sum"
    )


def _served_bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> _Bags | None:
    if input.dim() == 2:
        if offsets is not None or input.size(1) == 0:
            return None
        return _Bags(input.reshape(-1).contiguous(), None, *input.shape)
    if input.dim() != 1 or offsets is None or not are_plain_ids(offsets) or offsets.dim() != 1:
        return None
    offsets = offsets.contiguous()
    starts = offsets.numel()
    if _gpu.holds(input):
        # Their values are the kernel's to check.
        if offsets.device != input.device or starts <= include_last_offset:
            return None
    else:
        where = (offsets.data_ptr(), starts, offsets.dtype is _int64)
        if not offsets.is_cpu or not _core.are_bag_offsets(*where, input.numel(), include_last_offset):
            return None
    return _Bags(input.contiguous(), offsets, starts - 1 if include_last_offset else starts, 0)


def _served_settings(
    weight: Tensor, mode: str, padding_idx: int | None, by_freq: bool, sparse: bool
) -> _Settings | None:
    rows, dim = weight.shape
    if padding_idx is None:
        padding_idx = -1
    elif -rows <= padding_idx < rows:
        padding_idx = int(padding_idx) % rows
    else:
        return None
    if mode not in _modes or (mode == "max" and (by_freq or sparse)):
        return None
    return _Settings(_modes[mode], rows, dim, padding_idx, by_freq, sparse)


def _pool(weight: Tensor, weights: Tensor | None, bags: _Bags, settings: _Settings, winners: Tensor | None) -> Tensor:
    out = weight.new_empty((bags.count, settings.dim))
    kind = (settings.mode, elements[weight.dtype])
    table = (*kind, weight.data_ptr(), settings.rows, row_stride_bytes(weight, settings.dim), settings.dim)
    pooled = (
        0 if weights is None else weights.data_ptr(),
        settings.padding_idx,
        out.data_ptr(),
        0 if winners is None else winners.data_ptr(),
    )
    if not _gpu.holds(weight):
        job = (*table, *bags.arguments(), *pooled)
        _core.pool_bags(*job, _get_num_threads())
        return out
    count = bags.ids.numel()
    longest = bags.width if bags.offsets is None else count
    with _gpu.launching(weight.device) as launch:
        workspace = launch.workspace(launch.kernels.pool_workspace_bytes(*kind, settings.dim, count, longest))
        where = (workspace.data_ptr(), launch.record("bag"), launch.stream)
        launch.kernels.pool_bags(*table, *bags.checked_arguments(), *pooled, *where)
    return out


class _BagLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, weights: Tensor | None, bags: _Bags, settings: _Settings) -> Tensor:
        winners = None
        if settings.mode is _max:
            winners = torch.empty((bags.count, settings.dim), dtype=_int64, device=weight.device)
        # A table that only its own gradient would need may change before backward.
        table = weight if ctx.needs_input_grad[1] else None
        ctx.save_for_backward(bags.ids, bags.offsets, table, weights, winners)
        ctx.set_materialize_grads(False)
        ctx.bags = bags.count, bags.width
        ctx.ids_count = bags.ids.numel()
        ctx.settings = settings
        return _pool(weight, weights, bags, settings, winners)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None, None
        ids, offsets, weight, weights, winners = ctx.saved_tensors
        settings = ctx.settings
        # Hooks of saved tensors may have made others of them; what is wrong with those PyTorch's operators tell.
        are_as_saved = (
            are_plain_ids(ids)
            and lie_together(ids, grad)
            and ids.numel() == ctx.ids_count
            and (
                offsets is None
                or (are_plain_ids(offsets) and lie_together(offsets, grad) and offsets.numel() >= ctx.bags[0])
            )
            and (
                weights is None
                or (
                    is_plain(weights)
                    and lie_together(weights, grad)
                    and weights.dtype is grad.dtype
                    and weights.numel() == ctx.ids_count
                )
            )
        )
        if are_as_saved:
            ids, offsets, weights = (t if t is None else t.contiguous() for t in (ids, offsets, weights))
        bags = _Bags(ids, offsets, *ctx.bags)
        if winners is None and _gpu.holds(ids) and bags.with_rest().count > bags.count:
            # Ids behind the last bag are in none: their gradient is zero.
            bags = bags.with_rest()
            grad = torch.cat([grad, grad.new_zeros(1, settings.dim)])
        served = are_as_saved and is_gradient_served(grad)
        table = shares = None
        if ctx.needs_input_grad[0]:
            if winners is not None:
                table = _scatter_to_winners(grad, winners, settings.rows, served)
            elif served and not settings.sparse:
                table = _scatter(grad, weights, bags, settings)
            else:
                table = _scatter_by_id(grad, weights, bags, settings)
        if ctx.needs_input_grad[1]:
            shares = (_weigh if served else _weigh_by_id)(grad, weight, bags, settings)
        return table, shares, None, None


# Function.apply prepares for functorch, which is_eager has ruled out; what it then calls is this.
_apply: Callable[..., Any] = super(torch.autograd.Function, _BagLookup).apply


def _scatter(grad: Tensor, weights: Tensor | None, bags: _Bags, settings: _Settings) -> Tensor:
    grad = grad.contiguous()
    out, state = scatter_table(settings.rows, settings.dim, bags.ids.numel(), grad)
    kind = (settings.rows, settings.dim, elements[grad.dtype])
    job = (
        *bags.arguments(),
        settings.mode,
        0 if weights is None else weights.data_ptr(),
        grad.data_ptr(),
        settings.dim * grad.itemsize,
        out.data_ptr(),
        *kind,
        settings.padding_idx,
        settings.by_freq,
    )
    if not _gpu.holds(grad):
        _core.scatter_bags(*job, state, _get_num_threads())
        return out
    with _gpu.launching(grad.device) as launch:
        atomic = _gpu.adds_atomically(grad.dtype)
        needed = launch.kernels.scatter_bags_bytes(bags.ids.numel(), bags.count, *kind, atomic)
        workspace = launch.workspace(needed)
        where = (workspace.data_ptr(), launch.record("bag"), launch.stream)
        launch.kernels.scatter_bags(*job, atomic, *where)
    return out


def _scatter_by_id(grad: Tensor, weights: Tensor | None, bags: _Bags, settings: _Settings) -> Tensor:
    """Do as _scatter, but differentiably, and sparse where that is asked for: with a gradient for each id."""
    of_ids = bags.of_ids()
    if settings.mode is _mean:
        counted = (bags.ids != settings.padding_idx).to(_int64)
        sizes = torch.zeros(bags.count, dtype=_int64, device=grad.device).index_add_(0, of_ids, counted)
        # float16 ends at 65504.
        wide = _wide_dtype(grad.dtype)
        grad = (grad.to(wide) / sizes.clamp(min=1).to(wide).unsqueeze(1)).to(grad.dtype)
    by_id = embedding(of_ids, grad)
    if weights is not None:
        by_id = by_id * weights.unsqueeze(1)
    ids = bags.ids if settings.sparse else _gpu.inside(bags.ids, settings.rows)
    table: Tensor = embedding_backward(
        by_id, ids, settings.rows, settings.padding_idx, settings.by_freq, settings.sparse
    )
    return table


def _wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return what numbers of a dtype are computed in."""
    return torch.float32 if dtype.itemsize == 2 else dtype


def _scatter_to_winners(grad: Tensor, winners: Tensor, rows: int, in_place: bool) -> Tensor:
    if rows == 0:
        return grad[:0].clone()
    dim = grad.size(1)
    empty = winners < 0
    wide = _wide_dtype(grad.dtype)
    terms = grad.masked_fill(empty, 0).to(wide).reshape(-1)
    # One dimension, which PyTorch adds up in order: by columns it is many times slower.
    places = (winners.masked_fill(empty, 0) * dim + torch.arange(dim, device=grad.device)).reshape(-1)
    table = zero_table(rows, dim, wide, grad.device)
    if not grad.is_cpu:
        # On a GPU this, by sorting, is what adds up in a fixed order.
        table = table.view(-1).index_put((places,), terms, accumulate=True).view(rows, dim)
    elif in_place:
        table.view(-1).scatter_add_(0, places, terms)
    else:
        table = table.view(-1).scatter_add(0, places, terms).view(rows, dim)
    return table.to(grad.dtype)


def _weigh(grad: Tensor, weight: Tensor, bags: _Bags, settings: _Settings) -> Tensor:
    """Return how a change of each id's weight would change the result: its row times its bag's gradient."""
    of_ids = bags.of_ids()
    ids = _gpu.inside(bags.ids, settings.rows)
    shares: Tensor = _weights_backward(grad.contiguous(), weight, ids, of_ids, of_ids, 0, settings.padding_idx)
    return shares


def _weigh_by_id(grad: Tensor, weight: Tensor, bags: _Bags, settings: _Settings) -> Tensor:
    """Do as _weigh, but differentiably."""
    shares = (embedding(bags.ids, weight) * embedding(bags.of_ids(), grad)).sum(1)
    return shares.masked_fill(bags.ids == settings.padding_idx, 0)


# The same as operators for graphs, of bags that are equally long: whether offsets are such as our kernels take, a graph
# cannot tell.


def _pool_in_graph(weight: Tensor, ids: Tensor, mode: str, padding_idx: int) -> Tensor:
    weight = weight if weight.stride(1) == 1 else weight.contiguous()
    bags = _Bags(ids.reshape(-1).contiguous(), None, *ids.shape)
    return _pool(
        weight, None, bags, _Settings(_modes[mode], weight.size(0), weight.size(1), padding_idx, False, False), None
    )


def _scatter_in_graph(grad: Tensor, ids: Tensor, rows: int, mode: str, padding_idx: int) -> Tensor:
    bags = _Bags(ids.reshape(-1).contiguous(), None, *ids.shape)
    return _scatter(grad, None, bags, _Settings(_modes[mode], rows, grad.size(1), padding_idx, False, False))


def _pool_fake(weight: Tensor, ids: Tensor, mode: str, padding_idx: int) -> Tensor:
    return weight.new_empty((ids.size(0), weight.size(1)))


def _scatter_fake(grad: Tensor, ids: Tensor, rows: int, mode: str, padding_idx: int) -> Tensor:
    return grad.new_empty((rows, grad.size(1)))


def _pool_setup(ctx: Any, inputs: tuple[Tensor, Tensor, str, int], output: Tensor) -> None:
    weight, ids, *ctx.settings = inputs
    ctx.save_for_backward(ids)
    ctx.rows = weight.size(0)


def _pool_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    return _ops.scatter_pooled(grad, *ctx.saved_tensors, ctx.rows, *ctx.settings), None, None, None


def _scatter_setup(ctx: Any, inputs: tuple[Tensor, Tensor, int, str, int], output: Tensor) -> None:
    _, ids, _, *ctx.settings = inputs
    ctx.save_for_backward(ids)


def _scatter_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
    return _ops.pool(grad, *ctx.saved_tensors, *ctx.settings), None, None, None, None


define("pool(Tensor weight, Tensor ids, str mode, int padding_idx) -> Tensor", _pool_in_graph, _pool_fake)
define(
    "scatter_pooled(Tensor grad, Tensor ids, SymInt rows, str mode, int padding_idx) -> Tensor",
    _scatter_in_graph,
    _scatter_fake,
)
define_gradient("pool", _pool_backward, _pool_setup)
define_gradient("scatter_pooled", _scatter_backward, _scatter_setup)
