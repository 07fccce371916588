"""Padding on a GPU: ragged ids there to a rectangle there."""

from __future__ import annotations

import torch
from torch import Tensor

from embrow import _gpu

_INTEGERS = (
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)


def pad_ragged(
    values: Tensor,
    offsets: Tensor,
    *,
    max_length: int,
    pad_left: bool,
    truncate_left: bool,
    value: int,
    multiple: int,
    wide: bool,
    out: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Do what `_core.pad_ragged` does on a GPU."""
    values, offsets = _checked(values, torch.as_tensor(offsets))
    if isinstance(out, Tensor):
        # What is written must not be read as what it was.
        values, offsets = (part.clone() if _share_memory(part, out) else part for part in (values, offsets))
    device, rows = values.device, len(offsets) - 1
    ids = values.data_ptr(), len(values), values.dtype == torch.int64, offsets.data_ptr(), rows
    with _gpu.launching(device) as launch:
        facts = torch.empty(launch.kernels.ragged_facts_bytes // 8, dtype=torch.int64, device=device)
        launch.kernels.check_ragged(*ids, not wide, facts.data_ptr(), launch.stream)
        longest, decreasing, too_wide, begin, end = torch.cat((facts, offsets[:1], offsets[-1:])).tolist()
        if decreasing >= 0:
            before, found = offsets[decreasing - 1 : decreasing + 1].tolist()
            raise ValueError(f"pad_sequences: offsets decrease from {before} to {found} at position {decreasing}")
        if begin != 0 or end != len(values):
            raise ValueError(f"pad_sequences: offsets run from {begin} to {end}; there are {len(values)} values")
        if too_wide >= 0:
            row = int(torch.searchsorted(offsets, too_wide, right=True)) - 1
            at = too_wide - int(offsets[row])
            beyond = int(values[too_wide])
            raise ValueError(f"pad_sequences: row {row} has a value beyond int32 at position {at}: {beyond}")
        kept = longest if max_length < 0 else max_length
        width = -(-kept // multiple) * multiple
        dtype = torch.int64 if wide else torch.int32
        if not isinstance(out, Tensor | None):
            raise ValueError(
                f"pad_sequences: out must be a tensor on {device}, as the ids are; found {type(out).__name__}"
            )
        made = launch.rectangle("pad_sequences", out, (rows, width), dtype)
        lengths = torch.empty(rows, dtype=torch.int64, device=device)
        launch.kernels.pad_ragged(
            *ids, width, value, pad_left, kept, truncate_left, wide, made.data_ptr(), lengths.data_ptr(), launch.stream
        )
    return made, lengths


def _share_memory(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _checked(values: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    for name, tensor in (("values", values), ("offsets", offsets)):
        if tensor.dtype not in _INTEGERS and tensor.numel():
            raise TypeError(f"pad_sequences: {name} are {tensor.dtype}; they are integers")
        if tensor.device != values.device:
            raise ValueError(f"pad_sequences: values lie on {values.device}, offsets on {tensor.device}")
    if values.ndim != 1 or offsets.ndim != 1 or len(offsets) < 1:
        raise ValueError("pad_sequences: values and offsets have one dimension, and there is one offset or more")
    if values.dtype == torch.uint64 and len(beyond := (values.view(torch.int64) < 0).nonzero()):
        at = int(beyond[0])
        raise ValueError(f"pad_sequences: value {values[at].item()} at position {at} is beyond int64")
    narrow = values.dtype == torch.int32
    values = values.detach().to(torch.int32 if narrow else torch.int64).contiguous()
    return values, offsets.detach().to(torch.int64).contiguous()
