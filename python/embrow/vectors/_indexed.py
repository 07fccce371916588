"""A file that WordVectors.save wrote as "safetensors" -> rows: mapped whole, or a few of them read."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._container import ALIGNMENT
from embrow.vectors._array import StoredArray, read_rows, read_to_end
from embrow.vectors._indexed_file import (
    CHECKED_BYTES,
    FORMAT,
    TABLE,
    VERSION,
    Bytes,
    checksum_of,
    checksums_of,
    sums_for,
)
from embrow.vectors._request import Request
from embrow.vectors._stream import Stream
from embrow.vectors._word_vectors import LoadReport, WordVectors

if TYPE_CHECKING:
    from embrow.vectors._safetensors import Header, Tensor

_BLOCK_BYTES = 4 << 20
_DAMAGED = "the tokens are damaged: a checksum differs"


def is_ours(metadata: dict[str, str]) -> bool:
    return metadata.get("format") == FORMAT


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts of a file of ours lie in it."""

    table: tuple[Tensor, Tensor, Tensor, Tensor]
    checksums: Tensor
    weight: Tensor

    @property
    def start(self) -> int:
        return self.table[0].begin


def parts_of(header: Header) -> Parts:
    """Find and check the parts of a file of ours."""
    if header.metadata.get("version") != VERSION:
        found = header.metadata.get("version")
        raise ValueError(f"byte 8: the file has version {found!r:.60}; this one reads {VERSION!r}")
    names = (*TABLE, "checksums", "weight")
    present = [header.tensors.get(name) for name in names]
    parts = [tensor for tensor in present if tensor is not None]
    if len(parts) < len(names) or len(header.tensors) > len(names):
        raise ValueError(f"byte 8: a file of format {FORMAT!r} has the tensors {', '.join(names)}")
    seed, index, keys, arena, checksums, weight = parts
    checked = arena.end - seed.begin
    rows = weight.shape[0] if len(weight.shape) == 2 else -1
    fits = (
        [tensor.begin for tensor in parts] == sorted(tensor.begin for tensor in parts)
        and [tensor.dtype for tensor in parts[:5]] == ["U64", "U32", "U64", "U8", "U64"]
        and weight.dtype in ("F16", "F32", "F64")
        and seed.shape == (2,)
        and len(index.shape) == 1
        and keys.shape == (rows, 2)
        and checksums.shape == (sums_for(checked),)
        and weight.begin % ALIGNMENT == 0
        and header.start % ALIGNMENT == 0
        and len(arena.shape) == 1
    )
    if not fits:
        raise ValueError(f"byte 8: the shapes or dtypes of the tensors are not those of format {FORMAT!r}")
    return Parts((seed, index, keys, arena), checksums, weight)


def load(request: Request, stream: Stream, parts: Parts) -> WordVectors:
    """Map the file, or read some of it. The stream stands behind the header."""
    array = parts.weight.as_array()
    descriptor = request.source.descriptor
    if descriptor is not None and request.source.total > parts.weight.end and request.limit >= array.rows:
        request.note_more(parts.weight.end, array.rows)
    everything = request.wanted is None and request.limit >= array.rows and request.dtype == array.dtype
    if descriptor is not None and everything:
        mapped = np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY), np.uint8)
        table = _adopt(mapped[parts.start : parts.weight.begin], parts)
        weight = mapped[parts.weight.begin : parts.weight.end].view(array.dtype).reshape(array.rows, array.dim)
        return WordVectors._mapped(table, weight, LoadReport(array.rows, array.rows, array.rows, 0, 0))
    read = min(request.limit, array.rows)
    if descriptor is not None and request.wanted is not None:
        kept, rows = _choose(request.wanted, _find(descriptor, request.wanted, parts), read)
        weight = _read_some(descriptor, request, array, rows)
    else:
        table = _adopt(_read(stream, parts), parts)
        if request.wanted is None:
            kept, rows = table.tokens()[:read], np.arange(read)
        else:
            ids = np.fromiter(map(table.find, request.wanted), np.int64, len(request.wanted))
            kept, rows = _choose(request.wanted, ids, read)
        weight = read_rows(request, array, rows=rows, limit=read)
        if read == array.rows and descriptor is None:
            read_to_end(request, parts.weight.end, array.rows)
    return WordVectors(kept, weight, LoadReport(read, array.rows, len(kept), 0, 0))


def _choose(wanted: list[str], ids: npt.NDArray[np.int64], read: int) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Return the tokens that have an id below `read`, and these, in ascending order."""
    order = np.argsort(ids, kind="stable")
    order = order[(ids[order] >= 0) & (ids[order] < read)]
    return [wanted[i] for i in order], ids[order].astype(np.intp)


def _adopt(checked: Bytes, parts: Parts) -> _core.VocabTable:
    """Return the table of the bytes from the seed to the rows."""
    sums = checked[parts.checksums.begin - parts.start : parts.checksums.end - parts.start]
    if not np.array_equal(checksums_of(checked[: parts.checksums.begin - parts.start]), sums.view("<u8")):
        raise ValueError(f"{_DAMAGED} between byte {parts.start} and byte {parts.checksums.end}")
    seed, index, keys, arena = (checked[part.begin - parts.start : part.end - parts.start] for part in parts.table)
    return _core.VocabTable.from_parts(seed=seed, index=index, keys=keys, arena=arena)


def _read(stream: Stream, parts: Parts) -> Bytes:
    """Read the bytes from the seed to the rows."""
    return stream.rows(parts.weight.begin - parts.start, 1).reshape(-1)


def _find(descriptor: int, tokens: list[str], parts: Parts) -> npt.NDArray[np.int64]:
    """Look tokens up in the table where it lies, after its checksums are verified in bounded memory."""
    sums = np.frombuffer(
        os.pread(descriptor, parts.checksums.end - parts.checksums.begin, parts.checksums.begin), "<u8"
    )
    block = np.empty(CHECKED_BYTES, np.uint8)
    for number, begin in enumerate(range(parts.start, parts.checksums.begin, CHECKED_BYTES)):
        got = os.preadv(descriptor, [block[: min(CHECKED_BYTES, parts.checksums.begin - begin)].data], begin)
        if checksum_of(block[:got]) != sums[number]:
            raise ValueError(f"{_DAMAGED} between byte {begin} and byte {begin + got}")
    seed, index, keys, arena = parts.table
    return _core.vectors_find_tokens(
        descriptor,
        seed=np.frombuffer(os.pread(descriptor, 16, seed.begin), "<u8"),
        index=(index.begin, index.end),
        keys=(keys.begin, keys.end),
        arena=(arena.begin, arena.end),
        tokens=tokens,
    )


def _read_some(descriptor: int, request: Request, array: StoredArray, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    found = np.empty((len(rows), array.dim), request.dtype)
    if request.dtype == array.dtype:
        _core.vectors_read_rows(descriptor, array.start, rows, found, request.threads)
        return found
    step = max(1, _BLOCK_BYTES // max(1, array.dim * array.dtype.itemsize))
    block = np.empty((min(step, len(rows)), array.dim), array.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities and any NaN are as good as others
        for begin in range(0, len(rows), step):
            some = rows[begin : begin + step]
            _core.vectors_read_rows(descriptor, array.start, some, block[: len(some)], request.threads)
            found[begin : begin + step] = block[: len(some)]
    return found
