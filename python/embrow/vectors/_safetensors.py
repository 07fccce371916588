"""A safetensors file -> rows: one that WordVectors.save wrote, or any with one table in it.

Format: github.com/huggingface/safetensors, "Format": a little-endian uint64 header size, a JSON header that gives each
tensor's dtype, shape and bytes, then the bytes, without gaps.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from embrow._container import DTYPES
from embrow.vectors import _indexed
from embrow.vectors._array import StoredArray, load_array
from embrow.vectors._request import Facts, Request
from embrow.vectors._sniff import MAX_SAFETENSORS_HEADER_BYTES
from embrow.vectors._stream import Stream
from embrow.vectors._word_vectors import WordVectors
from embrow.vectors._words import choose_words

# NumPy's and torch's own limit.
_MAX_DIMS = 64
_BFLOAT16 = "BF16"
_VECTORS = ("F16", _BFLOAT16, "F32", "F64", "I8")
# Those of the format that NumPy has not, in bits: only passed over.
_OTHER_BITS = {
    "BOOL": 8,
    _BFLOAT16: 16,
    "C64": 64,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F4": 4,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """`begin` and `end` are bytes of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def as_array(self) -> StoredArray:
        bfloat16 = self.dtype == _BFLOAT16
        return StoredArray(
            self.shape[0],
            self.shape[1],
            np.dtype("<u2" if bfloat16 else DTYPES[self.dtype]),
            self.begin,
            bfloat16=bfloat16,
        )


@dataclass(frozen=True, slots=True)
class Header:
    metadata: dict[str, str]
    tensors: dict[str, Tensor]
    # Where the tensors begin, and end with the file.
    start: int
    end: int


def load(request: Request) -> WordVectors:
    stream = Stream(request.source, request.window)
    header = read_header(stream)
    if _indexed.is_ours(header.metadata):
        if request.tokens is not None:
            raise ValueError("tokens= is for files without words; this one has its own")
        return _indexed.load(request, stream, _indexed.parts_of(header))
    tables = _tables(header)
    if not tables:
        found = _shown(list(header.tensors.values())) or "none"
        dtypes = ", ".join(_VECTORS)
        raise ValueError(f"byte 8: no tensor has two dimensions and elements of {dtypes}; there are {found}")
    choice = choose_words(request, "a safetensors file of others")
    tensor = _choose(tables, choice.total)
    stream.skip(tensor.begin - header.start)
    return load_array(request, tensor.as_array(), choice, ends_file=tensor.end == header.end)


def facts(request: Request) -> Facts:
    header = read_header(Stream(request.source, request.window))
    if _indexed.is_ours(header.metadata):
        array = _indexed.parts_of(header).weight.as_array()
        return Facts(array.rows, array.dim, array.dtype_name)
    tables = _tables(header)
    if len(tables) != 1:
        return Facts(None, None, None)
    array = tables[0].as_array()
    return Facts(array.rows, array.dim, array.dtype_name)


def _tables(header: Header) -> list[Tensor]:
    """Return the tensors that may be vectors."""
    return [tensor for tensor in header.tensors.values() if tensor.dtype in _VECTORS and len(tensor.shape) == 2]


def _choose(tables: list[Tensor], words: int) -> Tensor:
    """Return the only table, or the only one with a row for each word."""
    fitting = tables if len(tables) == 1 else [tensor for tensor in tables if tensor.shape[0] == words]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise ValueError(
            f"none of the {len(tables)} tables has {words} rows, one for each token; there are {_shown(tables)}"
        )
    raise ValueError(
        f"byte 8: {len(fitting)} tables have {words} rows: {_shown(fitting)}; save the one that is meant alone"
    )


def _shown(tensors: list[Tensor]) -> str:
    shown = ", ".join(f"{tensor.name!r:.60} {tensor.dtype} {list(tensor.shape)!s:.60}" for tensor in tensors[:6])
    return shown + (", ..." if len(tensors) > 6 else "")


def read_header(stream: Stream) -> Header:
    """Read and check the header."""
    source = stream.source
    stream.enter("inside its header, before token 0")
    (size,) = stream.fields("Q")
    if size > MAX_SAFETENSORS_HEADER_BYTES:
        raise ValueError(f"byte 0: a header of {size} bytes is too long to be true")
    start = 8 + size
    if start > source.most_bytes:
        raise EOFError(
            f"the header would end at byte {start}, the file has only {source.total}: it ends before token 0"
        )
    text = stream.take(size)
    stream.enter("before token 0")
    try:
        entries = json.loads(text)
        metadata = {str(key): str(value) for key, value in (entries.pop("__metadata__", None) or {}).items()}
        tensors = {name: _tensor(name, entry, start) for name, entry in entries.items()}
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"byte 8: the safetensors header cannot be read ({error!s:.200})") from None
    at = start
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != at:
            raise ValueError(f"byte 8: tensor {tensor.name!r:.60} begins at byte {tensor.begin}, not at {at}")
        at = tensor.end
    if at > source.most_bytes:
        raise EOFError(f"the header declares {at} bytes, the file has {source.total}: it ends before its last token")
    return Header(metadata, tensors, start, at)


def _tensor(name: str, entry: dict[str, Any], start: int) -> Tensor:
    dtype, shape = entry["dtype"], entry["shape"]
    begin, end = entry["data_offsets"]
    if len(shape) > _MAX_DIMS:
        raise ValueError(f"tensor {name!r:.60} has {len(shape)} dimensions, more than {_MAX_DIMS}")
    bits = _OTHER_BITS.get(dtype) or 8 * np.dtype(DTYPES[dtype]).itemsize
    numbers = [*shape, begin, end]
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        raise ValueError(f"tensor {name!r:.60} has numbers that are none")
    if 8 * (end - begin) != math.prod(shape) * bits:
        raise ValueError(f"tensor {name!r:.60} of {dtype} {shape!s:.60} cannot take {end - begin} bytes")
    return Tensor(name, dtype, tuple(shape), start + begin, start + end)
