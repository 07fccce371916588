"""Headers that say anything: their fields changed one by one end in a result or in a clear error, in little memory."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embrow.vectors import WordVectors, info, load_vectors
from packed import pack
from vector_files import SPACED, WEIGHT, make, write

NUMBERS = [-(2**63), -1, 0, 1, 2, 6, 14, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**61, 2**62, 2**63, 2**64, 10**40]
OTHERS = [None, True, False, 1.5, 1e308, "", "6", "x" * 300, [], [[]], {}, {"a": 1}, [0, 1], [6] * 70]
DTYPES = ["F16", "BF16", "F32", "F64", "I8", "U8", "I64", "BOOL", "F4", "f32", "F31", "<f2", "<f4", ">f8", "<f16"]
DTYPES += ["|O", "<U9", "|V9", "<M8[ns]", "<i4", "?", ",", "(9,)<f4", "f4,f4", "<f4\0", "\ud800"]


def changed(value: Any, rng: random.Random) -> Any:
    """Return the tree of dicts, lists and scalars with one change somewhere in it."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = rng.choice(keys)
        copy = value.copy()
        how = rng.randrange(12)
        if how == 0:
            del copy[key]
        elif how == 1:  # another's value
            copy[key] = value[rng.choice(keys)]
        elif how == 2 and isinstance(copy, dict):
            copy[rng.choice([*keys, "weight", "__metadata__", "new"])] = copy.pop(key)
        elif how == 3 and isinstance(copy, list):
            copy.insert(key, rng.choice(NUMBERS))
        elif how == 4 and isinstance(copy, list):
            copy.reverse()
        else:
            copy[key] = changed(value[key], rng)
        return copy
    if isinstance(value, int) and rng.random() < 0.5:
        return value + rng.choice([-64, -8, -1, 1, 8, 64])
    return rng.choice(rng.choice([NUMBERS, NUMBERS, DTYPES, OTHERS]))


def sized(text: bytes, layout: str, rng: random.Random) -> bytes:
    """Return the text with its size before it, seldom another one."""
    most = 256 ** struct.calcsize(layout) - 1
    size = rng.choice([*NUMBERS, len(text) - 1, len(text) + 1, most]) if rng.random() < 0.1 else len(text)
    return struct.pack("<" + layout, min(max(size, 0), most)) + text


def changed_npy(data: bytes, rng: random.Random) -> bytes:
    size = int.from_bytes(data[8:10], "little")
    fields: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": list(WEIGHT.shape)}
    for _ in range(rng.choice([1, 1, 2, 3])):
        fields = changed(fields, rng) or fields
    text = repr(fields)
    if rng.random() < 0.8:  # else the shape is a list
        text = text.replace("[", "(").replace("]", ",)").replace("(,)", "()")
    version = rng.choice([1, 1, 1, 2, 3, 0, 4])
    packed = text.encode("utf-8" if version == 3 else "latin1", "replace")
    return b"\x93NUMPY" + bytes([version, 0]) + sized(packed, "H" if version == 1 else "I", rng) + data[10 + size :]


def changed_safetensors(data: bytes, rng: random.Random) -> bytes:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for _ in range(rng.choice([1, 1, 2, 3])):
        header = changed(header, rng)
    text = json.dumps(header, separators=(",", ":")).encode()
    # As long as before, where it can be, so that the tensors stay where they are aligned.
    return sized(text.ljust(size), "Q", rng) + data[8 + size :]


def of_others(data: bytes) -> bytes:
    """Return a file that says nothing of tokens."""
    rows = {"dtype": "F32", "shape": list(WEIGHT.shape), "data_offsets": [32, 32 + WEIGHT.nbytes]}
    text = json.dumps({"ids": {"dtype": "I64", "shape": [4], "data_offsets": [0, 32]}, "table": rows}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(32) + WEIGHT.tobytes()


FILES: dict[str, tuple[str, Callable[[bytes], bytes], Callable[[bytes, random.Random], bytes]]] = {
    "npy": ("npy", bytes, changed_npy),
    "safetensors": ("safetensors", bytes, changed_safetensors),
    "safetensors of others": ("safetensors", of_others, changed_safetensors),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [None, "gzip"])
def test_changed_fields_end_in_a_result_or_a_clear_error(
    tmp_path: Path, flips: int, name: str, packed: str | None
) -> None:
    format, made_of, change = FILES[name]
    make(tmp_path / "v", format)
    data = made_of((tmp_path / "v").read_bytes())
    rng = random.Random(9)
    damaged = tmp_path / "damaged"
    options: dict[str, Any] = {"format": format, "tokens": None if name == "safetensors" else SPACED}
    load_vectors(write(damaged, data), **options)  # what is imported and cached stays out of the measure
    results = 0
    for i in range(2 * flips):
        stored = change(data, rng)
        write(damaged, pack(stored, packed) if packed else stored)
        wanted = None if i % 2 else ["end", "the"]
        tracemalloc.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = load_vectors(damaged, wanted, **options)
                results += 1
                assert len(found.tokens) == len(found.weight) <= len(SPACED)
                info(damaged, format=format)
        except (EOFError, ValueError) as error:
            assert str(error).startswith("load_vectors: ")
            assert "byte" in str(error) or "token" in str(error), error
            assert len(str(error)) < 1000
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        # A window, its copy and a block; a byte of gzip may become 1032.
        assert peak < (12 << 20) + (1032 if packed else 16) * len(data), (i, stored[:500])
    assert results > 0.02 * 2 * flips


@pytest.mark.parametrize("first", [b"Rn\n\xbe", b"5\n\x10\xbe", b" 12\n", b"\n\n\n\xbe", b"0\n1\n", b"12\n\xbe"])
@pytest.mark.parametrize("dim", [2, 3, 50])
def test_float32_whose_bytes_look_like_a_line_is_none(first: bytes, dim: int, tmp_path: Path) -> None:
    weight = np.full((3, dim), -0.3, np.float32)
    weight[:, -1] = 1e-3  # it has a byte that no text has
    weight[0, 0] = np.frombuffer(first, np.float32)[0]
    WordVectors(["a", "b", "c"], weight).save(tmp_path / "v.bin", format="word2vec-binary")
    assert np.array_equal(load_vectors(tmp_path / "v.bin").weight, weight)


@pytest.mark.parametrize("row", ["a 1 2", "a 1 x 3", "a", "a x"])
def test_a_faulty_line_of_text_is_no_float32(row: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_text(f"2 3\n{row}\né 3.000000 4.000000 5.000000\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"byte \d+: token 0"):
        load_vectors(tmp_path / "v")


@pytest.mark.parametrize("row", ["São 1 2 3", "a\x01 1 2 3", "a\t1 2 3", "a\t1\t2\t3"])
def test_a_line_of_text_is_no_float32(row: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_text(f"1 3\n{row}\n", encoding="utf-8")
    assert load_vectors(tmp_path / "v").weight.tolist() == [[1, 2, 3]]
