"""Text to ids: against the reference, from threads, in forked processes."""

from __future__ import annotations

import functools
import multiprocessing
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import embrow
import reference
from embrow import _core
from texts import EDGES, rows

TOKENS = ["<pad>", "<unk>", "<s>", "</s>", "a", "b", "ab", "x", "é", "a-token-of-many-bytes", "σ"]
VOCAB = embrow.Vocab(TOKENS)
IDS = {token: i for i, token in enumerate(TOKENS)}
SIDES = st.sampled_from(["left", "right"])


@given(
    texts=st.lists(rows | st.lists(st.sampled_from([*TOKENS, "zz"])).map(" ".join), max_size=12),
    max_length=st.none() | st.integers(2, 9),
    padding_side=SIDES,
    truncation_side=SIDES,
    multiple=st.none() | st.integers(1, 8),
    framed=st.booleans(),
    dtype=st.sampled_from(["int32", "int64"]),
    threads=st.integers(1, 8),
)
@settings(max_examples=300, deadline=None)
def test_encode_equals_the_reference(
    texts: list[str],
    max_length: int | None,
    padding_side: Any,
    truncation_side: Any,
    multiple: int | None,
    framed: bool,
    dtype: str,
    threads: int,
) -> None:
    ids = [reference.encode(text.split(), IDS, 1) for text in texts]
    expected = reference.pad(
        ids,
        max_length=max_length,
        padding_side=padding_side,
        truncation_side=truncation_side,
        value=0,
        multiple=multiple or 1,
        bos=[2] if framed else [],
        eos=[3] if framed else [],
    )
    frame = {"bos_token": "<s>", "eos_token": "</s>"} if framed else {}
    kept = {"max_length": max_length, "truncation_side": truncation_side, "num_threads": threads, "dtype": dtype}
    found, lengths = VOCAB.encode(
        texts, padding_side=padding_side, pad_to_multiple_of=multiple, return_lengths=True, **kept, **frame
    )
    assert found.dtype == dtype
    assert found.tolist() == expected
    ragged = VOCAB.encode_ragged(texts, **kept, **frame)
    assert ragged.values.dtype == dtype
    assert lengths.tolist() == np.diff(ragged.offsets).tolist()
    for row, length, whole in zip(ragged.rows(), lengths, expected, strict=True):
        assert row.tolist() == (whole[:length] if padding_side == "right" else whole[len(whole) - length :])


@pytest.mark.parametrize("threads", range(1, 9))
def test_any_number_of_threads(variant: str, threads: int) -> None:
    texts = [*EDGES, "a b zz"] * 50
    expected = reference.pad(
        [reference.encode(text.split(), IDS, 1) for text in texts],
        max_length=16,
        padding_side="right",
        truncation_side="right",
        value=0,
    )
    assert VOCAB.encode(texts, max_length=16, num_threads=threads).tolist() == expected


def test_shapes_without_rows_or_tokens() -> None:
    assert VOCAB.encode([]).shape == (0, 0)
    assert VOCAB.encode([], max_length=3, pad_to_multiple_of=4).shape == (0, 4)
    assert VOCAB.encode(["", " "]).shape == (2, 0)
    assert VOCAB.encode([""], max_length=2).tolist() == [[0, 0]]
    assert VOCAB.encode([[]], max_length=0).shape == (1, 0)
    assert VOCAB.encode([["a", "", "a b"]]).tolist() == [[4, 1, 1]]


def test_rows_that_outgrow_their_memory() -> None:
    # The ids of both rows move to a larger block: those of the first from a block of their own, those of the second
    # from behind the first.
    tokens = 40_000
    rng = np.random.default_rng(1)
    ids = rng.choice([IDS["a"], IDS["b"], IDS["x"]], (2, tokens))
    texts = [" ".join(TOKENS[i] for i in row) for row in ids.tolist()]
    assert np.array_equal(VOCAB.encode(texts, num_threads=1), ids)
    assert np.array_equal(VOCAB.encode_ragged(texts, num_threads=1).values, ids.ravel())
    framed = np.pad(ids, ((0, 0), (1, 1)), constant_values=((0, 0), (IDS["<s>"], IDS["</s>"])))
    assert np.array_equal(VOCAB.encode(texts, num_threads=1, bos_token="<s>", eos_token="</s>"), framed)
    assert np.array_equal(VOCAB.encode(texts, num_threads=1, max_length=tokens - 1), ids[:, :-1])
    with pytest.raises(KeyError, match=r"row 1, token 40000 \('zz'\) is not in the vocabulary"):
        embrow.Vocab(["<pad>", "a", "b", "x"]).encode([texts[0], texts[1] + " zz"], num_threads=1)


def test_without_a_pad_token_rows_have_one_length() -> None:
    vocab = embrow.Vocab(["a", "b", "<unk>"])
    assert vocab.encode(["a b", "b a"]).tolist() == [[0, 1], [1, 0]]
    message = "encode: row 1 has 1 tokens where the width is 2, and the vocabulary has no pad_token; use encode_ragged"
    for length in (None, 2):
        with pytest.raises(ValueError, match=re.escape(message)):
            vocab.encode(["a b", "b"], max_length=length)


def test_without_an_unk_token_the_first_unknown_is_a_key_error() -> None:
    vocab = embrow.Vocab(["<pad>", "a"])
    texts = ["a"] * 5000 + ["a a mystery"] + ["other"] * 5000
    for threads in (1, 4):
        with pytest.raises(KeyError, match=r"row 5000, token 2 \('mystery'\) is not in the vocabulary"):
            vocab.encode(texts, num_threads=threads)


def test_the_first_bad_row_is_named_whatever_the_threads() -> None:
    texts = ["a"] * 9000 + ["\ud800"] + ["a"] * 9000 + ["\ud800"]
    for threads in (1, 2, 8):
        with pytest.raises(ValueError, match="row 9000 has a lone surrogate"):
            VOCAB.encode(texts, num_threads=threads, max_length=4)


def test_out() -> None:
    out = np.full((2, 3), -7, dtype=np.int64)
    assert VOCAB.encode(["a b", "x"], max_length=3, out=out) is out
    assert out.tolist() == [[4, 5, 0], [7, 0, 0]]
    for wrong in (np.empty((2, 4), np.int64), np.empty((2, 3), np.int32), np.empty((3, 2), np.int64).T, [1], "x"):
        with pytest.raises(
            ValueError, match=re.escape("out must be a writable C-ordered array of int64, shape (2, 3)")
        ):
            VOCAB.encode(["a b", "x"], max_length=3, out=wrong)
    frozen = np.empty((2, 3), np.int64)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="out must be a writable"):
        VOCAB.encode(["a b", "x"], max_length=3, out=frozen)


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    ids, lengths = VOCAB.encode(["a b", "x"], return_tensors="pt", return_lengths=True)
    assert ids.dtype == lengths.dtype == torch.int64
    assert ids.tolist() == [[4, 5], [7, 0]]
    assert VOCAB.encode(["a"], device="cpu", dtype=torch.int32).dtype == torch.int32
    out = torch.zeros(1, 2, dtype=torch.int64)
    version = out._version
    assert VOCAB.encode(["a"], max_length=2, out=out) is out
    assert VOCAB.encode(["a"], max_length=2, out=out, device="cpu:0") is out
    assert out.tolist() == [[4, 0]]
    assert out._version > version
    with pytest.raises(ValueError, match=r"out is torch.bfloat16; ids are int32 or int64"):
        VOCAB.encode(["a"], out=torch.zeros(1, 1, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match="out is given, so the result cannot lie on device meta"):
        VOCAB.encode(["a"], max_length=2, out=out, device="meta")
    ragged = VOCAB.encode_ragged(["a b", "", "x"], return_tensors="pt")
    nested = ragged.to_nested()
    assert [row.tolist() for row in nested.unbind()] == [[4, 5], [], [7]]
    back = embrow.Ragged.from_nested(nested)
    assert back.values.data_ptr() == ragged.values.data_ptr()
    assert back.offsets.tolist() == ragged.offsets.tolist()
    with pytest.raises(ValueError, match="expected a nested tensor of jagged layout"):
        embrow.Ragged.from_nested(torch.zeros(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding_side": "up"}, "padding_side is 'up'; choose one of 'left', 'right'"),
        ({"truncation_side": "up"}, "truncation_side is 'up'; choose one of 'left', 'right'"),
        ({"max_length": -1}, "max_length is -1; it is 0 or more"),
        ({"pad_to_multiple_of": 0}, "pad_to_multiple_of is 0; it is 1 or more"),
        ({"dtype": "float32"}, "dtype is float32; ids are int32 or int64"),
        ({"return_tensors": "tf"}, "return_tensors is 'tf'; choose one of 'np', 'pt'"),
        ({"nulls": "drop"}, "nulls is 'drop'; choose one of 'error', 'empty'"),
        ({"bos_token": "<bos>"}, "bos_token '<bos>' is not in the vocabulary"),
        ({"bos_token": "<s>", "eos_token": "</s>", "max_length": 1}, "max_length is 1, which has no room for"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        VOCAB.encode(["a"], **arguments)


def kernel_arguments(**others: Any) -> dict[str, Any]:
    return {
        "texts": ["a b"] * 100,
        "tokenizer": "whitespace",
        "lowercase": False,
        "nulls_empty": False,
        "unk_id": 1,
        "bos_id": 2,
        "eos_id": 3,
        "max_length": 2,
        "truncate_left": False,
        "wide": True,
        "threads": 1,
    } | others


@pytest.mark.parametrize(("bos", "eos", "max_length"), [(2, 3, 1), (2, 3, 0), (2, -1, 0), (-1, 3, 0)])
def test_kernels_refuse_rows_without_room_for_their_frame(bos: int, eos: int, max_length: int) -> None:
    arguments = kernel_arguments(bos_id=bos, eos_id=eos, max_length=max_length)
    padding: dict[str, Any] = {"pad_left": False, "pad_id": 0, "multiple": 1, "out": None, "lengths": False}
    message = f"^max_length is {max_length}, which has no room for bos_token and eos_token$"
    with pytest.raises(ValueError, match=message):
        _core.encode_padded(VOCAB._table, **arguments, **padding)
    with pytest.raises(ValueError, match=message):
        _core.encode_ragged(VOCAB._table, **arguments)


def test_kernels_refuse_multiples_of_0() -> None:
    padding: dict[str, Any] = {"pad_left": False, "pad_id": 0, "multiple": 0, "out": None, "lengths": False}
    for max_length in (-1, 2):
        with pytest.raises(ValueError, match=r"^pad_to_multiple_of is 0; it is 1 or more$"):
            _core.encode_padded(VOCAB._table, **kernel_arguments(max_length=max_length), **padding)
    with pytest.raises(ValueError, match=r"^pad_to_multiple_of is 0; it is 1 or more$"):
        _core.pad_ragged(np.arange(3), np.array([0, 3]), -1, False, False, 0, 0, True, None, 1)


@pytest.mark.parametrize("name", ["max_length", "pad_to_multiple_of", "num_threads"])
@pytest.mark.parametrize("value", ["2", 2.0])
def test_what_is_no_integer_is_named(name: str, value: Any) -> None:
    message = f"^{name}: '{type(value).__name__}' object cannot be interpreted as an integer$"
    for call in (VOCAB.encode, embrow.pad_sequences):
        with pytest.raises(TypeError, match=message):
            call([], **{name: value})


@pytest.mark.parametrize("name", ["max_length", "pad_to_multiple_of", "num_threads"])
def test_a_bool_is_no_integer(name: str) -> None:
    for call in (VOCAB.encode, embrow.pad_sequences):
        with pytest.raises(TypeError, match=f"^{name}: True is a bool; it is an integer$"):
            call([], **{name: True})
    with pytest.raises(TypeError, match=r"^min_freq: True is a bool"):
        embrow.Vocab.build(["a"], min_freq=True)


def test_a_device_that_is_none_is_told_before_a_text_is_read() -> None:
    torch = pytest.importorskip("torch")
    unread = iter(["a"])
    for call in (VOCAB.encode, VOCAB.encode_ragged):
        for device in (torch.float32, True, 1.5, []):
            with pytest.raises(TypeError, match=r"^device is .* of type \w+; it is a str, an int or a torch.device$"):
                call(unread, device=device)
        for name in ("gpu", "cpu:x"):
            with pytest.raises(
                ValueError, match=f'^device is {name!r}, which PyTorch does not know; give "cpu", "cuda"'
            ):
                call(unread, device=name)
    assert list(unread) == ["a"]
    with pytest.raises(ValueError, match=r"^device is 'gpu', which PyTorch does not know"):
        VOCAB.to("gpu")
    with pytest.raises(TypeError, match=r"^device is None of type NoneType"):
        VOCAB.to(None)


def test_a_dtype_that_is_none_is_named() -> None:
    for dtype in (1, "ids"):
        with pytest.raises(TypeError, match=f"^dtype is {dtype!r}, which NumPy does not know; ids are int32 or int64$"):
            VOCAB.encode(["a"], dtype=dtype)


def corpus() -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(f"w{i}" for i in row) for row in rng.zipf(1.3, (3000, 12)).clip(max=5000).tolist()]


def test_eight_threads_at_once() -> None:
    texts = corpus()
    vocab = embrow.Vocab.build(texts, max_size=2000)
    expected = vocab.encode(texts, num_threads=1)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: vocab.encode(texts, num_threads=2), range(24)):
            assert np.array_equal(found, expected)


def test_counting_from_eight_threads_at_once() -> None:
    counter = embrow.TokenCounter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: counter.update(["a b a"] * 100, num_threads=2), range(8)))
    assert counter.most_common() == [("a", 1600), ("b", 800)]


def encode_in_child(vocab: embrow.Vocab, texts: list[str], queue: Any) -> None:
    queue.put(vocab.encode(texts, num_threads=2).tolist())


def test_forked_workers_encode_the_same() -> None:
    texts = corpus()
    vocab = embrow.Vocab.build(texts, num_threads=2)
    expected = vocab.encode(texts, num_threads=2).tolist()  # the parent's pool exists before the fork
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    workers = [context.Process(target=encode_in_child, args=(vocab, texts, queue)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert all(queue.get() == expected for _ in workers)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_dataloader_workers_encode_the_same() -> None:
    torch = pytest.importorskip("torch")
    texts = corpus()
    vocab = embrow.Vocab.build(texts)
    expected = vocab.encode(texts, max_length=12, return_tensors="pt")
    loader = torch.utils.data.DataLoader(
        texts,
        batch_size=250,
        num_workers=4,
        multiprocessing_context="fork",
        collate_fn=functools.partial(vocab.encode, max_length=12, return_tensors="pt"),
    )
    assert torch.equal(torch.cat(list(loader)), expected)


def test_a_list_changed_meanwhile_is_encoded_as_it_was() -> None:
    texts = [f"a b {'x' * 200}" for _ in range(20000)]
    expected = VOCAB.encode(list(texts))
    with ThreadPoolExecutor(2) as pool:
        found = pool.submit(VOCAB.encode, texts)
        texts.clear()
        rows_found = found.result()
    assert len(rows_found) in (0, 20000)
    assert np.array_equal(rows_found, expected[: len(rows_found)][:, : rows_found.shape[1]])


def test_a_variant_that_the_cpu_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match='EMBROW_VARIANT is "sse9"; this CPU runs serial'):
        _core.use_variant("sse9")


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("container", [list, tuple, iter, lambda rows: np.array(rows, dtype=object)])
def test_of_a_long_list_the_first_item_that_is_no_row_is_named(container: Any, threads: int) -> None:
    items: list[Any] = [f"a b{row} x" for row in range(5000)]
    expected = VOCAB.encode(items, num_threads=1)
    items[10] = "lone \ud800"  # a fault that is found later than what is no row
    for bad, error in [(None, "None; drop it"), (7.5, "float; rows are str")]:
        for row in (0, 255, 256, 4999):
            wrong = [*items[:row], bad, *items[row + 1 :]]
            kept = [sys.getrefcount(item) for item in wrong]
            for width in (None, 8):
                with pytest.raises(TypeError, match=re.escape(f"encode: row {row} is {error}")):
                    VOCAB.encode(container(wrong), max_length=width, num_threads=threads)
            assert [sys.getrefcount(item) for item in wrong if item is not None] == [
                count for item, count in zip(wrong, kept, strict=True) if item is not None
            ]
    with pytest.raises(ValueError, match="row 10 has a lone surrogate at character 5"):
        VOCAB.encode(container(items), num_threads=threads)
    items[10] = None
    empty = VOCAB.encode(container(items), nulls="empty", num_threads=threads)
    assert (empty[10] == 0).all()
    expected[10] = 0
    np.testing.assert_array_equal(empty, expected)


# Each thread's share of the ids, and more than a page of 2 MB of all else.
RESIDENT = """
import resource
import embrow

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

texts = ["a b " * 10 + str(row) for row in range(150_000)]
vocab = embrow.Vocab(["<pad>", "<unk>", "a"])
for _ in range(3):
    vocab.encode(texts, num_threads=2)
before = resident()
for _ in range(60):
    vocab.encode(texts, num_threads=2)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
def test_encoding_again_and_again_keeps_no_memory() -> None:
    found = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 16 << 20


# NumPy's interface is looked up, in Python, when it is first used, which is after the list is seen.
SHRINKING = """
import sys
import embrow

texts = ["a b"] * 100_000
vocab = embrow.Vocab(["<pad>", "<unk>", "a"])

def shrink(frame, event, argument):
    if frame.f_code.co_qualname == "NumpyVersion.__init__":
        texts.clear()

sys.setprofile(shrink)
try:
    vocab.encode(texts, max_length=8, num_threads=2)
except RuntimeError as error:
    print(error)
"""


def test_a_list_that_changes_before_it_is_read_is_refused() -> None:
    found = subprocess.run([sys.executable, "-c", SHRINKING], capture_output=True, text=True, check=True)
    assert found.stdout == "encode: the list changed while it was read\n"


def test_tokens_of_bytes_are_lowered_whoever_splits() -> None:
    tokens = ["<pad>", "<unk>", "straße"]
    for tokenizer in ("whitespace", str.split):
        vocab = embrow.Vocab(tokens, lowercase=True, tokenizer=tokenizer)
        assert vocab.encode([["STRAßE".encode()], ["Straße"]]).tolist() == [[2], [2]]
        with pytest.raises(ValueError, match="not valid UTF-8"):
            vocab.encode([[b"\xff"]])
