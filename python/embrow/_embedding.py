"""The lookup of one row per id, and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.nn.functional import embedding as _torch_embedding

from embrow import _core, _gpu, _openmp
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
from embrow._openmp import few_elements
from embrow._table_memory import brief_table_bytes, scatter_table

_is_grad_enabled = torch.is_grad_enabled
_get_num_threads = torch.get_num_threads
_increment_version = torch.autograd.graph.increment_version
_int64 = torch.int64
_torch_lookup = torch.embedding
# Up to so many bytes of rows PyTorch's operator is sooner done with OpenMP's threads than our kernel is alone.
_brief_bytes = _core.brief_bytes
# With one thread our kernel is as soon done, but PyTorch's sparse gradient costs less than that to record and to call.
_alone_bytes = _core.alone_bytes
# PyTorch's gradient, too, costs less to record and to call. It adds terms in their own type one after another, as our
# kernels add a block of them; and it has one thread for a table of so many rows.
_few_terms = 64
_summed_as_is = (torch.float32, torch.float64)
_few_table_rows = 1000
# Unlike embedding_dense_backward it can be differentiated when sparse, too.
embedding_backward = torch.ops.aten.embedding_backward
_ops = torch.ops.embrow


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    eager = is_eager() and are_settings_plain(padding_idx, scale_grad_by_freq, sparse)
    if eager and out is None and max_norm is None and _is_torchs(input, weight, scale_grad_by_freq, sparse):
        padding_idx = _row_of(padding_idx, weight.shape[0])
        if input.numel() * weight.shape[1] >= few_elements:
            # What is saved for backward is the same whoever is sooner.
            input = input.contiguous()
        return _lookup_of_torch(input, weight, padding_idx, scale_grad_by_freq, sparse)
    if out is not None:
        _check_out(out, input, weight)
    if not (eager and is_lookup_served(input, weight, max_norm)) or (out is not None and not is_plain(out)):
        if out is not None:
            return out.copy_(
                _torch_embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
            )
        in_graph = max_norm is None and not scale_grad_by_freq and not sparse and is_training_compiled(input, weight)
        if in_graph and (padding_idx is None or 0 <= padding_idx < weight.size(0)):
            rows_in_graph: Tensor = _ops.lookup(weight, input, -1 if padding_idx is None else padding_idx)
            return rows_in_graph
        return _torch_embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    rows, dim = weight.shape
    padding_idx = _row_of(padding_idx, rows)
    ids = input if input.is_contiguous() else input.contiguous()
    if max_norm is not None:
        _core.check_ids(ids.data_ptr(), ids.numel(), ids.dtype is _int64, rows)
        with torch.no_grad():
            torch.embedding_renorm_(weight.detach(), ids, max_norm, norm_type)
    if out is not None:
        table_bytes = (rows - 1) * row_stride_bytes(weight, dim) + dim * weight.itemsize
        if _meets(out, weight.data_ptr(), table_bytes) or _meets(out, ids.data_ptr(), ids.nbytes):
            # What is written would be read again.
            return out.copy_(_gather(weight, ids, rows, dim))
        _increment_version(out)  # first, as rows before one that fails are written, too
        _gather_into(out, weight, ids, rows, dim)
        return out
    if weight.requires_grad and _is_grad_enabled():
        # Each argument of Function.apply costs.
        rows_of_ids: Tensor = _apply(weight, ids, (rows, dim, padding_idx, scale_grad_by_freq, sparse))
        return rows_of_ids
    return _gather(weight, ids, rows, dim)


def _is_sooner_copied_by_torch(elements: int, itemsize: int) -> bool:
    """Whether PyTorch's operator has copied rows of so many elements in all before our kernel has."""
    return elements < few_elements or (elements * itemsize < _brief_bytes and _openmp.is_sooner())


def _is_torchs(ids: Tensor, weight: Tensor, by_freq: bool, sparse: bool) -> bool:
    """Whether to leave an eager lookup, its gradient with it, to PyTorch's operator."""
    if not (
        (type(weight) is Parameter or type(weight) is Tensor)
        and type(ids) is Tensor
        and weight.is_cpu
        and weight.dim() == 2
    ):
        return False
    rows, dim = weight.shape
    count = ids.numel()
    # Nothing to read is no IndexError of PyTorch's.
    if rows == 0 or count * dim == 0:
        return False
    is_recorded = weight.requires_grad and _is_grad_enabled()
    if not _is_sooner_copied_by_torch(count * dim, weight.itemsize):
        brief = count * dim * weight.itemsize <= _alone_bytes
        return sparse and is_recorded and brief and _get_num_threads() == 1
    if sparse or not is_recorded:
        return True
    return (
        count <= _few_terms
        and not by_freq
        and weight.dtype in _summed_as_is
        # Of more elements than few PyTorch's table of zeros is several threads' work, and still sooner done.
        and (rows <= _few_table_rows or rows * dim >= few_elements)
        and (rows * dim < few_elements or _openmp.is_there())
        and rows * dim * weight.itemsize <= brief_table_bytes
    )


def _lookup_of_torch(ids: Tensor, weight: Tensor, *settings: Any) -> Tensor:
    try:
        return _torch_lookup(weight, ids, *settings)
    except IndexError as error:
        raised = error
    try:
        if are_plain_ids(ids):
            # PyTorch does not name the position.
            ids = ids.contiguous()
            _core.check_ids(ids.data_ptr(), ids.numel(), ids.dtype is _int64, weight.size(0))
        raise raised
    finally:
        del raised


def _row_of(padding_idx: int | None, rows: int) -> int:
    """Return the row that is padding as the kernels count it, -1 for none."""
    # PyTorch asks nothing of row 0 of an empty table.
    if padding_idx is None or (padding_idx == 0 and rows == 0):
        return -1
    if not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return int(padding_idx) % rows


def _gather(weight: Tensor, ids: Tensor, rows: int, dim: int) -> Tensor:
    out = weight.new_empty((*ids.shape, dim))
    _gather_into(out, weight, ids, rows, dim)
    return out


def _gather_sooner(weight: Tensor, ids: Tensor, rows: int, dim: int) -> Tensor:
    """Look up rows, with PyTorch's operator where that is sooner done."""
    elements = ids.numel() * dim
    if (
        rows > 0
        and elements >= few_elements
        and weight.is_cpu
        and _is_sooner_copied_by_torch(elements, weight.itemsize)
    ):
        return _lookup_of_torch(ids, weight)
    return _gather(weight, ids, rows, dim)


def _gather_into(out: Tensor, weight: Tensor, ids: Tensor, rows: int, dim: int) -> None:
    job = (
        weight.data_ptr(),
        rows,
        row_stride_bytes(weight, dim),
        dim * weight.itemsize,
        ids.data_ptr(),
        ids.numel(),
        ids.dtype is _int64,
        out.data_ptr(),
    )
    if _gpu.holds(weight):
        with _gpu.launching(weight.device) as launch:
            launch.kernels.gather_rows(*job, launch.record("lookup"), launch.stream)
    else:
        _core.gather_rows(*job, _get_num_threads())


def _check_out(out: Tensor, input: Tensor, weight: Tensor) -> None:
    if _is_grad_enabled() and (weight.requires_grad or out.requires_grad):
        raise RuntimeError(
            "embedding(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad; call it under torch.no_grad()"
        )
    shape = (*input.shape, weight.size(-1))
    if tuple(out.shape) != shape or out.dtype != weight.dtype or out.device != weight.device:
        raise ValueError(
            f"embedding: out must be a {weight.dtype} tensor of shape {shape} on {weight.device}, found {out.dtype}, "
            f"shape {tuple(out.shape)}, on {out.device}"
        )
    if not out.is_contiguous():
        raise ValueError(f"embedding: out must be contiguous, found strides {out.stride()}")


def _meets(out: Tensor, begin: int, size: int) -> bool:
    """Whether `out` has bytes among `size` of them from `begin` on."""
    return begin < out.data_ptr() + out.nbytes and out.data_ptr() < begin + size


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, settings: tuple[int, int, int, bool, bool]) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.set_materialize_grads(False)
        ctx.settings = settings
        rows, dim, _, _, sparse = settings
        # Of sparse gradients this is known already.
        return (_gather if sparse else _gather_sooner)(weight, ids, rows, dim)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None
        (ids,) = ctx.saved_tensors
        rows, _, padding_idx, by_freq, sparse = ctx.settings
        return table_gradient(grad, ids, rows, padding_idx, by_freq, sparse), None, None


# Function.apply prepares for functorch, which is_eager has ruled out; what it then calls is this.
_apply: Callable[..., Any] = super(torch.autograd.Function, _Lookup).apply


def table_gradient(grad: Tensor, ids: Tensor, rows: int, padding_idx: int, by_freq: bool, sparse: bool) -> Tensor:
    """Return the gradient of a table in a backward pass of ours."""
    if sparse or not is_gradient_served(grad) or not _are_as_saved(ids, grad):
        ids = ids if sparse else _gpu.inside(ids, rows)
        table: Tensor = embedding_backward(grad, ids, rows, padding_idx, by_freq, sparse)
        return table
    return _scatter(grad, ids.contiguous(), rows, padding_idx, by_freq)


def _are_as_saved(ids: Tensor, grad: Tensor) -> bool:
    """Whether hooks of saved tensors have left the ids what they were; what is wrong with others PyTorch tells."""
    return are_plain_ids(ids) and lie_together(ids, grad) and ids.numel() * grad.size(-1) == grad.numel()


def is_gradient_served(grad: Tensor) -> bool:
    """Whether our kernels may handle a gradient in a backward pass of ours."""
    # Grad mode is on only when the backward is to be differentiated in its turn.
    return (
        not _is_grad_enabled()
        and not is_legacy_batchedtensor(grad)
        and forward_ad._current_level < 0
        and is_eager()
        and is_plain(grad)
    )


def _scatter(grad: Tensor, ids: Tensor, rows: int, padding_idx: int, by_freq: bool) -> Tensor:
    grad = grad.contiguous()
    count, dim = ids.numel(), grad.size(-1)
    out, state = scatter_table(rows, dim, count, grad)
    kind = (rows, dim, elements[grad.dtype])
    job = (
        ids.data_ptr(),
        count,
        ids.dtype is _int64,
        grad.data_ptr(),
        dim * grad.itemsize,
        out.data_ptr(),
        *kind,
        padding_idx,
        by_freq,
    )
    if not _gpu.holds(grad):
        _core.scatter_rows(*job, state, _get_num_threads())
        return out
    with _gpu.launching(grad.device) as launch:
        atomic = _gpu.adds_atomically(grad.dtype)
        workspace = launch.workspace(launch.kernels.scatter_rows_bytes(count, *kind, atomic))
        launch.kernels.scatter_rows(*job, atomic, workspace.data_ptr(), launch.record("lookup"), launch.stream)
    return out


# The same as operators for graphs.


def _lookup(weight: Tensor, ids: Tensor, padding_idx: int) -> Tensor:
    weight = weight if weight.stride(1) == 1 else weight.contiguous()
    return _gather_sooner(weight, ids.contiguous(), *weight.shape)


def _scatter_in_graph(grad: Tensor, ids: Tensor, rows: int, padding_idx: int) -> Tensor:
    return _scatter(grad, ids.contiguous(), rows, padding_idx, False)


def _lookup_fake(weight: Tensor, ids: Tensor, padding_idx: int) -> Tensor:
    return weight.new_empty((*ids.shape, weight.size(1)))


def _scatter_fake(grad: Tensor, ids: Tensor, rows: int, padding_idx: int) -> Tensor:
    return grad.new_empty((rows, grad.size(-1)))


def _lookup_setup(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    weight, ids, ctx.padding_idx = inputs
    ctx.save_for_backward(ids)
    ctx.rows = weight.size(0)


def _lookup_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return _ops.scatter(grad, *ctx.saved_tensors, ctx.rows, ctx.padding_idx), None, None


def _scatter_setup(ctx: Any, inputs: tuple[Tensor, Tensor, int, int], output: Tensor) -> None:
    _, ids, _, ctx.padding_idx = inputs
    ctx.save_for_backward(ids)


def _scatter_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    (ids,) = ctx.saved_tensors
    rows = _ops.lookup(grad, ids, ctx.padding_idx)
    return rows.masked_fill((ids == ctx.padding_idx).unsqueeze(-1), 0), None, None, None


define("lookup(Tensor weight, Tensor ids, int padding_idx) -> Tensor", _lookup, _lookup_fake)
define("scatter(Tensor grad, Tensor ids, SymInt rows, int padding_idx) -> Tensor", _scatter_in_graph, _scatter_fake)
define_gradient("lookup", _lookup_backward, _lookup_setup)
define_gradient("scatter", _scatter_backward, _scatter_setup)
