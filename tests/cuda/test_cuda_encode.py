"""Encoding on the device: the CPU's ids for any text, framed, cut and padded the same."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from encoding import Encoding

from embrow import Vocab

TILE = 2048  # csrc/encode/encode_cuda.h
# Of a block that writes ids and of one that counts tokens, csrc/encode/encode_kernels.cuh.
BLOCK_TILES = [8, 16]
SPACES = [chr(i) for i in range(0x110000) if chr(i).isspace()]
# Code points whose bytes are nearly those of a space, and others of each length.
NOT_SPACES = "\x00\x08\x0e\x1b\x21\x7f\x84\x86\x9f\xa1\u1681\u167f\u1a80\u200b\u2010\u202a\u202e\u2030\u205e\u2060"
NOT_SPACES += "\u2fff\u3001\u3040é漢\ufeff🙂\U0010ffff"


def words(seed: int, count: int, longest: int = 40) -> list[str]:
    """Different tokens of 1 to `longest` bytes, short ones more often."""
    random = np.random.default_rng(seed)
    made: dict[str, None] = {}
    while len(made) < count:
        size = int(random.integers(1, longest + 1) if random.random() < 0.3 else random.integers(1, 8))
        made["".join(random.choice(list("abcdeé漢\x00"), size))] = None
    return list(made)


TOKENS = words(0, 300)
VOCAB = Vocab(["<pad>", "<unk>", "<s>", "</s>", *TOKENS])


def text(seed: int, size: int) -> str:
    """Known and unknown tokens between one or more spaces of any kind, about `size` bytes."""
    random = np.random.default_rng(seed)
    others = words(seed + 1, 30)
    parts: list[str] = []
    bytes_made = 0
    while bytes_made < size:
        part = str(random.choice(TOKENS if random.random() < 0.8 else others))
        usual = random.random() < 0.7
        part += " " if usual else "".join(random.choice(SPACES, random.integers(1, 4)))
        parts.append(part)
        bytes_made += len(part.encode())
    return "".join(parts)


ROWS = [text(seed, size) for seed, size in enumerate([300, 0, 1, 2047, 40, 0, 0, 5000, 7, 130, 16, 600, 0])]
FRAME = {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding_side": "left", "dtype": "int32", **FRAME},
        {"max_length": 11, "bos_token": "<s>"},
        {"max_length": 40, "truncation_side": "left", "eos_token": "</s>", "dtype": "int32"},
        {"max_length": 1100, "truncation_side": "left", "padding_side": "left"},
        {"max_length": 2, **FRAME},
        {"max_length": 0},
    ],
    ids=str,
)
def test_rows_of_any_text(options: dict[str, Any], device: ModuleType, kernels: ModuleType) -> None:
    Encoding(VOCAB, ROWS, options).check(device, kernels)


@pytest.mark.parametrize("truncation_side", ["left", "right"])
@pytest.mark.parametrize("max_length", [100, 3000])
def test_long_rows_are_split_over_warps(
    max_length: int, truncation_side: str, device: ModuleType, kernels: ModuleType
) -> None:
    rows = ["a b", text(5, 20_000), "", text(6, 9000)]
    Encoding(VOCAB, rows, {"max_length": max_length, "truncation_side": truncation_side}).check(device, kernels)


def test_more_tiles_than_are_summed_at_once(device: ModuleType, kernels: ModuleType) -> None:
    run = "x" * (TILE - 2)
    row = f"a b {run} " * 1030
    Encoding(Vocab(["<pad>", "<unk>", "a", "b", run]), [row, "b", row[:5000]], {"dtype": "int32"}).check(
        device, kernels
    )


def test_every_code_point_that_begins_as_a_space_does(device: ModuleType, kernels: ModuleType) -> None:
    near = [*range(0x100), *range(0x1000, 0x4000)]
    row = "".join(f"a{chr(point)}" for point in near)
    Encoding(Vocab(["<pad>", "<unk>", "a"]), [row]).check(device, kernels)


@pytest.mark.parametrize("shift", range(17))
@pytest.mark.parametrize("tiles", [1, *BLOCK_TILES])
def test_spaces_at_every_place_of_a_tile(tiles: int, shift: int, device: ModuleType, kernels: ModuleType) -> None:
    parts = [f"b{space}" for space in SPACES] + [f"b{other} " for other in NOT_SPACES]
    around = "x" * (tiles * TILE - 40 - shift) + "".join(parts)
    Encoding(VOCAB, ["a" * shift, *parts[::3], around]).check(device, kernels)


@pytest.mark.parametrize("space", [" ", "\x85", "\u3000"])
@pytest.mark.parametrize("tiles", [1, *BLOCK_TILES])
def test_tokens_that_cross_tiles(tiles: int, space: str, device: ModuleType, kernels: ModuleType) -> None:
    long = ["q" * size for size in (1, 7, 8, 15, 16, 17, 31, 33, 64, 300, 2049, 5000)]
    vocab = Vocab(["<pad>", "<unk>", *long])
    # The space after each token lies at the places around the tile's and its window's end in turn.
    rows = ["a" * (tiles * TILE - (size + near)) + space for size in (1, 15, 16, 33, 300) for near in (0, 2)]
    at_ends = []
    for row, token in zip(rows, ["q", "q" * 15, "q" * 16, "q" * 33, "q" * 300] * 2, strict=True):
        at_ends += [row + token + space + token]
    Encoding(vocab, [*at_ends, *(space.join((token, token + "q", token)) for token in long)]).check(device, kernels)


@pytest.mark.parametrize("size", [1, 15, 16, 31, 33, 300, 2049, 5000])
@pytest.mark.parametrize("space", [" ", "\u3000"])
def test_tokens_that_cross_into_tiles_that_no_row_keeps(
    space: str, size: int, device: ModuleType, kernels: ModuleType
) -> None:
    token = "q" * size
    vocab = Vocab(["<pad>", "<unk>", token, "r"])
    for near in range(4):
        # The last token that is kept is the last that starts in its tile, and reaches out of it or ends with it.
        end = TILE * (1 + size // TILE)
        first = "a" * (end - max(1, size - 30) - near - len(space.encode()))
        row = space.join([first, token, *["r"] * (3 * TILE), token])
        kept = 1 + (len(first) + len(space.encode()) < end)
        for side in ("right", "left"):
            options = {"max_length": kept, "truncation_side": side}
            Encoding(vocab, [row, "q r", row, row], options).check(device, kernels)


@pytest.mark.parametrize(
    "size", [TILE - 34, TILE - 1, TILE, TILE + 1, TILE + 29, TILE + 30, TILE + 31, TILE + 32, TILE + 33]
)
def test_rows_that_end_around_a_tile(size: int, device: ModuleType, kernels: ModuleType) -> None:
    rows = ["a" * (size - 5), "bcd", "e", "ab", "", "\u3000", "c d"]
    Encoding(Vocab(["<pad>", "<unk>", "a" * (size - 5), "bcd", "e", "ab"]), rows).check(device, kernels)


def test_rows_without_spaces_between_them(device: ModuleType, kernels: ModuleType) -> None:
    rows = ["a", "b", "c", "", "d", "e\x00", "é"] * 450
    Encoding(VOCAB, rows, {"dtype": "int32"}).check(device, kernels)


@pytest.mark.parametrize("rows", [[], [""], ["", ""], [" "] * 70, ["a"], [" a"], ["a" * 16], ["\u3000" * 700]])
def test_few_and_empty_rows(rows: list[str], device: ModuleType, kernels: ModuleType) -> None:
    Encoding(VOCAB, rows).check(device, kernels)
    Encoding(VOCAB, rows, {"max_length": 5, **FRAME}).check(device, kernels)


@pytest.mark.parametrize("width", [1, 3, 33, 1025, 2500])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_widths_of_padding(width: int, padding_side: str, device: ModuleType, kernels: ModuleType) -> None:
    rows = ["a b", "", "a " * 40]
    Encoding(VOCAB, rows, {"max_length": width, "padding_side": padding_side}).check(device, kernels)


def test_the_longest_of_many_rows_may_be_any(device: ModuleType, kernels: ModuleType) -> None:
    lengths = np.random.default_rng(0).permutation(600)
    for order in (lengths, np.sort(lengths), np.sort(lengths)[::-1]):
        Encoding(VOCAB, ["a " * int(length) for length in order], {"dtype": "int32"}).check(device, kernels)


def test_tokens_whose_hashes_share_slots(device: ModuleType, kernels: ModuleType) -> None:
    tokens = words(3, 700)
    Encoding(Vocab(tokens[:513], unk_token=tokens[0], pad_token=tokens[1]), [" ".join(tokens)]).check(device, kernels)


@pytest.mark.parametrize("max_length", [0, 1, 500])
def test_the_first_unknown_token_is_recorded(max_length: int, device: ModuleType, kernels: ModuleType) -> None:
    vocab = Vocab(["<pad>", *TOKENS], unk_token=None)
    known = " ".join(TOKENS[:200])
    rows = [known, f"{known}  {'u' * 50} v {known}", f"w {known} w"]
    found = Encoding(vocab, rows, {"max_length": max_length}).cuda(device, kernels)
    assert found.unknown == len((known + known).encode()) + 2
    assert Encoding(vocab, rows[:1], {"max_length": max_length}).cuda(device, kernels).unknown == -1


def test_kernels_refuse_rows_wider_than_the_rectangle(device: ModuleType, kernels: ModuleType) -> None:
    for max_length in (0, 1):
        with pytest.raises(ValueError, match=f"^max_length is {max_length}, which has no room for bos_token and eos_"):
            kernels.count_tokens(0, 0, 0, 1, 2, 3, max_length, False, 0, 0, 0, 0)
    memory = device.to_device(np.zeros(64, np.uint8)).ptr
    table = kernels.DeviceTable(memory, 1, memory, memory, 0, 0, 0)
    for width, max_length, message in ((9, 1, "which has no room for"), (4, 5, "rows of up to 5 ids are wider than")):
        with pytest.raises(ValueError, match=message):
            kernels.encode_padded(table, 0, 0, 0, 1, 2, 3, max_length, False, 1, width, 0, False, True, 0, 0, 0, 0, 0)


def test_more_rows_than_a_gpu_takes(kernels: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^encode: 2147483647 rows; a GPU takes at most 2147483646 at once$"):
        kernels.count_tokens(0, 0, 0, 2**31 - 1, -1, -1, -1, False, 0, 0, 0, 0)
