"""Text encoded on the device, by the kernels themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embrow import Vocab, _core

STREAM = 0
NONE = -1


def padded_bytes(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bytes, and as few as may be that make them a multiple of 16, which are none of a text's."""
    made = np.full(max(-(-part.size // 16), 1) * 16, ord("x"), np.uint8)
    made[: part.size] = part
    return made


@dataclass(frozen=True)
class Encoded:
    ids: NDArray[Any]
    lengths: NDArray[np.int64]
    unknown: int  # the first byte of the first unknown token if there is no unk token, else -1


@dataclass(frozen=True)
class Encoding:
    """Rows of text and how they are to be encoded: the arguments of Vocab.encode that the kernels know."""

    vocab: Vocab
    texts: list[Any]
    options: dict[str, Any] = field(default_factory=dict)

    def cpu(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        ids, lengths = self.vocab.encode(self.texts, return_lengths=True, **self.options)
        return ids, lengths

    def _id(self, option: str) -> int:
        token = self.options.get(option)
        return NONE if token is None else self.vocab[token]

    def cuda(self, device: ModuleType, kernels: ModuleType) -> Encoded:
        parts = self.vocab._table.parts()
        memory = [device.to_device(padded_bytes(parts[name])) for name in ("index", "keys", "arena")]
        seed = parts["seed"].view(np.uint64).tolist()
        index, keys, arena = (array.ptr for array in memory)
        table = kernels.DeviceTable(index, parts["index"].nbytes // 4, keys, arena, self.vocab._table.longest, *seed)

        rows = _core.PackedRows(self.texts, nulls_empty=False, threads=1)
        text, offsets = np.empty(rows.bytes, np.uint8), np.empty(len(rows) + 1, np.int64)
        rows.write(offsets.ctypes.data, text.ctypes.data)
        on_device = device.to_device(padded_bytes(text)), device.to_device(offsets)
        where = on_device[0].ptr, rows.bytes, on_device[1].ptr, len(rows)

        max_length = self.options.get("max_length", NONE)
        truncate_left = self.options.get("truncation_side") == "left"
        frame = self._id("bos_token"), self._id("eos_token"), max_length, truncate_left
        lengths = device.empty(max(len(rows), 1), np.int64)
        facts = device.empty(kernels.encode_facts_bytes // 8, np.int64)
        workspace = device.empty(kernels.encode_workspace_bytes(rows.bytes, len(rows)), np.uint8)
        kernels.count_tokens(*where, *frame, lengths.ptr, facts.ptr, workspace.ptr, STREAM)
        width = int(device.to_host(facts)[0]) if max_length == NONE else max_length
        dtype = np.dtype(self.options.get("dtype", np.int64))
        before = np.full(len(rows) * width + 2, 77, dtype)
        out = device.to_device(before)
        unk_id = NONE if self.vocab.unk_id is None else self.vocab.unk_id
        pad_left = self.options.get("padding_side") == "left"
        layout = width, self.vocab.pad_id, pad_left, dtype == np.int64
        result = lengths.ptr, facts.ptr, out.ptr + dtype.itemsize, workspace.ptr, STREAM
        kernels.encode_padded(table, *where, *frame, unk_id, *layout, *result)
        found = device.to_host(out)
        assert found[0] == found[-1] == 77
        unknown = int(device.to_host(facts)[1])
        return Encoded(found[1:-1].reshape(len(rows), width), device.to_host(lengths)[: len(rows)], unknown)

    def check(self, device: ModuleType, kernels: ModuleType) -> None:
        ids, lengths = self.cpu()
        found = self.cuda(device, kernels)
        np.testing.assert_array_equal(found.lengths, lengths)
        np.testing.assert_array_equal(found.ids, ids)
        assert found.ids.dtype == ids.dtype
