"""Damaged vector files end in a result or in a clear error, and nothing else."""

from __future__ import annotations

import errno
import gzip
import io
import random
import struct
import subprocess
import sys
import threading
import warnings
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embrow._compression import source_of
from embrow.vectors import WordVectors, load_vectors
from packed import PACKERS, pack, with_zip_field
from vector_files import FORMATS, SPACED, WEIGHT, compress, make, same, write

# A format of its own name is not told from a file cut short in its first bytes.
OPTIONS = {"npy": {"tokens": SPACED}, "gensim": {"allow_pickle": True}}


def damaged_file(folder: Path, format: str, packed: str | None) -> tuple[bytes, WordVectors]:
    if format == "gensim":
        written = WordVectors(SPACED, WEIGHT)
        written.to_gensim().save(str(folder / "v"))
    else:
        written = make(folder / "v", format)
    return (compress(folder / "v", packed) if packed else folder / "v").read_bytes(), written


@pytest.mark.parametrize("format", [*FORMATS, "gensim"])
@pytest.mark.parametrize("packed", [None, *PACKERS])
def test_every_prefix_ends_in_a_result_or_a_clear_error(tmp_path: Path, format: str, packed: str | None) -> None:
    data, written = damaged_file(tmp_path, format, packed)
    short = tmp_path / "short"
    options: dict[str, Any] = {"format": format, **OPTIONS.get(format, {})}
    others = []
    # A compressed file's end is found by the decompressor, whatever the format.
    step = 1 if packed is None or format == "word2vec-binary" else 5
    for size in sorted({*range(20), *range(0, len(data), step)}):
        vocab = None if size % 2 else ["the", "end", ". . ."]
        try:
            found = load_vectors(write(short, data[:size]), vocab, **options)
        except (EOFError, ValueError) as error:
            if isinstance(error, ValueError):
                others.append(size)
            assert "token" in str(error) or "byte" in str(error), error
            assert str(error).startswith("load_vectors: ")
        else:
            # Only text can be cut where nothing shows it: in a number, or in a token and its numbers.
            assert format in {"glove", "word2vec-text"}
            assert set(found.tokens[:-1]) <= set(written.tokens)
    if packed is None and format == "glove":
        # One line cut short is no row, and text that declares nothing has no end to miss.
        others = [size for size in others if size > data.index(b"\n")]
    if packed is None and format == "gensim":
        # A pickle may end in any byte that says so.
        others = [size for size in others if data[size - 1 : size] != b"."]
    assert others == []


@pytest.mark.parametrize("packed", PACKERS)
def test_the_first_bytes_of_a_compressed_file(tmp_path: Path, packed: str) -> None:
    data = pack(b"2 300\n" + bytes(random.Random(1).randbytes(999)), packed)
    for size in range(1, 60):
        with pytest.raises(EOFError, match="byte"):
            load_vectors(write(tmp_path / "v", data[:size]))


def test_a_header_cut_short_in_compressed_data(tmp_path: Path) -> None:
    member = pack(b"1000 30", "gzip")
    for data in (member[:-9], member + pack(b"0\na 1", "gzip")[:2], member + pack(b"0\na 1", "gzip")[:12]):
        with pytest.raises(EOFError, match=f"the compressed data end at byte {len(data)} of the file, before their"):
            load_vectors(write(tmp_path / "v", data))


@pytest.mark.parametrize("packed", ["gzip", "bz2", "xz", "zst"])
def test_a_next_stream_cut_short(tmp_path: Path, packed: str) -> None:
    data = pack(b"a 1 2\nb 3 4\n", packed)
    for size in range(1, 20):
        with pytest.raises(EOFError, match=f"the compressed data end at byte {len(data) + size} of the file"):
            load_vectors(write(tmp_path / "v", data + data[:size]))


@pytest.mark.parametrize("format", [*FORMATS, "gensim"])
@pytest.mark.parametrize("packed", [None, *PACKERS])
def test_flipped_bytes_end_in_a_result_or_a_clear_error(
    tmp_path: Path, flips: int, format: str, packed: str | None
) -> None:
    data, _ = damaged_file(tmp_path, format, packed)
    rng = random.Random(5)
    options = OPTIONS.get(format, {})
    damaged = tmp_path / "damaged"
    for i in range(flips):
        # Headers are few of the bytes and most of the ways to fail.
        at = rng.randrange(min(len(data), 130)) if i % 3 == 0 else rng.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= rng.randrange(1, 256)
        write(damaged, flipped)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                load_vectors(damaged, None if i % 2 else ["end", "the"], **options)
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
    ) as met:
        found = load_vectors(
            write(tmp_path / "more", data + end + b"more 1 2 3"), tokens=written.tokens if format == "npy" else None
        )
    assert [warning.filename for warning in met] == [__file__]
    assert same(found, written.tokens, written.weight)
    load_vectors(tmp_path / "more", limit=3, tokens=written.tokens if format == "npy" else None)


def test_zip_archives_of_other_than_one_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "v", "w") as archive:
        archive.writestr("a.txt", "a 1 2")
        archive.writestr("b.txt", "b 1 2")
    with pytest.raises(ValueError, match=r"the zip archive has 2 members, one is needed \(a\.txt, b\.txt\)"):
        load_vectors(tmp_path / "v")
    with zipfile.ZipFile(tmp_path / "v", "w") as archive:
        archive.writestr("folder/", "")
    with pytest.raises(ValueError, match=r"the zip archive has 0 members, one is needed"):
        load_vectors(tmp_path / "v")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("flags", 1, r"the zip data are damaged or unreadable near byte \d+ of the file \(.*encrypted"),
        ("method", 99, r"the zip data are damaged or unreadable near byte \d+ of the file \(.*compression method"),
        ("version", 99, r"the zip archive's directory is damaged or cannot be read \(zip file version 9\.9\)"),
    ],
)
def test_zip_archives_that_cannot_be_read(tmp_path: Path, field: str, value: int, message: str) -> None:
    packed = with_zip_field(pack(b"a 1 2\nb 3 4\n", "zip"), field, value)
    with pytest.raises(ValueError, match=message):
        load_vectors(write(tmp_path / "v", packed))


def test_zip_archives_without_a_directory(tmp_path: Path) -> None:
    packed = pack(b"a 1 2\n", "zip")
    with pytest.raises(EOFError, match=f"the file ends at byte {len(packed) - 1} without a zip archive's directory"):
        load_vectors(write(tmp_path / "v", packed[:-1]))


@pytest.mark.parametrize(("owner", "name"), [(zipfile, "ZipFile"), (zipfile.ZipFile, "open")])
def test_zip_archives_on_a_failing_disk(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """What the system says passes through: nothing is wrong with the file."""
    file = io.BufferedReader(io.BytesIO(pack(b"a 1 2\n", "zip")))  # type: ignore[arg-type]

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(OSError, match="Input/output error"), source_of(file) as source:
        source.more(memoryview(b""), 9)


def test_streams_one_after_another_and_what_follows_them(tmp_path: Path) -> None:
    data = (make(tmp_path / "v", "glove"), (tmp_path / "v").read_bytes())[1]
    for how in ("gzip", "bz2", "xz", "zst"):
        two = pack(data[:99], how) + pack(b"", how) + pack(data[99:], how)
        assert same(load_vectors(write(tmp_path / "p", two)), SPACED, WEIGHT)
        assert same(load_vectors(write(tmp_path / "p", two + bytes(8))), SPACED, WEIGHT)
        with pytest.raises(ValueError, match=f"other bytes follow the {how} data near byte {len(two) + 5} of the file"):
            load_vectors(write(tmp_path / "p", two + b"other"))
        with pytest.raises(EOFError, match=f"the compressed data end at byte {len(two) - 9} of the file, before their"):
            load_vectors(write(tmp_path / "p", two[:-9]))


def test_packages_for_a_compression_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression", None)
    monkeypatch.setitem(sys.modules, "backports", None)
    with pytest.raises(ImportError, match=r"the file is compressed with zstd: pip install backports\.zstd"):
        load_vectors(write(tmp_path / "p", pack(b"a 1 2\n", "zst")))


@pytest.mark.parametrize(("how", "name", "module"), [("bz2", "bzip2", "bz2"), ("xz", "xz", "lzma")])
def test_a_python_built_without_a_compression(tmp_path: Path, how: str, name: str, module: str) -> None:
    path = write(tmp_path / "p", pack(b"a 1 2\n", how))
    code = f"""
import sys
sys.modules["_{module}"] = None
import embrow
embrow.load_vectors({str(path)!r})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = f"the file is compressed with {name}, and this Python was built without {module}"
    assert run.stderr.rstrip().endswith(f"ImportError: {told}"), run.stderr


def test_no_thread_is_left(tmp_path: Path) -> None:
    lines = b"a 1 2\n" * 10**6
    for data, message in [
        (lines, None),
        (lines[:-2], "token 999999 has 2 fields"),
        (b"b 1 2\n\xff 1 2\n" + lines, "UTF-8"),
    ]:
        path = write(tmp_path / "v", pack(data, "gzip"))
        with pytest.raises((EOFError, ValueError), match=message) if message else nullcontext():
            load_vectors(path)
        load_vectors(path, limit=1)
    assert [thread.name for thread in threading.enumerate() if "embrow" in thread.name] == []


def test_arguments(tmp_path: Path) -> None:
    make(tmp_path / "v", "glove")
    for arguments, message in [
        ({"format": "word2vec"}, "load_vectors: format must be 'auto' or one of word2vec-binary"),
        ({"dtype": "int32"}, "dtype must be float16, float32 or float64, found int32"),
        ({"unicode_errors": "skip"}, "unicode_errors must be strict, ignore or replace, found 'skip'"),
        ({"limit": -1}, "limit must be 0 or more, found -1"),
        ({"num_threads": 0}, "num_threads must be 1 or more, found 0"),
        ({"tokens": ["a"]}, "tokens= belongs to the formats 'safetensors', 'npy'; the file is 'glove'"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_vectors(tmp_path / "v", **arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="load_vectors: limit: 'str' object cannot be interpreted as an integer"):
        load_vectors(tmp_path / "v", limit="3")  # type: ignore[arg-type]
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
