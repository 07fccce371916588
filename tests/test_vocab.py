"""Tokens to table: order, specials, counting, files."""

from __future__ import annotations

import copy
import functools
import gzip
import itertools
import pickle
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import embrow
import reference
from embrow import _core
from texts import rows

SPECIALS = ("<pad>", "<unk>")
TEXTS = ["b a b", "c <unk> a d", "e e"]


@pytest.mark.parametrize("ties", ["first", "token"])
@given(
    texts=st.lists(rows, max_size=12),
    min_freq=st.integers(0, 3),
    max_size=st.none() | st.integers(2, 9),
    threads=st.integers(1, 8),
)
@settings(max_examples=100, deadline=None)
def test_build_equals_the_reference(
    ties: Any, texts: list[str], min_freq: int, max_size: int | None, threads: int
) -> None:
    counts = reference.count(text.split() for text in texts)
    expected = reference.vocabulary(counts, specials=SPECIALS, min_freq=min_freq, max_size=max_size, ties=ties)
    built = embrow.Vocab.build(texts, min_freq=min_freq, max_size=max_size, ties=ties, num_threads=threads)
    assert built.tokens == expected
    assert built.counts is not None
    assert built.counts.tolist() == [counts.get(token, 0) for token in expected]
    assert built.to_dict() == {token: i for i, token in enumerate(expected)}


def test_specials_keep_their_place() -> None:
    assert embrow.Vocab.build(TEXTS).tokens == ["<pad>", "<unk>", "b", "a", "e", "c", "d"]
    last = embrow.Vocab.build(TEXTS, specials_first=False)
    assert last.tokens == ["b", "a", "e", "c", "d", "<pad>", "<unk>"]
    assert (last.pad_id, last.unk_id, last.specials) == (5, 6, SPECIALS)
    none = embrow.Vocab.build(TEXTS, specials=())
    assert (none.pad_id, none.unk_id, none.pad_token, none.unk_token) == (None, 4, None, "<unk>")


def test_ties_go_to_the_first_seen_or_the_smaller_token() -> None:
    assert embrow.Vocab.build(["b a é Z"], specials=()).tokens == ["b", "a", "é", "Z"]
    assert embrow.Vocab.build(["b a é Z"], specials=(), ties="token").tokens == ["Z", "a", "b", "é"]


def test_lookups() -> None:
    vocab = embrow.Vocab(["<pad>", "<unk>", "a", "a\x00", "", "beyond twelve bytes"])
    assert len(vocab) == 6
    assert [vocab[token] for token in vocab.tokens] == list(range(6))
    assert "a\x00" in vocab
    assert "a\x00\x00" not in vocab
    assert 7 not in vocab
    assert "\ud800" not in vocab
    assert vocab["missing"] == 1
    with pytest.raises(KeyError, match="missing"):
        embrow.Vocab(["a"])["missing"]


def test_tokens_from_a_dict() -> None:
    assert embrow.Vocab({"b": 1, "a": 0}).tokens == ["a", "b"]
    with pytest.raises(ValueError, match=re.escape("token 'b' has id 2; the ids of 2 tokens are 0 to 1")):
        embrow.Vocab({"a": 0, "b": 2})
    with pytest.raises(ValueError, match=re.escape("tokens 'a' and 'b' both have id 0")):
        embrow.Vocab({"a": 0, "b": 0})
    for ids in ({None: 0}, {"a": 1, None: 0, "b": 2}):
        with pytest.raises(TypeError, match=r"^Vocab: token 0 is None$"):
            embrow.Vocab(ids)
    with pytest.raises(TypeError, match=r"^Vocab: token 1 is int; tokens are str or bytes$"):
        embrow.Vocab(["a", 3])


@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_set_has_no_order(kind: Any) -> None:
    with pytest.raises(TypeError, match=f"Vocab: tokens is a {kind.__name__}, which has no order"):
        embrow.Vocab(kind(["a", "b"]))


def test_tokens_of_a_dictionary_are_its_rows() -> None:
    pa = pytest.importorskip("pyarrow")
    tokens = pa.DictionaryArray.from_arrays(pa.array([2, 0]), pa.array(["a", "b", "c"]))
    assert embrow.Vocab(tokens).tokens == ["c", "a"]


def test_rows_that_are_none_count_as_empty_where_asked_for() -> None:
    for tokenizer in ("whitespace", str.split):
        vocab = embrow.Vocab.build(["a", None, "b"], specials=(), tokenizer=tokenizer, nulls="empty")
        assert vocab.tokens == ["a", "b"]
    with pytest.raises(TypeError, match='row 1 is None; drop it or pass nulls="empty"'):
        embrow.Vocab.build(["a", None])


def test_rows_of_tokens_are_no_tokens() -> None:
    for lists in ([["a", "b"], ["c"]], [("a",)], [[]]):
        with pytest.raises(TypeError, match=r"Vocab: token 0 is (list|tuple); tokens are str or bytes"):
            embrow.Vocab(lists)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: embrow.Vocab(["a", "b", "a"]), "Vocab: token 2 is token 0 once more: 'a'"),
        (lambda: embrow.Vocab(["a" + "é" * 40] * 2), f"once more: 'a{'é' * 31}'"),
        (lambda: embrow.Vocab(["b\n\0" * 99] * 2), repr("b\n\0" * 99)[:80]),
        (lambda: embrow.Vocab(["a"], pad_token="<PAD>"), "pad_token '<PAD>' is not among the tokens"),
        (lambda: embrow.Vocab(["a"], unk_token="<UNK>"), "unk_token '<UNK>' is not among the tokens"),
        (lambda: embrow.Vocab(["a"], specials=["<s>"]), "special '<s>' is not among the tokens"),
        (lambda: embrow.Vocab(["a"], tokenizer="bpe"), "tokenizer is 'bpe'; choose one of 'whitespace', 'words'"),
        (lambda: embrow.Vocab.build(["a"], max_size=1), "max_size is 1, which has no room for 2 specials"),
        (lambda: embrow.Vocab.build(["a"], ties="last"), "ties is 'last'; choose one of 'first', 'token'"),
        (lambda: embrow.Vocab.build(["a"], num_threads=0), "num_threads must be 1 or more, found 0"),
        (lambda: embrow.Vocab(["a\ud800"]), "Vocab: token 0 has a lone surrogate at character 1"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_a_vocab_does_not_change() -> None:
    vocab = embrow.Vocab(["a"])
    with pytest.raises(AttributeError, match="a Vocab does not change; make another to set pad_id"):
        vocab.pad_id = 3
    with pytest.raises(AttributeError, match="a Vocab does not change; make another without pad_id"):
        del vocab.pad_id
    vocab.tokens.append("b")
    assert vocab.tokens == ["a"] and vocab.to_dict() == {"a": 0}
    counts = embrow.Vocab.build(["a"]).counts
    assert counts is not None
    with pytest.raises(ValueError, match="read-only"):
        counts[0] = 9


def test_wrong_types_name_what_they_are() -> None:
    with pytest.raises(TypeError, match=r"^Vocab: tokens is one str; pass a list of them$"):
        embrow.Vocab("abc")
    for make in (embrow.Vocab, embrow.Vocab.build):
        with pytest.raises(TypeError, match="specials is one str, '<pad>'; pass a sequence of them"):
            make(["a"], specials="<pad>")
        for special in (None, 3, b"a"):
            message = f"specials has {special!r} at position 1; specials are str"
            with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
                make(["a"], specials=["a", special])
        for role in ("pad_token", "unk_token"):
            with pytest.raises(TypeError, match=rf"^{role} is 1; it is a str or None$"):
                make(["a"], **{role: 1})
    for role in ("bos_token", "eos_token"):
        with pytest.raises(TypeError, match=rf"^{role} is 3; it is a str or None$"):
            embrow.Vocab(["a"]).encode(["a"], **{role: 3})
    with pytest.raises(TypeError, match=r"^Vocab: token 'b' has id 1\.0; ids are int$"):
        embrow.Vocab({"a": 0, "b": 1.0})
    with pytest.raises(TypeError, match="a token is str, found int"):
        embrow.Vocab(["a"])[3]
    with pytest.raises(ValueError, match=re.escape("TokenCounter.merge: one splits by 'whitespace'")):
        embrow.TokenCounter().merge(embrow.TokenCounter(tokenizer="words"))
    with pytest.raises(TypeError, match="integer"):
        embrow.Vocab.build(["a"], min_freq=1.5)


def test_decode() -> None:
    vocab = embrow.Vocab.build(["to code"])
    assert vocab.decode([2, 0, 3, 1]) == ["to", "code"]
    assert vocab.decode(np.array([2, 0]), skip_special_tokens=False) == ["to", "<pad>"]
    assert vocab.decode([]) == []
    with pytest.raises(IndexError, match=re.escape("decode: id 9 at position 1 is outside a vocabulary of 4")):
        vocab.decode([2, 9])
    with pytest.raises(IndexError, match=re.escape(f"decode: id {2**64 - 1} at position 1 is outside a vocabulary")):
        vocab.decode(np.array([2, 2**64 - 1], np.uint64))
    assert vocab.decode(np.array([2], np.uint64)) == ["to"]
    assert vocab.decode(np.ma.array([2, 3])) == ["to", "code"]
    with pytest.raises(TypeError, match=r"^decode: ids are masked at position 1; give integers, none of them masked$"):
        vocab.decode(np.ma.array([2, 3], mask=[False, True]))
    with pytest.raises(TypeError, match="decode: expected a sequence of int"):
        vocab.decode([[1.5]])


@given(parts=st.lists(st.lists(rows, max_size=4), max_size=4), ties=st.sampled_from(["first", "token"]))
@settings(max_examples=50, deadline=None)
def test_merged_counters_equal_one(parts: list[list[str]], ties: Any) -> None:
    whole, merged = embrow.TokenCounter(), embrow.TokenCounter()
    for part in parts:
        whole.update(part)
        counter = embrow.TokenCounter()
        counter.update(part)
        merged.merge(pickle.loads(pickle.dumps(counter)))
    assert merged.most_common() == whole.most_common()
    assert merged.to_vocab(ties=ties).tokens == whole.to_vocab(ties=ties).tokens


def test_a_counter_merged_with_itself_doubles() -> None:
    counter = embrow.TokenCounter()
    counter.update(["a b a"])
    counter.merge(counter)
    assert counter.most_common() == [("a", 4), ("b", 2)]
    assert counter.most_common(1) == [("a", 4)]
    assert len(counter) == 2


def test_counters_whose_tokenizer_was_pickled_merge() -> None:
    counter = embrow.TokenCounter(tokenizer=functools.partial(re.split, ","))
    counter.update(["a,b"])
    counter.merge(pickle.loads(pickle.dumps(counter)))
    assert counter.most_common() == [("a", 2), ("b", 2)]
    with pytest.raises(ValueError, match=r"TokenCounter\.merge: one splits by functools\.partial"):
        counter.merge(embrow.TokenCounter())
    with pytest.raises(ValueError, match=r"TokenCounter\.merge: one splits by .*split_at_commas"):
        embrow.TokenCounter(tokenizer=split_at_commas).merge(embrow.TokenCounter(tokenizer=str.split))


def test_a_descriptor_is_no_path(vocab: embrow.Vocab, tmp_path: Path) -> None:
    vocab.save(tmp_path / "v")
    with open(tmp_path / "v", "rb") as file:
        with pytest.raises(TypeError, match="not int"):
            embrow.Vocab.load(file.fileno())
        assert file.read(1)


def test_a_batch_with_an_error_counts_nothing() -> None:
    counter = embrow.TokenCounter()
    counter.update(["a"])
    with pytest.raises(ValueError, match=re.escape("TokenCounter.update: row 1 has a lone surrogate")):
        counter.update(["b", "\ud800"])
    assert counter.most_common() == [("a", 1)]


def test_a_callable_tokenizer() -> None:
    vocab = embrow.Vocab.build(["a,b", "B,c"], tokenizer=split_at_commas, lowercase=True)
    assert vocab.tokens == ["<pad>", "<unk>", "b", "a", "c"]
    assert vocab.encode(["C,a", b"b"]).tolist() == [[4, 3], [2, 0]]
    assert pickle.loads(pickle.dumps(vocab)).encode(["c"]).tolist() == [[4]]
    with pytest.raises(ValueError, match="the tokenizer is a callable, which a file cannot hold"):
        vocab.save("never-written")
    with pytest.raises(ValueError, match="row 0 is not valid UTF-8 at byte 0"):
        vocab.encode([b"\xff"])


def split_at_commas(text: str) -> list[str]:
    return text.split(",")


@pytest.mark.parametrize("compress", [False, True])
def test_counting_a_file_equals_counting_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: bool
) -> None:
    monkeypatch.setattr("embrow.counter.WINDOW_BYTES", 50)
    text = "to be or not\nÉté to\r\n\n" * 20 + "x" * 300 + " " + "last"
    path = tmp_path / "corpus"
    path.write_bytes(gzip.compress(text.encode()) if compress else text.encode())
    seen: list[int] = []
    counter, by_line = embrow.TokenCounter(lowercase=True), embrow.TokenCounter(tokenizer=str.split)
    counter.update_file(path, progress=seen.append)
    by_line.update_file(path)
    lines = text.split("\n")
    assert counter.most_common() == embrow_counts([line.lower() for line in lines])
    assert by_line.most_common() == embrow_counts(lines)
    assert seen[-1] == len(text.encode())
    path.write_bytes(b"fine \xc3\xa9\n" * 100 + b"fine \xff")
    for each in (counter, by_line):
        with pytest.raises(ValueError, match=rf"^{path}: the text is not valid UTF-8 at byte 805 \(0xff\); give its"):
            each.update_file(path)

    def refuse(line: str) -> list[str]:
        raise ValueError(f"no {line}")

    with pytest.raises(ValueError, match=rf"^{path}: in the text from byte 0 to \d+: no fine é"):
        embrow.TokenCounter(tokenizer=refuse).update_file(path)


def embrow_counts(lines: list[str]) -> list[tuple[str, int]]:
    counts = reference.count(line.split() for line in lines)
    return sorted(counts.items(), key=lambda item: -item[1])


def same(a: embrow.Vocab, b: embrow.Vocab) -> bool:
    names = ("tokens", "specials", "pad_id", "unk_id", "tokenizer", "lowercase")
    equal = all(getattr(a, name) == getattr(b, name) for name in names)
    return equal and (a.counts is None) == (b.counts is None) and np.array_equal(a.counts, b.counts)


@pytest.fixture
def vocab() -> embrow.Vocab:
    return embrow.Vocab.build(["to\x00tab be a_token_of_many_bytes É", "to be"], tokenizer="words", lowercase=True)


def test_save_and_load(vocab: embrow.Vocab, tmp_path: Path) -> None:
    path = tmp_path / "v"
    odd = embrow.Vocab(["a b", "tab\t", "line\n", "nul\x00", "", "é" * 20])
    for saved in (vocab, odd):
        saved.save(path)
        assert same(embrow.Vocab.load(path), saved)
    assert [p.name for p in tmp_path.iterdir()] == ["v"]


def test_pickle_and_copies(vocab: embrow.Vocab) -> None:
    assert same(pickle.loads(pickle.dumps(vocab)), vocab)
    assert copy.deepcopy(vocab) is vocab
    assert copy.copy(vocab) is vocab
    assert "Vocab(" in repr(vocab)


def test_a_saved_file_opens_with_safetensors_layout(vocab: embrow.Vocab, tmp_path: Path) -> None:
    vocab.save(tmp_path / "v")
    data = (tmp_path / "v").read_bytes()
    header = int.from_bytes(data[:8], "little")
    assert (8 + header) % 64 == 0
    assert data[8:9] == b"{"


def test_a_header_nested_too_deep(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes((10**5).to_bytes(8, "little") + b"[" * 10**5)
    with pytest.raises(ValueError, match="its header is damaged"):
        embrow.Vocab.load(tmp_path / "v")


def test_every_cut_and_flip_is_found(vocab: embrow.Vocab, tmp_path: Path) -> None:
    path = tmp_path / "v"
    vocab.save(path)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match="v: "):
            embrow.Vocab.load(path)
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 2000):
        damaged = bytearray(data)
        damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="v: "):
            embrow.Vocab.load(path)


def test_parts_that_would_read_out_of_bounds_are_refused(vocab: embrow.Vocab) -> None:
    parts = {name: np.array(part) for name, part in vocab._table.parts().items()}

    def refused(message: str, **changed: Any) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            _core.VocabTable.from_parts(**(parts | changed))

    refused("lies outside the arena", arena=parts["arena"][:-1])
    refused("slots", index=parts["index"][:-8])
    refused("a slot holds id", index=np.full_like(parts["index"], 0xFF))
    refused("slots are used for", index=np.zeros_like(parts["index"]))
    refused("is cut short or not aligned", keys=parts["keys"][:-1])
    refused("the seed has 2 words", seed=parts["seed"][:8])


CROWD = 50_000
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"


def digits(i: int) -> str:
    return "".join(DIGITS[i >> 6 * k & 63] for k in range(4))


# Tokens that a hash with a known seed maps to few slots. A seed of zeros gives all tokens of up to 4 bytes one hash, as
# one factor of its product is 0. Others share the bytes of a factor, or differ in bits that do not choose a slot.
CRAFTED: dict[str, Callable[[int], str]] = {
    "4 bytes": digits,
    "equal first 8 bytes": lambda i: "12345678" + digits(i),
    "equal last 8 bytes": lambda i: digits(i) + "12345678",
    "multiples": lambda i: f"{i << 16:012}",
    "equal first 24 bytes": lambda i: "x" * 24 + digits(i),
    "equal last 24 bytes": lambda i: digits(i) + "x" * 24,
    "one of two letters": lambda i: "".join("ab"[i >> k & 1] for k in range(32)),
}


@pytest.mark.parametrize("pattern", CRAFTED)
def test_crafted_tokens_cost_no_more_than_random_ones(pattern: str) -> None:
    tokens = [CRAFTED[pattern](i) for i in range(CROWD)]
    letters = np.random.default_rng(0).choice(list(DIGITS), (2 * CROWD, len(tokens[0])))
    random = list(dict.fromkeys(map("".join, letters)))[:CROWD]
    assert len(set(tokens)) == len(set(random)) == CROWD
    vocabs = [embrow.Vocab(chosen, unk_token=None) for chosen in (tokens, random)]
    rows = [[" ".join(chosen)] for chosen in (tokens, random)]

    # A probe is no longer than its run of used slots; with a third of them used at random, runs of 100 do not happen.
    for vocab in vocabs:
        used = np.asarray(vocab._table.parts()["index"]).view(np.uint64) != 0
        assert max(len(list(run)) for in_use, run in itertools.groupby(used.tolist()) if in_use) < 200

    def median_s(which: int) -> float:
        times = []
        for _ in range(7):
            begin = time.process_time()
            values, _ = vocabs[which].encode_ragged(rows[which], num_threads=1)
            times.append(time.process_time() - begin)
            assert len(values) == CROWD
        return statistics.median(times)

    assert median_s(0) < 3 * median_s(1)


def test_another_unicode_version_is_a_warning(
    vocab: embrow.Vocab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocab.save(tmp_path / "v")
    monkeypatch.setattr(_core, "unicode_version", "1.0.0")
    with pytest.warns(UserWarning, match="which may split or lower some characters otherwise"):
        embrow.Vocab.load(tmp_path / "v")


def test_a_folder_that_is_not_there(vocab: embrow.Vocab, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="cannot be written"):
        vocab.save(tmp_path / "none" / "v")
    with pytest.raises(FileNotFoundError):
        embrow.Vocab.load(tmp_path / "none")


def test_to_another_device(vocab: embrow.Vocab) -> None:
    assert vocab.to("cpu") is vocab.to("cpu:0") is vocab
    with pytest.raises(RuntimeError, match="encodes on the CPU alone"):
        vocab.to("cuda")


def test_a_counter_of_tokens_that_never_occurred_is_refused() -> None:
    with pytest.raises(ValueError, match="the count at position 1 is 0"):
        embrow.TokenCounter().__setstate__(("whitespace", False, [("a", 2), ("b", 0)]))


def test_ranks_of_counts_below_and_beyond_those_that_are_counted_out() -> None:
    counts = {"rare": 1, "b": 65535, "a": 65535, "d": 65536, "c": 65536, "e": 70_000, "last": 1}
    counter = embrow.TokenCounter()
    counter.__setstate__(("whitespace", False, list(counts.items())))
    assert [token for token, _ in counter.most_common(7)] == sorted(counts, key=counts.__getitem__, reverse=True)
    by_token = counter.to_vocab(ties="token", specials=())
    assert by_token.tokens == sorted(counts, key=lambda token: (-counts[token], token))


def test_what_is_no_counter_is_not_merged() -> None:
    for other in (None, 1, embrow.Vocab(["a"])):
        with pytest.raises(TypeError, match=f"^TokenCounter.merge takes a TokenCounter, found {type(other).__name__}$"):
            embrow.TokenCounter().merge(other)  # type: ignore[arg-type]


def test_specials_that_are_none_are_named_and_truth_like_values_place_them() -> None:
    for specials in (None, 1):
        with pytest.raises(TypeError, match=f"^specials is {specials}; pass a sequence of str$"):
            embrow.Vocab.build(["a"], specials=specials)  # type: ignore[arg-type]
    last: Any = []
    assert embrow.Vocab.build(["a"], specials_first=last).tokens == ["a", "<pad>", "<unk>"]
