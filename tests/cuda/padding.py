"""Ragged ids padded on the device, by the kernels themselves."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embrow import _core

STREAM = 0


@dataclass(frozen=True)
class Padding:
    """Rows of the given lengths, padded to `width` of which `kept` are for ids."""

    lengths: list[int]
    kept: int
    width: int
    pad_left: bool = False
    truncate_left: bool = False
    from_dtype: str = "int64"
    dtype: str = "int64"
    value: int = -7
    out_offset: int = 0

    def ragged(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        offsets = np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))
        values = np.random.default_rng(0).integers(-(2**31), 2**31, offsets[-1]).astype(self.from_dtype)
        return values, offsets

    def check(self, device: ModuleType, kernels: ModuleType) -> None:
        values, offsets = self.ragged()
        rows, wide = len(self.lengths), self.dtype == "int64"
        expected, lengths = _core.pad_ragged(
            values,
            offsets,
            max_length=self.kept,
            pad_left=self.pad_left,
            truncate_left=self.truncate_left,
            value=self.value,
            multiple=max(self.width, 1),
            wide=wide,
            out=None,
            threads=1,
        )
        assert expected.shape == (rows, self.width)
        on_device = device.to_device(values), device.to_device(offsets)
        ids = on_device[0].ptr, values.size, self.from_dtype == "int64", on_device[1].ptr, rows
        before = np.full(self.out_offset + rows * self.width + 1, 77, self.dtype)
        out, kept = device.to_device(before), device.empty(max(rows, 1), np.int64)
        address = out.ptr + self.out_offset * before.itemsize
        how = self.width, self.value, self.pad_left, self.kept, self.truncate_left, wide
        kernels.pad_ragged(*ids, *how, address, kept.ptr, STREAM)
        found = device.to_host(out)
        assert (found[: self.out_offset] == 77).all()
        assert found[-1] == 77
        np.testing.assert_array_equal(found[self.out_offset : -1].reshape(rows, self.width), expected)
        np.testing.assert_array_equal(device.to_host(kept)[:rows], lengths)
