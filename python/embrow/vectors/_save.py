"""Tokens and rows -> a file, under a temporary name until it is whole."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._files import settle, written_atomically
from embrow.vectors._indexed_file import write_indexed
from embrow.vectors._sniff import FINALFUSION_MAGIC, MAX_DIM
from embrow.vectors._words import refuse_surrogates, words_path

_BY_SUFFIX = {
    ".bin": "word2vec-binary",
    ".vec": "word2vec-text",
    ".npy": "npy",
    ".safetensors": "safetensors",
    ".fifu": "finalfusion",
}
# What a token must not hold, and how to say it.
_REFUSED = {
    "word2vec-binary": (re.compile(r" |\A\n"), "a space, or starts with a line end"),
    "word2vec-text": (re.compile(r"[ \t\n\r]"), "a space, tab or line end"),
    "glove": (re.compile(r"\n|[ \t]\Z"), "a line end, or ends with a space or tab"),
    "npy": (re.compile(r"\n|\r\Z"), "a line end"),
    "safetensors": None,
    "finalfusion": None,
}
FORMATS = tuple(_REFUSED)
# Whose files start with a token, which must not look like a byte order mark.
_STARTS_WITH_TOKEN = ("glove", "npy")
_OF_ANY_SHAPE = ("npy", "safetensors")
_BLOCK_BYTES = 4 << 20


def save_format(path: str | os.PathLike[str], format: str | None) -> str:
    """Return the format to write, which the suffix names unless it is given."""
    if format is None:
        suffix = Path(path).suffix
        if suffix not in _BY_SUFFIX:
            raise ValueError(f"save: the suffix {suffix!r} names no format; pass format=, one of {', '.join(FORMATS)}")
        return _BY_SUFFIX[suffix]
    if format not in FORMATS:
        raise ValueError(f"save: format must be one of {', '.join(FORMATS)}, found {format!r}")
    return format


def save_vectors(path: str | os.PathLike[str], format: str | None, tokens: list[str], weight: npt.NDArray[Any]) -> None:
    path = Path(path)
    format = save_format(path, format)
    refused = _REFUSED[format]
    for number, token in enumerate(tokens if refused else ()):
        if refused and refused[0].search(token):
            raise ValueError(f"save: token {number} holds {refused[1]}, which the format {format!r} cannot")
    rows, dim = weight.shape
    if format not in _OF_ANY_SHAPE and not 1 <= dim <= MAX_DIM:
        raise ValueError(f"save: the format {format!r} holds vectors of 1 to {MAX_DIM}, these are of {dim}")
    if format == "glove" and rows == 0:
        raise ValueError("save: the format 'glove' cannot hold 0 rows: the file would be empty")
    if format == "npy" and weight.dtype.itemsize > 8:
        raise ValueError(f"save: the format 'npy' cannot hold {weight.dtype}")
    if format in _STARTS_WITH_TOKEN and tokens and tokens[0].startswith("\ufeff"):
        raise ValueError(f"save: token 0 starts with a byte order mark, which the format {format!r} cannot")
    try:
        _write(path, format, tokens, weight)
    except UnicodeEncodeError:
        refuse_surrogates(tokens, "save")
        raise


def _write(path: Path, format: str, tokens: list[str], weight: npt.NDArray[Any]) -> None:
    if format == "npy":
        words = words_path(path)
        if path.suffix == words.suffix:
            raise ValueError("save: the suffix .words is the word list's; give the array another name")
        with (
            written_atomically(path, as_stream=False) as array_file,
            written_atomically(words, as_stream=False) as words_file,
        ):
            head = {"descr": weight.dtype.str, "fortran_order": False, "shape": weight.shape}
            np.lib.format.write_array_header_1_0(array_file, head)
            # Not by NumPy, which does not tell why writing fails.
            step = max(1, _BLOCK_BYTES // max(1, weight.shape[1] * weight.itemsize))
            for begin in range(0, len(weight), step):
                array_file.write(np.ascontiguousarray(weight[begin : begin + step]).data)
            words_file.write("".join(token + "\n" for token in tokens).encode())
            settle(array_file)
            settle(words_file)
        return
    with written_atomically(path) as file:
        if format == "safetensors":
            try:
                write_indexed(file, tokens, weight)
            except ValueError as error:
                raise ValueError(f"save: {error}") from None
            return
        if format == "finalfusion":
            file.write(_finalfusion_head(tokens, weight.shape[1]))
            for _, block in _blocks(tokens, weight, format):
                file.write(block.data)
            return
        if format != "glove":
            file.write(b"%d %d\n" % weight.shape)
        for block_tokens, block in _blocks(tokens, weight, format):
            rows = _core.vectors_binary_rows if format == "word2vec-binary" else _core.vectors_text_rows
            file.write(rows(block_tokens, block))


def _blocks(tokens: list[str], weight: npt.NDArray[Any], format: str) -> Iterator[tuple[list[str], npt.NDArray[Any]]]:
    # By size: a float64 of the other byte order is not equal to np.float64.
    wide = weight.dtype.itemsize >= 8 and format not in ("word2vec-binary", "finalfusion")
    dtype = np.float64 if wide else np.float32
    step = max(1, _BLOCK_BYTES // max(1, weight.shape[1] * 8))
    for begin in range(0, len(tokens), step):
        yield tokens[begin : begin + step], np.ascontiguousarray(weight[begin : begin + step], dtype=dtype)


def _finalfusion_head(tokens: list[str], dim: int) -> bytes:
    """Return what stands before the rows in a file of a simple vocabulary and an array (finalfusion.github.io/spec)."""
    vocabulary, array, float32 = 1, 2, 10
    words = b"".join(struct.pack("<I", len(word)) + word for word in (token.encode() for token in tokens))
    head = struct.pack("<4sIIII", FINALFUSION_MAGIC, 0, 2, vocabulary, array)
    head += struct.pack("<IQQ", vocabulary, 8 + len(words), len(tokens)) + words
    # Up to four bytes, and four where none are missing, as finalfusion's libraries pad.
    padding = 4 - (len(head) + 28) % 4
    size = 16 + padding + 4 * dim * len(tokens)
    return head + struct.pack(f"<IQQII{padding}x", array, size, len(tokens), dim, float32)
