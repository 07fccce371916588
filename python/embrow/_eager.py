"""Whether a tensor's memory may be read here and now, as our kernels do, and what they are told about it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch._C import _is_tracing, _len_torch_dispatch_stack, _len_torch_function_stack
from torch.autograd import forward_ad
from torch.nn import Parameter

from embrow import _core, _gpu

_functorch_is_active = torch._C._are_functorch_transforms_active
_is_compiling = torch.compiler.is_compiling
_int32 = torch.int32
_int64 = torch.int64
_strided = torch.strided
elements = {
    torch.float32: _core.Element.float32,
    torch.float64: _core.Element.float64,
    torch.bfloat16: _core.Element.bfloat16,
    torch.float16: _core.Element.float16,
}


def is_eager() -> bool:
    """Whether an operation runs now, for its result alone: nothing records, transforms or overrides it."""
    return (
        not _is_compiling()
        and not _functorch_is_active()
        and not _len_torch_dispatch_stack()
        and not _len_torch_function_stack()
        and not _is_tracing()
    )


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is nothing but elements in memory that kernels of ours reach."""
    kind = type(tensor)
    return (
        (kind is Tensor or kind is Parameter)
        and (tensor.is_cpu or _gpu.holds(tensor))
        and tensor.layout is _strided
        and not tensor.is_nested
        and not tensor.is_neg()
        # Wrappers that hide behind the type Tensor have no memory of their own.
        and has_memory(tensor)
    )


def is_lookup_served(ids: Tensor, weight: Tensor, max_norm: float | None) -> bool:
    """Whether reading both tensors' memory is all that the caller of a lookup can want, if it is eager."""
    return (
        forward_ad._current_level < 0
        and is_plain(weight)
        and are_plain_ids(ids)
        and lie_together(ids, weight)
        and weight.dtype in elements
        and weight.dim() == 2
        and (weight.is_contiguous() or weight.stride(1) == 1)
        # The rows to be scaled down are PyTorch's to find, and ids that are none on a GPU its own to tell.
        and (max_norm is None or weight.is_cpu)
    )


def lie_together(one: Tensor, other: Tensor) -> bool:
    # To ask for a device costs more.
    return (one.is_cpu and other.is_cpu) or one.device == other.device


def are_settings_plain(padding_idx: int | None, by_freq: bool, sparse: bool) -> bool:
    """Whether a lookup's settings are of types that PyTorch takes; what others mean is its own to tell."""
    return (
        (padding_idx is None or (isinstance(padding_idx, (int, np.integer)) and type(padding_idx) is not bool))
        and type(by_freq) is bool
        and type(sparse) is bool
    )


def are_plain_ids(ids: Tensor) -> bool:
    return is_plain(ids) and (ids.dtype is _int64 or ids.dtype is _int32)


def has_memory(tensor: Tensor) -> bool:
    """Whether a tensor has memory of its own, or none to have."""
    try:
        # A view of memory that was given up begins so far from nowhere.
        return tensor.data_ptr() != tensor.storage_offset() * tensor.itemsize or tensor.numel() == 0
    except RuntimeError:
        return False


def row_stride_bytes(table: Tensor, dim: int) -> int:
    # Of a table of one row it may be anything, and is never used. To ask for it costs three times as much as to ask
    # whether the table is contiguous.
    return (dim if table.is_contiguous() else table.stride(0)) * table.itemsize
