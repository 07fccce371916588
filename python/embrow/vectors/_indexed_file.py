"""Tokens and rows in one safetensors file that is mapped, not read: what WordVectors.save writes as "safetensors".

    seed, index, keys, arena   the table of the tokens as csrc/vocab/table.h has it in memory, its hash seed included
    checksums                  of seed to arena, one for each CHECKED_BYTES
    weight                     the rows, from a multiple of 64 bytes on

Any safetensors reader opens the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._container import ALIGNMENT, NAMES, header_of
from embrow._threads import resolve_num_threads

FORMAT = "embrow-vectors"
VERSION = "1"
CHECKED_BYTES = 4 << 20
TABLE = ("seed", "index", "keys", "arena")

Bytes = npt.NDArray[np.uint8]


def write_indexed(file: BinaryIO, tokens: Sequence[str], weight: npt.NDArray[Any]) -> None:
    """Write a file of ours.

    Raises
    ------
    ValueError
        Two tokens are the same, or the format has no such dtype.
    """
    if weight.dtype.newbyteorder("<") not in NAMES:
        raise ValueError(f"the format 'safetensors' cannot hold {weight.dtype}")
    weight = np.ascontiguousarray(weight, dtype=weight.dtype.newbyteorder("<"))
    table = {name: part.view(np.uint8) for name, part in _core.VocabTable(list(tokens)).parts().items()}
    checked = sum(table[name].nbytes for name in TABLE)
    table["arena"] = np.concatenate([table["arena"], np.zeros(-checked % ALIGNMENT, np.uint8)])
    checksums = checksums_of(np.concatenate([table[name] for name in TABLE]))
    arrays: dict[str, npt.NDArray[Any]] = {
        "seed": table["seed"].view("<u8"),
        "index": table["index"].view("<u4"),
        "keys": table["keys"].view("<u8").reshape(len(tokens), 2),
        "arena": table["arena"],
        "checksums": checksums,
        "weight": weight,
    }
    file.write(header_of(arrays, {"format": FORMAT, "version": VERSION}))
    for array in arrays.values():
        file.write(array.reshape(-1).view(np.uint8).data)


def checksum_of(block: Bytes) -> int:
    return _core.checksum(block, resolve_num_threads(None))


def checksums_of(checked: Bytes) -> npt.NDArray[np.uint64]:
    """Return one for each block, and zeros to fill a line of ALIGNMENT."""
    sums = np.zeros(sums_for(len(checked)), np.dtype("<u8"))
    for i, at in enumerate(range(0, len(checked), CHECKED_BYTES)):
        sums[i] = checksum_of(checked[at : at + CHECKED_BYTES])
    return sums


def sums_for(checked_bytes: int) -> int:
    return math.ceil(math.ceil(checked_bytes / CHECKED_BYTES) / 8) * 8
