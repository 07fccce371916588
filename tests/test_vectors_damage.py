"""Damaged vector files end in a result or in a clear error, and nothing else."""

from __future__ import annotations

import gzip
import random
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from embrow.vectors import load_vectors
from vector_files import FORMATS, SPACED, compress, make, same, write


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("vocab", [None, ["the", "end", ". . ."]])
def test_every_prefix_ends_in_a_result_or_a_clear_error(
    tmp_path: Path, format: str, packed: bool, vocab: list[str] | None
) -> None:
    written = make(tmp_path / "v", format)
    path = compress(tmp_path / "v") if packed else tmp_path / "v"
    data = path.read_bytes()
    short = tmp_path / "short"
    tokens = tmp_path / "v.words" if format == "npy" else None
    short_of = 0
    for size in range(len(data)):
        try:
            found = load_vectors(write(short, data[:size]), vocab, tokens=tokens, format=format)
        except (EOFError, ValueError) as error:
            short_of += isinstance(error, EOFError)
            assert "token" in str(error) or "byte" in str(error), error
            assert str(error).startswith("load_vectors: ")
        else:
            # Only text can be cut where nothing shows it: in a number, or in a token and its numbers.
            assert format in {"glove", "word2vec-text"}
            assert set(found.tokens[:-1]) <= set(written.tokens)
    assert short_of > len(data) * 0.7


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
def test_flipped_bytes_end_in_a_result_or_a_clear_error(tmp_path: Path, format: str, packed: bool) -> None:
    make(tmp_path / "v", format)
    path = compress(tmp_path / "v") if packed else tmp_path / "v"
    data = path.read_bytes()
    rng = random.Random(5)
    tokens = SPACED if format == "npy" else None
    damaged = tmp_path / "damaged"
    for i in range(2000):
        # Headers are few of the bytes and most of the ways to fail.
        at = rng.randrange(min(len(data), 130)) if i % 3 == 0 else rng.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= rng.randrange(1, 256)
        write(damaged, flipped)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                load_vectors(damaged, tokens=tokens if flipped.startswith(b"\x93NUMPY") or packed else None)
        except (EOFError, ValueError) as error:
            assert str(error).startswith("load_vectors: ")


MALFORMED = [
    (b"", "auto", EOFError, "the file is empty"),
    (b"27", "auto", EOFError, "ends at byte 2, inside its header"),
    (b"3 2\na 1 2\nb 3", "auto", EOFError, "the file has only 13 bytes: it ends there, at token 2 or before"),
    (b"2 2\na 1 2\nb 3", "auto", EOFError, r"ends at byte 13, in token 1 \(byte 10: token 1 has 2 fields"),
    (b"2 2\na 1.25 2.25\n", "auto", EOFError, "ends at byte 16, in token 1; its header declares 2 rows of 2"),
    (b"1 2\na 1 2 3\n", "auto", ValueError, "byte 4: token 0 has 4 fields, a token and 2 numbers are needed"),
    (b"2 2\na 1 2\nb 1\n", "auto", ValueError, "byte 10: token 1 has 2 fields"),
    (b"2 2\na 1 2\nb x1 2\n", "auto", ValueError, 'byte 12: token 1, field 0 of its vector is "x1", not a number'),
    (b"2 2\na 1 2\nb 1 2(\n", "auto", ValueError, r'byte 14: token 1, field 1 of its vector is "2\(", not a number'),
    (b"1 1\na nan(1)\n", "auto", ValueError, "not a number"),
    (b"1 1\na +-1\n", "auto", ValueError, "not a number"),
    (b"1 1\na 1_0\n", "auto", ValueError, "not a number"),
    (b"a 1 2\n1 2\n", "auto", ValueError, "byte 6: token 1 has 2 fields, a token and 2 numbers are needed"),
    (b"a 1 2\nb 3 4\nc 5\nd 6 7\n", "auto", ValueError, "byte 12: token 2 has 2 fields"),
    (b"some words\nand more\n", "auto", ValueError, "the format cannot be told from the file"),
    (b"a 1 2\n", "word2vec-text", ValueError, "the header must be two whole numbers"),
    (b"3 0\n", "auto", ValueError, "the header declares vectors of 0"),
    (b"3 99999999\n", "auto", ValueError, "the header declares vectors of 99999999"),
    (b"9" * 30 + b" 4\n", "auto", ValueError, "too large to be true"),
    (b"1000000000000 300\n" + b"a" * 2000, "auto", EOFError, "declares 1000000000000 rows of 300, the file has only"),
    (b"1 4\nabc \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "auto", EOFError, "ends at byte 23, in token 0"),
    (b"\x93NUMPY\x01\0\x76\0{'descr'", "auto", EOFError, "inside its header"),
    (b"\x93NUMPY\x09\0\x76\0{'descr'", "auto", ValueError, "no .npy file of version"),
]


@pytest.mark.parametrize(("data", "format", "kind", "message"), MALFORMED)
def test_malformed(tmp_path: Path, data: bytes, format: str, kind: type[Exception], message: str) -> None:
    path = write(tmp_path / "v", data)
    with pytest.raises(kind, match=message):
        load_vectors(path, format=format, tokens=["a"] if data.startswith(b"\x93") else None)


NPY_HEADERS = [
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1000000000000)}", EOFError, "it ends before token 0"),
    ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}", ValueError, "the array holds object"),
    ("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3)}", ValueError, "the array holds int64"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 1)}", ValueError, "an array of two dimensions"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}", ValueError, "an array of two dimensions"),
    ("{'descr': '<f4', 'shape': (2, 3)}", ValueError, "header cannot be read"),
    ("__import__('os')", ValueError, "header cannot be read"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3)}", ValueError, "there are 2 tokens and 3 rows"),
]


@pytest.mark.parametrize(("header", "kind", "message"), NPY_HEADERS)
def test_malformed_npy(tmp_path: Path, header: str, kind: type[Exception], message: str) -> None:
    data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + bytes(30)
    for packed in (data, gzip.compress(data)):
        with pytest.raises(kind, match=message):
            load_vectors(write(tmp_path / "v", packed), tokens=["a", "b"])


def test_short_npy_names_the_token(tmp_path: Path) -> None:
    for order, token in (("C", 4), ("F", 3)):
        np.save(tmp_path / "v.npy", np.zeros((5, 2), np.float32, order=order))
        data = (tmp_path / "v.npy").read_bytes()[:-8]
        with pytest.raises(EOFError, match="it ends before token 4"):
            load_vectors(write(tmp_path / "s", data), tokens=list("abcde"))
        with pytest.raises(EOFError, match=f"the file ends at byte 160, in token {token}"):
            load_vectors(write(tmp_path / "s", gzip.compress(data)), tokens=list("abcde"))


@pytest.mark.parametrize("format", ["word2vec-binary", "word2vec-text", "npy"])
def test_rows_past_the_declared_warn(tmp_path: Path, format: str) -> None:
    written = make(tmp_path / "v", format)
    data = (tmp_path / "v").read_bytes()
    end = b"" if format == "npy" else b"\n \n"
    with pytest.warns(
        UserWarning, match=f"declares {len(written)} rows; more bytes follow at {len(data) + len(end)} and"
    ):
        found = load_vectors(
            write(tmp_path / "more", data + end + b"more 1 2 3"), tokens=written.tokens if format == "npy" else None
        )
    assert same(found, written.tokens, written.weight)
    load_vectors(tmp_path / "more", limit=3, tokens=written.tokens if format == "npy" else None)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"FiFu\0\0\0\0", "finalfusion"),
        (struct.pack("<ii", 793712314, 12), "fasttext"),
        (b"\x80\x04\x95", "gensim"),
        (struct.pack("<Q", 60) + b'{"weight":', "safetensors"),
    ],
)
def test_formats_not_readable_yet(tmp_path: Path, head: bytes, name: str) -> None:
    message = f"the format '{name}' is not readable yet by this version; it reads word2vec-binary"
    with pytest.raises(ValueError, match=message):
        load_vectors(write(tmp_path / "v", head + bytes(100)))
    with pytest.raises(ValueError, match=message):
        load_vectors(tmp_path / "v", format=name)


@pytest.mark.parametrize(("magic", "name"), [(b"BZh91", "bz2"), (b"\xfd7zXZ\0", "xz"), (b"(\xb5/\xfd", "zst")])
def test_compressions_not_readable_yet(tmp_path: Path, magic: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=f"compressed as {name}, which this version cannot read; decompress it first"):
        load_vectors(write(tmp_path / "v", magic + bytes(40)))


def test_arguments(tmp_path: Path) -> None:
    make(tmp_path / "v", "glove")
    for arguments, message in [
        ({"format": "word2vec"}, "format must be 'auto' or one of word2vec-binary"),
        ({"dtype": "int32"}, "dtype must be float16, float32 or float64, found int32"),
        ({"unicode_errors": "skip"}, "unicode_errors must be strict, ignore or replace, found 'skip'"),
        ({"limit": -1}, "limit must be 0 or more, found -1"),
        ({"num_threads": 0}, "num_threads must be 1 or more, found 0"),
        ({"tokens": ["a"]}, "tokens= belongs to the format 'npy', the file is 'glove'"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_vectors(tmp_path / "v", **arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="vocab must be a Vocab or a sequence of str, found str"):
        load_vectors(tmp_path / "v", "the")
    with pytest.raises(FileNotFoundError):
        load_vectors(tmp_path / "absent")
    np.save(tmp_path / "alone.npy", np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"a .npy array has no words: pass tokens=.*no alone.words here"):
        load_vectors(tmp_path / "alone.npy")
    (tmp_path / "words").write_bytes(b"a\nb\xff\n")
    with pytest.raises(ValueError, match="token 1 is not UTF-8"):
        load_vectors(tmp_path / "alone.npy", tokens=tmp_path / "words")
    assert load_vectors(tmp_path / "alone.npy", tokens=tmp_path / "words", unicode_errors="ignore").tokens == ["a", "b"]
