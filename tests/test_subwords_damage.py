"""Damaged fastText and finalfusion files end in a result or in a clear error, and nothing else."""

from __future__ import annotations

import gzip
import random
import struct
import tracemalloc
import warnings
from pathlib import Path

import pytest

from embrow.vectors import load_vectors
from fasttext_files import MAGIC, MODELS
from finalfusion_files import FILES
from packed import PACKERS, pack
from vector_files import write

FORMATS = {
    "fasttext": [MODELS[name].to_bytes() for name in ("subwords", "old", "quantised output", "pruned")],
    "finalfusion": [
        FILES[name].to_bytes() for name in ("simple with norms", "buckets", "listed", "quantised, projected")
    ],
}
FILES_OF_BOTH = [(name, number) for name, files in FORMATS.items() for number in range(len(files))]


def check(error: Exception) -> None:
    assert str(error).startswith("load_vectors: ")
    assert "byte" in str(error), error
    assert "token" in str(error), error


@pytest.mark.parametrize(("format", "number"), FILES_OF_BOTH)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("vocab", [None, ["the", "end", "unseen"]])
def test_every_prefix_is_an_error(
    tmp_path: Path, format: str, number: int, packed: bool, vocab: list[str] | None
) -> None:
    data = FORMATS[format][number]
    if packed:
        data = gzip.compress(data)
    # All of the head, where the ways to fail are, and some of the rows. A vocabulary changes only those, and
    # a compressed file's end is found by the decompressor, wherever it is.
    step = 7 if packed else 1 if vocab is None else 5
    sizes = [*range(0, min(len(data), 1200), step), *range(1200, len(data), 37), len(data) - 1]
    for size in sizes:
        with pytest.raises(EOFError) as caught:
            load_vectors(write(tmp_path / "short", data[:size]), vocab, format=format)
        check(caught.value)


@pytest.mark.parametrize(("format", "number"), FILES_OF_BOTH)
def test_flipped_bytes_end_in_a_result_or_a_clear_error(tmp_path: Path, flips: int, format: str, number: int) -> None:
    data = FORMATS[format][number]
    rng = random.Random(5)
    results = 0
    damaged = tmp_path / "damaged"
    load_vectors(write(damaged, data))  # what is imported and cached stays out of the measure
    for i in range(flips):
        # Each tenth is compressed, by each compressor in turn, before the damage and after it.
        how = PACKERS[i // 10 % len(PACKERS)] if i % 10 == 9 else None
        outside = how is not None and i % 20 == 19
        flipped = bytearray(pack(data, how) if outside else data)
        # Heads are few of the bytes and most of the ways to fail.
        at = rng.randrange(min(len(flipped), 1000)) if i % 3 else rng.randrange(len(flipped))
        flipped[at] ^= rng.randrange(1, 256)
        write(damaged, flipped if how is None or outside else pack(bytes(flipped), how))
        if i % 10 == 0:
            tracemalloc.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                load_vectors(damaged, None if i % 2 else ["the", "unseen"], format=format)
        except (EOFError, ValueError) as error:
            assert str(error).startswith("load_vectors: ")
            if not outside:
                check(error)
        else:
            results += 1
        if i % 10 == 0:
            # A window, its copy, and what the file holds.
            assert tracemalloc.get_traced_memory()[1] < (8 << 20) + 16 * len(data), (i, at)
            tracemalloc.stop()
    assert 0.3 < results / flips < 0.95


HEAD = MAGIC + struct.pack("<i", 12)
ARGUMENTS = struct.pack("<12id", 6, 5, 5, 1, 5, 1, 1, 2, 50, 2, 4, 100, 1e-4)


def arguments(**changed: int) -> bytes:
    fields = {"dim": 6, "model": 2, "buckets": 50, "min_chars": 2, "max_chars": 4, **changed}
    return HEAD + struct.pack("<12id", fields["dim"], 5, 5, 1, 5, 1, 1, *list(fields.values())[1:], 100, 1e-4)


def dictionary(entries: int, words: int, labels: int, pruned: int = -1) -> bytes:
    return struct.pack("<3iqq", entries, words, labels, 10, pruned)


ENTRY = b"a\0" + bytes(9)
BIG = 10**12
MALFORMED = [
    (HEAD, EOFError, "the file ends at byte 8, before token 0"),
    (MAGIC + struct.pack("<i", 13) + ARGUMENTS, ValueError, "byte 4: this is version 13 of fastText's files"),
    (arguments(dim=0), ValueError, "byte 8: the header declares vectors of 0"),
    (arguments(buckets=-1), ValueError, "byte 40: the header declares -1 buckets"),
    (arguments(max_chars=300), ValueError, "byte 48: the header declares n-grams of 300 characters; 256 at most"),
    (arguments() + dictionary(3, 1, 1), ValueError, "byte 64: the header declares 1 words and 1 labels, 3 together"),
    (arguments() + dictionary(2 * 10**9, 2 * 10**9, 0), EOFError, "the header declares 2000000000 words and labels"),
    (arguments() + dictionary(1, 1, 0, BIG) + ENTRY, EOFError, "the header declares 1000000000000 buckets kept"),
    (arguments() + dictionary(1, 1, 0) + b"a\0" + bytes(8) + b"\1", ValueError, "byte 102: token 0 has type 1"),
    (arguments() + dictionary(1, 0, 1) + ENTRY, ValueError, "byte 102: token 0 has type 0; words .0. come before"),
    (
        arguments() + dictionary(1, 1, 0) + ENTRY + b"\2",
        ValueError,
        "byte 103: whether the matrix is quantised must be",
    ),
    (
        arguments() + dictionary(1, 1, 0) + ENTRY + b"\0" + struct.pack("<2q", BIG, 6) + bytes(99),
        EOFError,
        r"the header declares 1000000000000 rows of 24 bytes, .* it ends past token 0, in row 4 of the matrix",
    ),
    (
        arguments() + dictionary(1, 1, 0) + ENTRY + b"\0" + struct.pack("<2q", 51, 7) + bytes(99),
        ValueError,
        "the matrix has vectors of 7, the header declares 6",
    ),
    (
        arguments() + dictionary(1, 1, 0) + ENTRY + b"\0" + struct.pack("<2q", 50, 6) + bytes(9999),
        ValueError,
        "the matrix has 50 rows; 1 words and their n-grams need 51",
    ),
    (
        arguments() + dictionary(1, 1, 0, 0) + ENTRY + b"\0" + struct.pack("<2q", 51, 6) + bytes(9999),
        ValueError,
        "buckets are pruned, but the matrix is not quantised",
    ),
    (
        arguments() + dictionary(1, 1, 0, 1) + ENTRY + struct.pack("<2i", 3, -1),
        ValueError,
        "byte 103: a bucket kept has a negative row",
    ),
    (arguments() + dictionary(1, 1, 0) + b"a" * (3 << 20), ValueError, "token 0 is longer than 1048576 bytes"),
]


@pytest.mark.parametrize(("data", "kind", "message"), MALFORMED)
@pytest.mark.parametrize("packed", [False, True])
def test_malformed_fasttext(tmp_path: Path, data: bytes, kind: type[Exception], message: str, packed: bool) -> None:
    if packed and "000 rows" in message:
        message = "the header declares 1000000000000 rows of 24 bytes"
    with pytest.raises(kind, match=message):
        load_vectors(write(tmp_path / "v", gzip.compress(data) if packed and kind is ValueError else data))


def chunks(*kinds: int) -> bytes:
    return b"FiFu" + struct.pack(f"<II{len(kinds)}I", 0, len(kinds), *kinds)


def one_word(array: bytes) -> bytes:
    return chunks(1, 2) + struct.pack("<IQQ", 1, 13, 1) + b"\1\0\0\0a" + array


MALFORMED_FINALFUSION = [
    (b"FiFu" + struct.pack("<II", 1, 0), ValueError, "byte 4: this is version 1 of finalfusion's files"),
    (b"FiFu" + struct.pack("<II", 0, 10**9), ValueError, "byte 8: 1000000000 chunks are too many to be true"),
    (chunks(), ValueError, "byte 12: the header names no chunk for what is missing"),
    (chunks(2, 1) + struct.pack("<IQ", 2, 9), ValueError, "byte 20: a chunk of kind 2 where the vocabulary should be"),
    (chunks(1, 2) + struct.pack("<IQ", 2, 9), ValueError, "byte 20: a chunk of kind 2; the header names 1 here"),
    (chunks(1, 2) + struct.pack("<IQQ", 1, 8, BIG), EOFError, "the header declares 1000000000000 words"),
    (chunks(3, 2) + struct.pack("<IQQIII", 3, 20, 0, 0, 3, 9), ValueError, "declares n-grams of 0 to 3 characters"),
    (chunks(3, 2) + struct.pack("<IQQIII", 3, 20, 0, 1, 3, 60), ValueError, "declares 60 as the number of buckets"),
    (one_word(struct.pack("<IQ", 6, 0)), ValueError, "byte 45: a chunk of kind 6; the header names 2 here"),
    (one_word(struct.pack("<IQQII", 2, 9, 1, 3, 11)), ValueError, "byte 69: elements of type 11; the type 10 is read"),
    (one_word(struct.pack("<IQQII", 2, 9, BIG, 3, 10) + bytes(9)), EOFError, "declares 1000000000000 rows of 12 bytes"),
    (one_word(struct.pack("<IQQII", 2, 9, 0, 3, 10)), ValueError, "the matrix has 0 rows; 1 words .* need 1"),
    (one_word(struct.pack("<IQQII", 2, 9, 1, 0, 10)), ValueError, "the matrix has vectors of 0"),
    (
        chunks(1, 2) + struct.pack("<IQQ", 1, 99, 1) + b"\1\0\0\0a",
        ValueError,
        "byte 45: what the chunk holds ends here, the chunk at 131",
    ),
    (chunks(1, 2) + struct.pack("<IQQ", 1, 13, 1) + b"\xff" * 9, ValueError, "token 0 claims 4294967295 bytes"),
]


@pytest.mark.parametrize(("data", "kind", "message"), MALFORMED_FINALFUSION)
def test_malformed_finalfusion(tmp_path: Path, data: bytes, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_vectors(write(tmp_path / "v", data))


def test_codes_beyond_the_centroids(tmp_path: Path) -> None:
    data = bytearray(FILES["quantised"].to_bytes())
    data[-1] = 16
    with pytest.raises(ValueError, match="byte 856: the codes from here on hold 16, of 16 centroids"):
        load_vectors(write(tmp_path / "v", data))
