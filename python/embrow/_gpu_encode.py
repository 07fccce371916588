"""Encoding on a GPU: text is packed on the CPU, copied once, and split and looked up there."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from embrow import _core, _gpu

_WORD = 8
# Text begins at a sector of the device's memory, and can be read in pieces of 16 bytes to its end.
_TEXT_ALIGNMENT = 32


class _Table(NamedTuple):
    kernel: Any  # _cuda.DeviceTable
    memory: tuple[Tensor, ...]


# Of each table what lies on devices. Dropped with the table; neither pickled nor copied.
_tables: weakref.WeakKeyDictionary[_core.VocabTable, dict[torch.device, _Table]] = weakref.WeakKeyDictionary()
_uploading = threading.Lock()


def table_on(table: _core.VocabTable, device: torch.device) -> _Table:
    """Return the table on a device, copied there by the first call."""
    with _uploading:
        on_devices = _tables.setdefault(table, {})
        if device not in on_devices:
            on_devices[device] = _upload(table, device)
        return on_devices[device]


def _upload(table: _core.VocabTable, device: torch.device) -> _Table:
    parts = table.parts()
    with _gpu.launching(device) as launch:
        memory = tuple(_padded(parts[name]).to(device) for name in ("index", "keys", "arena"))
        # Whatever stream uses it first finds it complete.
        _gpu.synchronize(device)
        seed = parts["seed"].view(np.uint64).tolist()
        slots = parts["index"].nbytes // np.dtype(np.uint32).itemsize
        kernel = launch.kernels.DeviceTable(
            memory[0].data_ptr(), slots, *map(Tensor.data_ptr, memory[1:]), table.longest, *seed
        )
    return _Table(kernel, memory)


def _padded(part: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    """Copy bytes to memory that is a multiple of 16 bytes."""
    made = torch.zeros(_round_up(max(part.size, 1), 16), dtype=torch.uint8, device="cpu")
    made.numpy()[: part.size] = part
    return made


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def encode_padded(
    table: _core.VocabTable,
    texts: Iterable[Any],
    *,
    device: torch.device,
    nulls_empty: bool,
    unk_id: int,
    bos_id: int,
    eos_id: int,
    max_length: int,
    truncate_left: bool,
    pad_left: bool,
    pad_id: int,
    multiple: int,
    wide: bool,
    out: Tensor | None,
    threads: int,
) -> tuple[Tensor, Tensor] | None:
    """Do what `_core.encode_padded` does on a GPU; None for rows that are lists of tokens."""
    rows = _core.PackedRows(texts, nulls_empty=nulls_empty, threads=threads)
    if rows.tokenized:
        return None
    on_device = table_on(table, device)
    with _gpu.launching(device) as launch:
        # Offsets and text in one piece of memory, to be one copy.
        offsets_bytes = _round_up((len(rows) + 1) * _WORD, _TEXT_ALIGNMENT)
        words = launch.staging((offsets_bytes + _round_up(rows.bytes, _TEXT_ALIGNMENT)) // _WORD)
        address = words.ctypes.data
        rows.write(address, address + offsets_bytes)
        packed = torch.from_numpy(words).to(device, non_blocking=True)
        text = packed.data_ptr() + offsets_bytes, rows.bytes, packed.data_ptr(), len(rows)
        frame = bos_id, eos_id, max_length, truncate_left

        def numbers(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=device)

        lengths, facts = numbers(len(rows)), numbers(launch.kernels.encode_facts_bytes // _WORD)
        workspace = launch.workspace(launch.kernels.encode_workspace_bytes(rows.bytes, len(rows)))
        launch.kernels.count_tokens(
            *text, *frame, lengths.data_ptr(), facts.data_ptr(), workspace.data_ptr(), launch.stream
        )
        width = _round_up(int(facts[0]) if max_length < 0 else max_length, multiple)
        if pad_id < 0:
            _check_widths(lengths, width)
        ids = launch.rectangle("encode", out, (len(rows), width), torch.int64 if wide else torch.int32)
        launch.use(*on_device.memory)
        launch.kernels.encode_padded(
            on_device.kernel,
            *text,
            *frame,
            unk_id,
            width,
            pad_id,
            pad_left,
            wide,
            lengths.data_ptr(),
            facts.data_ptr(),
            ids.data_ptr(),
            workspace.data_ptr(),
            launch.stream,
        )
        if unk_id < 0 and (at := int(facts[1])) >= 0:
            _raise_unknown(rows, words.view(np.uint8)[offsets_bytes:], words[: len(rows) + 1], at)
    return ids, lengths


def copied(ids: np.ndarray[Any, Any], out: Tensor) -> Tensor:
    """Copy ids that the CPU made to `out`, which must fit."""
    made = torch.from_numpy(ids)
    with _gpu.launching(out.device) as launch:
        rows, width = ids.shape
        return launch.rectangle("encode", out, (rows, width), made.dtype).copy_(made)


def _check_widths(lengths: Tensor, width: int) -> None:
    other = (lengths != width).nonzero()
    if len(other):
        row = int(other[0])
        raise ValueError(
            f"encode: row {row} has {int(lengths[row])} tokens where the width is {width}, and the vocabulary has no "
            "pad_token; use encode_ragged"
        )


def _raise_unknown(rows: _core.PackedRows, text: Any, offsets: Any, at: int) -> None:
    """Raise that the token which begins at a byte of the text is unknown."""
    row = int(np.searchsorted(offsets, at, side="right")) - 1
    before = text[offsets[row] : at].tobytes().decode()
    token = text[at : offsets[row + 1]].tobytes().decode().split(maxsplit=1)[0]
    rows.raise_unknown(row, len(before.split()), token.encode())
