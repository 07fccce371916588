"""Embedding lookups as functions of a table, with the signatures of `torch.nn.functional`."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError('embrow.functional needs PyTorch: pip install "embrow[torch]"') from error
from torch import Tensor
from torch._C import _is_tracing, _len_torch_dispatch_stack, _len_torch_function_stack
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.nn.functional import embedding as _torch_embedding

from embrow import _core

__all__ = ["embedding"]

_functorch_is_active = torch._C._are_functorch_transforms_active
_is_compiling = torch.compiler.is_compiling
_is_grad_enabled = torch.is_grad_enabled
_get_num_threads = torch.get_num_threads
_embedding_backward = torch.ops.aten.embedding_backward
_int32 = torch.int32
_int64 = torch.int64
_strided = torch.strided
_elements = {
    torch.float32: _core.Element.float32,
    torch.float64: _core.Element.float64,
    torch.bfloat16: _core.Element.bfloat16,
    torch.float16: _core.Element.float16,
}

# Larger blocks the C library maps anew each time (its greatest M_MMAP_THRESHOLD), which are zero until written; smaller
# ones it has at hand, and clearing them is cheaper than page faults.
_lazy_bytes = 32 << 20


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look up rows of a table: `torch.nn.functional.embedding` over embrow's kernels.

    Parameters
    ----------
    input : int32 or int64 tensor, any shape
        Ids of rows, 0 to rows - 1.
    weight : tensor, shape (rows, dim)
        The table.
    padding_idx : int, optional
        A row that gets no gradient. A negative one counts from the end.
    max_norm : float, optional
        Rows looked up whose norm is larger are scaled down to it, in place.
    norm_type : float
        The p of the p-norm that `max_norm` bounds.
    scale_grad_by_freq : bool
        Divide a row's gradient by how often the batch holds its id.
    sparse : bool
        Make the table's gradient an uncoalesced sparse COO tensor of one entry per id.

    Returns
    -------
    tensor, shape (*input.shape, dim), dtype of weight

    Raises
    ------
    IndexError
        An id is outside the table; names its position in the flattened input.

    Notes
    -----
    Plain CPU tensors of float32, float64, bfloat16 and float16 use embrow's kernels, on as many threads as
    `torch.get_num_threads()` says. Everything else is handed to PyTorch: other dtypes and devices, tensor subclasses,
    functorch transforms, forward-mode differentiation, tracing, scripting and compiling.
    The results are the same bits for every number of threads.

    Examples
    --------
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> embedding(torch.tensor([[2, 0]]), table)
    tensor([[[5., 6.],
             [1., 2.]]])
    """
    # Scripting compiles neither the condition nor its else, but all that follows.
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return _torch_embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    else:
        return _embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)


def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None,
    max_norm: float | None,
    norm_type: float,
    scale_grad_by_freq: bool,
    sparse: bool,
) -> Tensor:
    if not _is_served(input, weight):
        return _torch_embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    rows, dim = weight.shape
    if padding_idx is None:
        padding_idx = -1
    else:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        if padding_idx < 0:
            padding_idx += rows
    ids = input if input.is_contiguous() else input.contiguous()
    if max_norm is not None:
        _core.check_ids(ids.data_ptr(), ids.numel(), ids.dtype is _int64, rows)
        with torch.no_grad():
            torch.embedding_renorm_(weight, ids, max_norm, norm_type)
    if weight.requires_grad and _is_grad_enabled():
        rows_of_ids: Tensor = _apply(weight, ids, rows, dim, padding_idx, scale_grad_by_freq, sparse)
        return rows_of_ids
    return _gather(weight, ids, rows, dim)


def _is_served(input: Tensor, weight: Tensor) -> bool:
    """Whether reading both tensors' memory here and now is all that the caller can want."""
    if _is_compiling():
        return False
    kind = type(weight)
    return (
        (kind is Parameter or kind is Tensor)
        and type(input) is Tensor
        and not _functorch_is_active()
        and not _len_torch_dispatch_stack()
        and not _len_torch_function_stack()
        and not _is_tracing()
        and forward_ad._current_level < 0
        and (input.dtype is _int64 or input.dtype is _int32)
        and weight.dtype in _elements
        and weight.is_cpu
        and input.is_cpu
        and weight.layout is _strided
        and input.layout is _strided
        and not weight.is_nested
        and not input.is_nested
        and weight.dim() == 2
        and (weight.is_contiguous() or weight.stride(1) == 1)
        and not weight.is_neg()
        # Wrappers that hide behind the type Tensor have no memory of their own.
        and _has_memory(weight)
        and _has_memory(input)
    )


def _has_memory(tensor: Tensor) -> bool:
    try:
        return tensor.data_ptr() != 0 or tensor.numel() == 0
    except RuntimeError:
        return False


def _gather(weight: Tensor, ids: Tensor, rows: int, dim: int) -> Tensor:
    out = weight.new_empty((*ids.shape, dim))
    row_bytes = dim * weight.itemsize
    _core.gather_rows(
        weight.data_ptr(),
        rows,
        row_bytes if weight.is_contiguous() else weight.stride(0) * weight.itemsize,
        row_bytes,
        ids.data_ptr(),
        ids.numel(),
        ids.dtype is _int64,
        out.data_ptr(),
        _get_num_threads(),
    )
    return out


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, ids: Tensor, rows: int, dim: int, padding_idx: int, by_freq: bool, sparse: bool
    ) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.settings = (rows, padding_idx, by_freq, sparse)
        return _gather(weight, ids, rows, dim)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (ids,) = ctx.saved_tensors
        rows, padding_idx, by_freq, sparse = ctx.settings
        # Grad mode is on only when the backward is to be differentiated in its turn.
        if _is_grad_enabled() or sparse or not _is_gradient_served(grad):
            table = _embedding_backward(grad, ids, rows, padding_idx, by_freq, sparse)
        else:
            table = _scatter(grad, ids, rows, padding_idx, by_freq)
        return table, None, None, None, None, None, None


# Function.apply prepares for functorch, which _is_served has ruled out; what it then calls is this.
_apply: Callable[..., Any] = super(torch.autograd.Function, _Lookup).apply


def _is_gradient_served(grad: Tensor) -> bool:
    return (
        type(grad) is Tensor
        and not is_legacy_batchedtensor(grad)
        and not _functorch_is_active()
        and not _len_torch_dispatch_stack()
        and not _len_torch_function_stack()
        and not _is_tracing()
        and grad.layout is _strided
        and not grad.is_neg()
        and _has_memory(grad)
    )


def _scatter(grad: Tensor, ids: Tensor, rows: int, padding_idx: int, by_freq: bool) -> Tensor:
    grad = grad.contiguous()
    dim = grad.size(-1)
    lazy = rows * dim * grad.itemsize > _lazy_bytes
    out = _map_zeros(rows, dim, grad.dtype) if lazy else grad.new_zeros((rows, dim))
    _core.scatter_rows(
        ids.data_ptr(),
        ids.numel(),
        ids.dtype is _int64,
        grad.data_ptr(),
        dim * grad.itemsize,
        out.data_ptr(),
        rows,
        dim,
        _elements[grad.dtype],
        padding_idx,
        by_freq,
        lazy,
        _get_num_threads(),
    )
    return out


def _map_zeros(rows: int, dim: int, dtype: torch.dtype) -> Tensor:
    """Make a tensor of zeros of which no page exists until it is written: torch.zeros writes them all."""
    pages = mmap.mmap(-1, rows * dim * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    flat = torch.frombuffer(pages, dtype=dtype)
    # Not a view of `flat`, since what becomes .grad may have to be detached in place.
    return torch.empty(0, dtype=dtype).set_(flat.untyped_storage(), 0, (rows, dim), (dim, 1))
