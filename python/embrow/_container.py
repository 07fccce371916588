"""Arrays with metadata in one file: the safetensors format, plus a checksum.

Format: github.com/huggingface/safetensors, "Format": a little-endian uint64 header size, a JSON header that gives each
array's dtype, shape and bytes, then the bytes. Any safetensors reader opens these files. The "checksum" in the metadata
covers the whole file, itself taken as zeros.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._threads import resolve_num_threads

DTYPES = {
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
ALIGNMENT = 64
UNKNOWN = "0" * 16

Array = npt.NDArray[np.generic]


def pack_arrays(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> npt.NDArray[np.uint8]:
    """Return the bytes of a file of these arrays."""
    # Largest elements first keeps every array aligned to its elements without gaps, which the format does not allow.
    ordered = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    header = header_of(ordered, {**metadata, "checksum": UNKNOWN})
    parts = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in ordered.values()]
    whole = np.concatenate([np.frombuffer(header, dtype=np.uint8), *parts])
    digest = f"{_core.checksum(whole, resolve_num_threads(None)):016x}".encode()
    mark = f'"checksum":"{UNKNOWN}"'.encode()
    at = header.index(mark) + len(mark) - 17
    whole[at : at + 16] = np.frombuffer(digest, dtype=np.uint8)
    return whole


def header_of(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Return what stands before the bytes of arrays that follow one another; they begin at a multiple of ALIGNMENT."""
    entries: dict[str, object] = {"__metadata__": metadata}
    offset = 0
    for name, array in arrays.items():
        entries[name] = {
            "dtype": NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": (offset, offset + array.nbytes),
        }
        offset += array.nbytes
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-(8 + len(header)) % ALIGNMENT)
    return len(header).to_bytes(8, "little") + header


def unpack_arrays(whole: npt.NDArray[np.uint8], name: str, kind: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays, views of `whole`, and the metadata, checked. In `whole` the checksum becomes zeros.

    Raises
    ------
    ValueError
        The bytes are damaged or none of `kind`, the metadata's "format"; the message begins with `name`.
    """
    if whole.size < 8:
        raise ValueError(f"{name}: {whole.size} bytes are too few for a file of format {kind}")
    start = 8 + int(whole[:8].view("<u8")[0])
    if start > whole.size:
        raise ValueError(
            f"{name}: cut short, or no file of format {kind}: the header would end at byte {start} of {whole.size}"
        )
    try:
        entries = json.loads(whole[8:start].tobytes())
        metadata = {str(key): str(value) for key, value in entries.pop("__metadata__").items()}
        if metadata["format"] != kind:
            raise ValueError(f"{name}: format is {metadata['format']!r}, not {kind!r}")
        digest = metadata.pop("checksum")
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{name}: no file of format {kind}, or its header is damaged ({error})") from error
    mark = f'"checksum":"{digest}"'.encode()
    at = 8 + whole[8:start].tobytes().find(mark) + len(mark) - 1 - len(digest)
    whole[at : at + len(digest)] = ord("0")
    found = f"{_core.checksum(whole, resolve_num_threads(None)):016x}"
    if found != digest:
        raise ValueError(f"{name}: damaged: the checksum is {found}, and should be {digest}")
    try:
        arrays = {
            key: whole[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
            .view(DTYPES[entry["dtype"]])
            .reshape(entry["shape"])
            for key, entry in entries.items()
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{name}: the header does not fit the data ({error})") from error
    return arrays, metadata
