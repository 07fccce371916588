"""A .npy array and its words -> rows."""

from __future__ import annotations

import ast

import numpy as np

from embrow.vectors._array import StoredArray, load_array
from embrow.vectors._request import Facts, Request
from embrow.vectors._source import Window
from embrow.vectors._word_vectors import WordVectors
from embrow.vectors._words import choose_words

_MAX_HEADER_BYTES = 64 << 10


def load(request: Request) -> WordVectors:
    choice = choose_words(request, "a .npy array")
    return load_array(request, read_header(request.window), choice)


def facts(request: Request) -> Facts:
    array = read_header(request.window)
    return Facts(array.rows, array.dim, array.dtype_name)


def read_header(window: Window) -> StoredArray:
    """Read shape, dtype and order of a .npy file, versions 1 to 3 (NEP 1), and pass over them."""
    if not window.size:
        window.fill()
    head = window.peek(12)
    size_bytes = 2 if head[6:7] == b"\x01" else 4
    prefix = 8 + size_bytes
    if len(head) < prefix:
        raise EOFError(f"the file ends at byte {len(head)}, inside its header, before token 0")
    if not head.startswith(b"\x93NUMPY") or head[6] not in (1, 2, 3):
        raise ValueError("byte 0: this is no .npy file of version 1, 2 or 3")
    size = int.from_bytes(head[8:prefix], "little")
    if size > _MAX_HEADER_BYTES:
        raise ValueError(f"byte 8: a header of {size} bytes is too long to be true")
    text = window.peek(prefix + size)[prefix:]
    if len(text) < size:
        raise EOFError(f"the file ends at byte {prefix + len(text)}, inside its header, before token 0")
    try:
        fields = ast.literal_eval(text.decode("latin1").strip())
        dtype = np.dtype(fields["descr"])
        fortran = bool(fields["fortran_order"])
        shape = fields["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise ValueError(f"byte {prefix}: the .npy header cannot be read") from None
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise ValueError(f"byte {prefix}: vectors must be float16, float32 or float64, the array holds {dtype}")
    if not isinstance(shape, tuple) or len(shape) != 2 or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"byte {prefix}: vectors must be an array of two dimensions, the header says {shape!r:.60}")
    window.use(prefix + size)
    return StoredArray(shape[0], shape[1], dtype, prefix + size, fortran)
