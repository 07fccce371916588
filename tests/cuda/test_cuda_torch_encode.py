"""Vocab.encode and pad_sequences on a GPU: what the CPU returns, and its errors."""

from __future__ import annotations

import pickle
import re
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from embrow import Ragged, Vocab, _gpu_encode, pad_sequences

TEXTS = ["to be or", "", "not\u2003to bé", "漢 be 🙂", "ïs a\x85b to \xa0 be", "be " * 900, "\x00 to"]
VOCAB = Vocab(["<pad>", "<unk>", "<s>", "to", "be", "bé", "漢", "🙂", "ïs", "\x00", "a" * 20])
STRICT = Vocab(["<pad>", "to", "be"], unk_token=None)
UNPADDED = Vocab(["to", "be", "<unk>"])


def check(vocab: Vocab, texts: Any, gpu: torch.device, again: Any = None, **options: Any) -> None:
    ids, lengths = vocab.encode(texts, device=gpu, return_lengths=True, **options)
    expected, expected_lengths = vocab.encode(texts if again is None else again, return_lengths=True, **options)
    assert ids.device == lengths.device == gpu
    np.testing.assert_array_equal(ids.cpu().numpy(), expected)
    assert ids.cpu().numpy().dtype == expected.dtype
    np.testing.assert_array_equal(lengths.cpu().numpy(), expected_lengths)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_length": 3, "bos_token": "<s>", "truncation_side": "left", "dtype": "int32"},
        {"padding_side": "left", "pad_to_multiple_of": 64, "num_threads": 1},
    ],
    ids=str,
)
def test_text_of_every_kind(options: dict[str, Any], gpu: torch.device) -> None:
    kinds = [
        TEXTS,
        tuple(TEXTS),
        [row.encode() for row in TEXTS],
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS, dtype=np.dtypes.StringDType()),
        TEXTS * 50,
        [],
    ]
    for texts in kinds:
        check(VOCAB, texts, gpu, **options)
    check(VOCAB, iter(TEXTS), gpu, TEXTS, **options)
    assert VOCAB.encode(["to be"], device=gpu).tolist() == [[3, 4]]


def test_rows_of_a_dictionary(gpu: torch.device) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    check(VOCAB, pyarrow.array([*TEXTS, *TEXTS[::-1]]).dictionary_encode(), gpu)


def test_nulls(gpu: torch.device) -> None:
    check(VOCAB, [None, "to", None], gpu, nulls="empty")


@pytest.mark.parametrize("texts", [TEXTS, [row.split() for row in TEXTS]], ids=["text", "tokens"])
def test_encoding_into_a_tensor(texts: list[Any], gpu: torch.device) -> None:
    expected, expected_lengths = VOCAB.encode(texts, max_length=9, return_lengths=True)
    out = torch.empty(len(TEXTS), 9, dtype=torch.int64, device=gpu)
    for options in ({}, {"device": gpu}):
        version = out.fill_(-1)._version
        found, lengths = VOCAB.encode(texts, max_length=9, return_lengths=True, out=out, **options)
        assert found is out
        assert out._version > version
        np.testing.assert_array_equal(out.cpu().numpy(), expected)
        np.testing.assert_array_equal(lengths.cpu().numpy(), expected_lengths)
    for wrong in (out[:, :5], out.int(), torch.empty(9, len(TEXTS), dtype=torch.int64, device=gpu).t(), out[:2]):
        with pytest.raises(
            ValueError, match=r"^encode: out must be a contiguous tensor of torch\.int64 on .* shape \(7, 9\)"
        ):
            VOCAB.encode(texts, max_length=9, out=wrong)
    with pytest.raises(ValueError, match=r"^out lies on .*, so the result cannot lie on device meta$"):
        VOCAB.encode(texts, max_length=9, out=out, device="meta")


def test_what_the_cpu_encodes(gpu: torch.device) -> None:
    check(VOCAB, [["to", "be"], ["a b"]], gpu)
    check(VOCAB, iter([["to", "be"]]), gpu, [["to", "be"]])
    for options in ({"lowercase": True}, {"tokenizer": "words"}, {"tokenizer": str.split}):
        check(Vocab(VOCAB.tokens, **options), TEXTS, gpu)
    values, offsets = VOCAB.encode_ragged(TEXTS, device=gpu)
    assert values.device == offsets.device == gpu


@pytest.mark.parametrize(
    ("vocab", "texts"),
    [
        (VOCAB, ["to", b"b\xff"]),
        (VOCAB, ["to", "b", "\ud800", "\udfff"]),
        (VOCAB, ["to", None]),
        (VOCAB, ["to", 3]),
        (VOCAB, "to"),
        (VOCAB, 5),
        (STRICT, ["to be", "", "be \u3000 é be", "no"]),
        (STRICT, ["to " + "ab" * 80 + "\u3000"]),
        (UNPADDED, ["to be", "be", "to be"]),
    ],
    ids=repr,
)
def test_errors(vocab: Vocab, texts: Any, gpu: torch.device) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)) as expected:
        vocab.encode(texts)
    with pytest.raises(expected.type, match=f"^{re.escape(str(expected.value))}$"):
        vocab.encode(texts, device=gpu)


def test_rows_of_equal_length_need_no_padding(gpu: torch.device) -> None:
    check(UNPADDED, ["to be", "be no"], gpu)
    check(STRICT, ["to be", "be"], gpu)


def test_a_vocabulary_on_a_gpu(gpu: torch.device) -> None:
    placed = VOCAB.to("cuda")
    assert placed is not VOCAB
    assert placed.tokens == VOCAB.tokens
    ids = placed.encode(TEXTS)
    assert ids.device == gpu
    np.testing.assert_array_equal(ids.cpu().numpy(), VOCAB.encode(TEXTS))
    assert placed.encode_ragged(TEXTS).values.device == gpu
    assert isinstance(placed.encode(["to be"], out=np.empty((1, 2), np.int64)), np.ndarray)
    assert isinstance(pickle.loads(pickle.dumps(placed)).encode(TEXTS), np.ndarray)
    assert isinstance(placed.to("cpu").encode(TEXTS), np.ndarray)
    assert VOCAB.to("cpu") is VOCAB
    assert placed.to("cuda") is placed


def test_a_table_is_copied_once_and_dropped_with_its_vocabulary(gpu: torch.device) -> None:
    vocab = Vocab(["<pad>", "<unk>", "to"])
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(vocab.encode, ["to", "be to"], device=gpu) for _ in range(16)]
    assert [call.result().tolist() for call in calls] == [[[2, 0], [1, 2]]] * 16
    table = _gpu_encode.table_on(vocab._table, gpu).kernel
    assert _gpu_encode.table_on(vocab.to("cuda")._table, gpu).kernel is table
    watched = weakref.ref(table)
    del table, vocab, calls
    assert watched() is None


RAGGED = np.arange(9), np.array([0, 3, 3, 9])


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_padding(dtype: torch.dtype, gpu: torch.device) -> None:
    values, offsets = (torch.from_numpy(part) for part in RAGGED)
    for options in (
        {"padding_side": "left", "dtype": "int32"},
        {"max_length": 2, "truncation_side": "left", "pad_to_multiple_of": 3, "value": -1},
    ):
        expected, expected_lengths = pad_sequences(RAGGED, return_lengths=True, **options)
        on_gpu = values.to(gpu, dtype), offsets.to(gpu)
        for sequences in (on_gpu, Ragged(*on_gpu), Ragged(*on_gpu).rows()):
            padded, lengths = pad_sequences(sequences, return_lengths=True, **options)
            assert padded.device == lengths.device == gpu
            np.testing.assert_array_equal(padded.cpu().numpy(), expected)
            assert padded.cpu().numpy().dtype == expected.dtype
            np.testing.assert_array_equal(lengths.cpu().numpy(), expected_lengths)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_into_the_memory_of_the_ids(side: Any, gpu: torch.device) -> None:
    values, offsets = torch.arange(1, 5001).to(gpu), torch.tensor([0, 1, 5000]).to(gpu)
    expected = pad_sequences((values.clone(), offsets), 2500, padding_side=side)
    assert torch.equal(pad_sequences((values, offsets), 2500, padding_side=side, out=values.view(2, 2500)), expected)


def test_padding_into_a_tensor(gpu: torch.device) -> None:
    values, offsets = (torch.from_numpy(part).to(gpu) for part in RAGGED)
    out = torch.empty(3, 6, dtype=torch.int64, device=gpu)
    version = out._version
    assert pad_sequences((values, offsets), out=out) is out
    assert out._version > version
    np.testing.assert_array_equal(out.cpu().numpy(), pad_sequences(RAGGED))
    for wrong in (out[:, :5], out.int(), out.t(), out[:2]):
        with pytest.raises(ValueError, match=r"out must be a contiguous tensor of torch\.int64 on .* shape \(3, 6\)"):
            pad_sequences((values, offsets), out=wrong)
    with pytest.raises(ValueError, match=r"^pad_sequences: out must be a tensor on .*, as the ids are; found ndarray$"):
        pad_sequences((values, offsets), out=np.empty((3, 6), np.int64))


@pytest.mark.parametrize(
    ("values", "offsets", "options"),
    [
        ([1, 2, 3], [0, 2, 1, 3], {}),
        ([1, 2, 3], [0, 2], {}),
        ([1, 2, 3], [1, 3], {}),
        ([1, 2**31, 3], [0, 3], {"dtype": "int32"}),
        ([1, -(2**31) - 1], [0, 2], {"dtype": "int32"}),
        ([1], [0, 1], {"dtype": "int32", "value": 2**31}),
        ([1], [], {}),
        ([[1]], [0, 1], {}),
    ],
    ids=repr,
)
def test_errors_of_padding(values: Any, offsets: Any, options: dict[str, Any], gpu: torch.device) -> None:
    arrays = np.array(values), np.array(offsets, np.int64)
    with pytest.raises(ValueError, match="pad_sequences: ") as expected:
        pad_sequences(arrays, **options)
    with pytest.raises(ValueError, match=f"^{re.escape(str(expected.value))}$"):
        pad_sequences(tuple(torch.from_numpy(part).to(gpu) for part in arrays), **options)


def test_padding_of_what_is_beyond_int64(gpu: torch.device) -> None:
    values, offsets = torch.from_numpy(np.array([1, 2**63 + 5], np.uint64)), torch.tensor([0, 2])
    with pytest.raises(ValueError, match=rf"^pad_sequences: value {2**63 + 5} at position 1 is beyond int64$"):
        pad_sequences((values.to(gpu), offsets.to(gpu)))


def test_padding_of_numbers_that_are_no_ids(gpu: torch.device) -> None:
    with pytest.raises(TypeError, match=r"^pad_sequences: values are torch\.float32; they are integers$"):
        pad_sequences((torch.ones(2, device=gpu), torch.tensor([0, 2], device=gpu)))
