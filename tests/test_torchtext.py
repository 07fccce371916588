"""torchtext's vocabulary and transforms: its ids, its defaults, its errors."""

from __future__ import annotations

import copy
import io
import pickle
import re
import subprocess
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from embrow.compat import torchtext
from embrow.compat.torchtext import _torchtext, functional, transforms
from embrow.compat.torchtext.vocab import Vocab, build_vocab_from_iterator, vocab

ROWS = [["hello", "hello", "low", "hello", "hello", "world"], ["world", "Zoë", "Zoë", "world", "Zoë", "low", "Zoë"]]
SPECIALS = ["<unk>", "<bos>", "<eos>", "pad"]
INT32_MAX = 2**31 - 1


def abc() -> Vocab:
    return vocab(OrderedDict([("a", 3), ("b", 2), ("c", 1)]))


def raises(kind: type[Exception], text: str) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


# From counts or rows to a vocabulary


def test_vocab_keeps_the_order_of_the_dict() -> None:
    counts = OrderedDict([("rare", 1), ("hello", 4), ("Zoë", 5), ("world", 3)])
    assert vocab(counts).get_itos() == ["rare", "hello", "Zoë", "world"]
    assert vocab(counts, min_freq=3).get_itos() == ["hello", "Zoë", "world"]
    assert vocab(counts, 3, SPECIALS).get_itos() == [*SPECIALS, "hello", "Zoë", "world"]
    assert vocab(counts, 3, SPECIALS, False).get_itos() == ["hello", "Zoë", "world", *SPECIALS]
    assert vocab(Counter("abb")).get_itos() == ["a", "b"]
    assert len(vocab({})) == 0


def test_vocab_removes_the_specials_from_the_dict() -> None:
    counts = OrderedDict([("a", 5), ("<unk>", 9), ("b", 5)])
    assert vocab(counts, specials=["<unk>"], special_first=False).get_itos() == ["a", "b", "<unk>"]
    assert list(counts) == ["a", "b"]


def test_build_vocab_counts_and_breaks_ties_by_code_point() -> None:
    assert build_vocab_from_iterator(ROWS).get_itos() == ["Zoë", "hello", "world", "low"]
    assert build_vocab_from_iterator(ROWS, 3).get_itos() == ["Zoë", "hello", "world"]
    assert build_vocab_from_iterator(ROWS, specials=SPECIALS).get_itos() == [*SPECIALS, "Zoë", "hello", "world", "low"]
    last = build_vocab_from_iterator(ROWS, specials=SPECIALS, special_first=False)
    assert last.get_itos() == ["Zoë", "hello", "world", "low", *SPECIALS]
    assert build_vocab_from_iterator([["b", "é", "a", "Z"]]).get_itos() == ["Z", "a", "b", "é"]
    assert build_vocab_from_iterator([]).get_itos() == []


def test_build_vocab_takes_any_iterable_of_iterables() -> None:
    assert build_vocab_from_iterator(iter(row) for row in ROWS).get_itos() == ["Zoë", "hello", "world", "low"]
    assert build_vocab_from_iterator([("b", "a"), ["b"]]).get_itos() == ["b", "a"]
    # A str is an iterable of its characters.
    assert build_vocab_from_iterator(["ab", "b c"]).get_itos() == ["b", " ", "a", "c"]


def test_a_special_in_the_rows_keeps_its_place_and_is_not_counted() -> None:
    rows = [["<unk>", "<unk>", "<unk>", "a", "b", "b"]]
    assert build_vocab_from_iterator(rows, specials=["<unk>"]).get_itos() == ["<unk>", "b", "a"]


def test_max_tokens_counts_before_rare_tokens_and_specials_are_left_out() -> None:
    rows = [["<unk>"] * 5 + ["a"] * 4 + ["b"] * 3 + ["c"]]
    assert build_vocab_from_iterator(rows, max_tokens=3).get_itos() == ["<unk>", "a", "b"]
    # Two of the ranked tokens are taken, one of which is the special.
    assert build_vocab_from_iterator(rows, specials=["<unk>"], max_tokens=3).get_itos() == ["<unk>", "a"]
    assert build_vocab_from_iterator(rows, min_freq=4, specials=["x"], max_tokens=4).get_itos() == ["x", "<unk>", "a"]
    assert build_vocab_from_iterator(rows, max_tokens=99).get_itos() == ["<unk>", "a", "b", "c"]


@given(
    rows=st.lists(st.lists(st.sampled_from(["a", "b", "c", "é", "<unk>", "\x00", "日"]), max_size=8), max_size=6),
    min_freq=st.integers(0, 3),
    specials=st.lists(st.sampled_from(["<unk>", "<pad>", "a"]), unique=True),
    first=st.booleans(),
    room=st.none() | st.integers(1, 5),
)
@settings(deadline=None)
def test_build_vocab_equals_a_plain_loop(
    rows: list[list[str]], min_freq: int, specials: list[str], first: bool, room: int | None
) -> None:
    counts = reference.count(rows)
    taken = sorted(counts, key=lambda token: (-counts[token], token))[:room]
    kept = [token for token in taken if token not in specials and counts[token] >= min_freq]
    max_tokens = None if room is None else room + len(specials)
    built = build_vocab_from_iterator(rows, min_freq, specials, first, max_tokens)
    assert built.get_itos() == (specials + kept if first else kept + specials)


@pytest.mark.parametrize("max_tokens", [-1, 0, 1, 2])
def test_max_tokens_must_leave_room(max_tokens: int) -> None:
    text = "len(specials) >= max_tokens, so the vocab will be entirely special tokens."
    with raises(AssertionError, text):
        build_vocab_from_iterator(ROWS, specials=["<unk>", "<pad>"], max_tokens=max_tokens)


def test_duplicate_specials_are_refused() -> None:
    with raises(RuntimeError, "Duplicate token found in tokens list: <unk>"):
        vocab({"a": 1}, specials=["<unk>", "<pad>", "<unk>"])
    with raises(RuntimeError, "Duplicate token found in tokens list: <unk>"):
        build_vocab_from_iterator(ROWS, specials=["<unk>", "<unk>"], special_first=False)


def test_tokens_that_are_no_text_are_refused() -> None:
    with raises(TypeError, "Vocab: token 1 is int; tokens are str"):
        vocab({"a": 1, 7: 1})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="row 1, token 0 is int; tokens are str or bytes"):
        build_vocab_from_iterator([["a"], [7]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="lone surrogate"):
        vocab({"\ud800": 1})


# Lookups


def test_lookups() -> None:
    v = abc()
    assert isinstance(v, torch.nn.Module)
    assert (len(v), "a" in v, "d" in v) == (3, True, False)
    assert [v["a"], v["b"], v["c"]] == [0, 1, 2]
    assert v(["b", "a", "c", "b"]) == v.forward(["b", "a", "c", "b"]) == [1, 0, 2, 1]
    assert v.lookup_indices(["c"]) == [2]
    assert v([]) == []
    assert v.lookup_token(1) == "b"
    assert v.lookup_tokens([1, 0, 2, 2]) == ["b", "a", "c", "c"]
    assert v.lookup_tokens(torch.tensor([2, 0])) == ["c", "a"]
    assert v.lookup_tokens([]) == []
    assert v.get_itos() == ["a", "b", "c"]
    assert v.get_stoi() == {"a": 0, "b": 1, "c": 2}
    assert (v.vocab.itos_, v.vocab.default_index_) == (["a", "b", "c"], None)
    assert not v.is_jitable


def test_what_is_returned_can_be_changed() -> None:
    v = abc()
    v.get_itos().clear()
    v.vocab.itos_.clear()
    v.get_stoi().clear()
    assert v(["c"]) == [2]
    assert v.get_itos() == ["a", "b", "c"]


@pytest.mark.parametrize("default", [0, 2, 3, 7, -1, -5, INT32_MAX, INT32_MAX + 1, 2**40])
def test_any_int_may_be_the_default_index(default: int) -> None:
    v = abc()
    v.set_default_index(default)
    assert v.get_default_index() == default
    assert v["nowhere"] == default
    assert v(["x", "c", "y", "a"]) == [default, 2, default, 0]
    assert transforms.VocabTransform(v)([["x"], [], ["b", "y"]]) == [[default], [], [1, default]]


def test_without_a_default_index_unknown_tokens_are_an_error() -> None:
    v = abc()
    assert v.get_default_index() is None
    for lookup in (lambda: v["d e"], lambda: v(["a", "d e", "f"]), lambda: v.lookup_indices(["d e"])):
        with raises(RuntimeError, "Token d e not found and default index is not set"):
            lookup()
    with raises(RuntimeError, "Token y not found and default index is not set"):
        transforms.VocabTransform(v)([["a", "b"], [], ["c", "y"], ["z"]])
    v.set_default_index(1)
    assert v["d e"] == 1
    v.set_default_index(None)
    with raises(RuntimeError, "Token d e not found and default index is not set"):
        v(["d e"])
    assert v(["c"]) == [2]


def test_the_default_index_must_be_an_int() -> None:
    for index in (1.0, "a"):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            abc().set_default_index(index)  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [-1, 3, 100])
def test_indices_outside_the_vocabulary_are_refused(index: int) -> None:
    with raises(RuntimeError, f"Specified index {index} is out of bounds for vocab of size 3"):
        abc().lookup_token(index)
    with raises(RuntimeError, f"Specified index {index} at position 2 is out of bounds for vocab of size 3"):
        abc().lookup_tokens([0, 1, index, 55])


@pytest.mark.parametrize(
    ("lookup", "text"),
    [
        (lambda v: v("abc"), "lookup_indices: expected a list of str, found str"),
        (lambda v: v(("a", "b")), "lookup_indices: expected a list of str, found tuple"),
        (lambda v: v(["a", 1]), "token 1 is int; tokens are str or bytes"),
        (lambda v: v[1], "incompatible function arguments"),
        (lambda v: 1 in v, "incompatible function arguments"),
        (lambda v: v.lookup_token("a"), "cannot be interpreted as an integer"),
        (lambda v: v.lookup_tokens([0.0]), "cannot be interpreted as an integer"),
    ],
)
def test_lookups_of_the_wrong_kind(lookup: Callable[[Vocab], Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        lookup(abc())


# Adding tokens


def test_insert_token_moves_the_later_ones_up() -> None:
    for index, expected in enumerate([["x", "a", "b", "c"], ["a", "x", "b", "c"], ["a", "b", "x", "c"]]):
        v = abc()
        v.insert_token("x", index)
        assert v.get_itos() == expected
        assert v.get_stoi() == {token: i for i, token in enumerate(expected)}
        assert v(expected) == [0, 1, 2, 3]
    v = abc()
    v.insert_token("x", 3)
    assert (v["x"], v["c"], v.lookup_token(3), len(v)) == (3, 2, "x", 4)


def test_the_default_index_stays_where_it_is() -> None:
    v = abc()
    v.set_default_index(v["a"])
    v.insert_token("x", 0)
    assert (v.get_default_index(), v["nowhere"], v(["nowhere", "a"])) == (0, 0, [0, 1])


def test_append_token() -> None:
    v = abc()
    v.append_token("x")
    assert ("x" in v, v["x"], v["c"], v.lookup_token(3)) == (True, 3, 2, "x")
    assert v(["x", "c"]) == [3, 2]


def test_insert_token_refuses_an_index_beyond_the_end_or_a_token_it_has() -> None:
    for index in (-1, 4):
        with raises(RuntimeError, f"Specified index {index} is out of bounds for vocab of size 3"):
            abc().insert_token("a", index)
    v = abc()
    v.insert_token("x", 0)
    for token, index in (("b", 2), ("x", 0)):
        with pytest.raises(
            RuntimeError, match=f"^Token {token} not found in Vocab: .* there already, with index {index},"
        ):
            v.insert_token(token, 0)
    assert v.get_itos() == ["x", "a", "b", "c"]


def test_append_token_refuses_a_token_it_has() -> None:
    v = abc()
    with raises(RuntimeError, "Token b already exists in the Vocab with index: 1"):
        v.append_token("b")
    v.append_token("x")
    with raises(RuntimeError, "Token x already exists in the Vocab with index: 3"):
        v.append_token("x")
    v.insert_token("y", 0)
    with raises(RuntimeError, "Token b already exists in the Vocab with index: 2"):
        v.append_token("b")
    for token in (5, b"z"):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            v.append_token(token)  # type: ignore[arg-type]
    assert v.get_itos() == ["y", "a", "b", "c", "x"]


def test_a_token_with_a_lone_surrogate_is_not_added() -> None:
    v = abc()
    with pytest.raises(ValueError, match=r"^append_token: the token has a lone surrogate at character 1, which UTF-8"):
        v.append_token("x\ud800")
    with pytest.raises(ValueError, match=r"^insert_token: the token has a lone surrogate at character 0, which UTF-8"):
        v.insert_token("\ud800", 0)
    v.append_token("x")
    assert v(["a", "x"]) == [0, 3] and v.get_itos() == ["a", "b", "c", "x"]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | st.integers(0, 9), st.booleans()), max_size=12))
@settings(deadline=None)
def test_adding_and_looking_up_in_any_order(steps: list[tuple[str, int | None, bool]]) -> None:
    v, tokens = abc(), ["a", "b", "c"]
    v.set_default_index(-1)
    for token, index, in_lists in steps:
        if token not in tokens:
            if index is None:
                v.append_token(token)
                tokens.append(token)
            else:
                v.insert_token(token, index % (len(tokens) + 1))
                tokens.insert(index % (len(tokens) + 1), token)
        expected = [tokens.index(t) if t in tokens else -1 for t in "abcdefgh"]
        assert (v(list("abcdefgh")) if in_lists else [v[t] for t in "abcdefgh"]) == expected
        assert [t in v for t in "abcdefgh"] == [id >= 0 for id in expected]
        assert (v.get_itos(), len(v)) == (tokens, len(tokens))


# Copies and files


@pytest.mark.parametrize("default", [None, 0, -1])
def test_pickle_state_and_copies(default: int | None) -> None:
    v = build_vocab_from_iterator(ROWS, specials=["<unk>"])
    v.set_default_index(default)
    v.append_token("tab\tnul\0")
    itos = ["<unk>", "Zoë", "hello", "world", "low", "tab\tnul\0"]
    assert v.vocab.__getstate__() == ("0.0.2", [] if default is None else [default], itos, [])
    file = io.BytesIO()
    torch.save(v, file)
    file.seek(0)
    copies = (pickle.loads(pickle.dumps(v)), copy.deepcopy(v), torch.load(file, weights_only=False))
    for other in copies:
        assert isinstance(other, Vocab)
        assert (other.get_itos(), other.get_default_index()) == (itos, default)
        assert other(["low", "tab\tnul\0"]) == [4, 5]
        other.append_token("more")
    assert len(v) == 6


def test_what_torchtext_pickled_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = abc()
    ours.set_default_index(2)
    theirs = pickle.dumps(ours, protocol=2).replace(b"cembrow.compat.torchtext", b"ctorchtext")
    assert b"ctorchtext.vocab.vocab\nVocab" in theirs
    assert b"ctorchtext._torchtext\nVocab" in theirs
    monkeypatch.setitem(sys.modules, "torchtext", torchtext)
    monkeypatch.setitem(sys.modules, "torchtext._torchtext", torchtext._torchtext)
    monkeypatch.setitem(sys.modules, "torchtext.vocab", torchtext.vocab)
    inner = sys.modules["embrow.compat.torchtext.vocab.vocab"]
    monkeypatch.setitem(sys.modules, "torchtext.vocab.vocab", inner)
    read = pickle.loads(theirs)
    assert (read.get_itos(), read.get_default_index()) == (["a", "b", "c"], 2)


def test_states_of_another_kind_are_refused() -> None:
    made = _torchtext.Vocab.__new__(_torchtext.Vocab)
    for state, text in [
        (("0.0.2", [], ["a"]), "Expected deserialized Vocab to have 4 states but found 3 states"),
        (("0.0.2", [], ["a"], [torch.zeros(2)]), "Expected `tensors` states to be empty"),
        (("0.0.1", [], ["a"], []), "Found unexpected version for serialized Vocab: 0.0.1"),
        (("0.0.2", [], ["a", "a"], []), "Duplicate token found in tokens list: a"),
    ]:
        with raises(RuntimeError, text):
            made.__setstate__(state)  # type: ignore[arg-type]


def test_scripting_is_refused() -> None:
    text = "embrow.compat.torchtext: a Vocab cannot be scripted; look tokens up outside of the scripted module"
    with raises(RuntimeError, text):
        abc().__prepare_scriptable__()


def test_without_torch_the_import_says_what_to_install() -> None:
    for module in ("embrow.compat.torchtext", "embrow.compat.torchtext.vocab"):
        code = f"import sys; sys.modules['torch'] = None; import {module}"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        text = 'ImportError: embrow.compat.torchtext needs PyTorch: pip install "embrow[torch]"'
        assert run.stderr.rstrip().endswith(text)


# Transforms


def test_vocab_transform() -> None:
    transform = transforms.VocabTransform(abc())
    assert transform(["a", "b", "c"]) == [0, 1, 2]
    assert transform([["a", "b", "c"], [], ["c"]]) == [[0, 1, 2], [], [2]]
    assert transform([]) == []
    assert transform([[]]) == [[]]
    with pytest.raises(AssertionError, match="expected a Vocab, found dict"):
        transforms.VocabTransform({"a": 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.long, torch.int32, torch.float32])
def test_to_tensor_pads_a_batch(dtype: torch.dtype) -> None:
    for padding_value in (0, -1, 5):
        made = transforms.ToTensor(padding_value=padding_value, dtype=dtype)([[1, 2], [1, 2, 3], []])
        row = [padding_value] * 3
        expected = torch.tensor([[1, 2, padding_value], [1, 2, 3], row], dtype=dtype)
        torch.testing.assert_close(made, expected, rtol=0, atol=0)


def test_to_tensor_without_padding() -> None:
    assert transforms.ToTensor().padding_value is None
    torch.testing.assert_close(transforms.ToTensor()([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 4]]))
    made = transforms.ToTensor(dtype=torch.float64)([[1, 2]])
    torch.testing.assert_close(made, torch.tensor([[1.0, 2.0]], dtype=torch.float64))
    with pytest.raises(ValueError, match="expected sequence of length 1"):
        transforms.ToTensor()([[1], [1, 2]])


def test_to_tensor_of_one_list_is_int64_whatever_the_dtype() -> None:
    for transform in (transforms.ToTensor(), transforms.ToTensor(0), transforms.ToTensor(0, torch.float32)):
        torch.testing.assert_close(transform([1, 2]), torch.tensor([1, 2]))
        assert transform([]).dtype == torch.long
    torch.testing.assert_close(functional.to_tensor([[]], 0), torch.zeros(1, 0, dtype=torch.long))
    torch.testing.assert_close(functional.to_tensor([[1], []], 0.5, torch.float32), torch.tensor([[1.0], [0.5]]))  # type: ignore[arg-type]


def test_truncate() -> None:
    transform = transforms.Truncate(max_seq_len=2)
    assert transform([1, 2, 3]) == [1, 2]
    assert transform([[1, 2], [1, 2, 3], [1], []]) == [[1, 2], [1, 2], [1], []]
    assert transform(["a", "b", "c"]) == ["a", "b"]
    assert transform([["a", "b"], ["a", "b", "c"]]) == [["a", "b"], ["a", "b"]]
    assert transform([]) == []


def test_add_token() -> None:
    begin, end = transforms.AddToken(0), transforms.AddToken(0, begin=False)
    assert begin([1, 2]) == [0, 1, 2]
    assert end([1, 2]) == [1, 2, 0]
    assert begin([[1, 2], [], [3]]) == [[0, 1, 2], [0], [0, 3]]
    assert end([[1, 2], [], [3]]) == [[1, 2, 0], [0], [3, 0]]
    begin, end = transforms.AddToken("<s>"), transforms.AddToken("</s>", begin=False)
    assert begin(["a"]) == ["<s>", "a"]
    assert end(["a"]) == ["a", "</s>"]
    assert begin([["a", "b"], []]) == [["<s>", "a", "b"], ["<s>"]]
    assert end([["a", "b"], []]) == [["a", "b", "</s>"], ["</s>"]]
    assert begin([]) == ["<s>"]
    given = [1]
    transforms.AddToken(0)(given)
    assert given == [1]


def test_pad_transform() -> None:
    pad = transforms.PadTransform(max_length=7, pad_value=3)
    one, two = torch.ones(5), torch.ones(8, 5)
    torch.testing.assert_close(pad(one), torch.tensor([1.0, 1, 1, 1, 1, 3, 3]))
    torch.testing.assert_close(pad(two), torch.cat([two, torch.full((8, 2), 3.0)], 1))
    torch.testing.assert_close(pad(torch.tensor([[4, 5]])), torch.tensor([[4, 5, 3, 3, 3, 3, 3]]))
    for length in (3, 5):
        assert transforms.PadTransform(length, 0)(one) is one
        assert transforms.PadTransform(length, 0)(two) is two


def test_sequential() -> None:
    v = build_vocab_from_iterator([["a", "b", "b"]], specials=["<pad>", "<unk>", "<s>"])
    v.set_default_index(v["<unk>"])
    chain = transforms.Sequential(
        transforms.AddToken("<s>"),
        transforms.Truncate(3),
        transforms.VocabTransform(v),
        transforms.ToTensor(v["<pad>"]),
        transforms.PadTransform(4, v["<pad>"]),
    )
    assert isinstance(chain, torch.nn.Sequential)
    torch.testing.assert_close(chain([["a", "b", "b"], ["x"]]), torch.tensor([[2, 4, 3, 0], [2, 1, 0, 0]]))
    torch.testing.assert_close(chain(["b"]), torch.tensor([2, 3, 0, 0]))


@pytest.mark.parametrize(
    ("transform", "input"),
    [
        (transforms.VocabTransform(abc()), "abc"),
        (transforms.VocabTransform(abc()), [1]),
        (transforms.VocabTransform(abc()), ("a",)),
        (transforms.VocabTransform(abc()), [["a"], "a"]),
        (transforms.VocabTransform(abc()), ["a", ["a"]]),
        (transforms.VocabTransform(abc()), [["a", 1]]),
        (transforms.ToTensor(), ["a"]),
        (transforms.ToTensor(0), [[1], ["a"]]),
        (transforms.ToTensor(), (1, 2)),
        (transforms.ToTensor(), [1.5]),
        (transforms.Truncate(1), "abc"),
        (transforms.Truncate(1), [1, "a"]),
        (transforms.Truncate(1), [[1], ["a"]]),
        (transforms.Truncate(1), [[1.5]]),
        (transforms.Truncate(1), None),
        (transforms.AddToken("a"), [1]),
        (transforms.AddToken(1), ["a"]),
        (transforms.AddToken(1), [["a"]]),
        (transforms.AddToken(1.5), [1]),  # type: ignore[arg-type]
        (transforms.AddToken(1), (1,)),
    ],
)
def test_input_of_another_kind_is_refused(transform: torch.nn.Module, input: Any) -> None:
    with raises(TypeError, "Input type not supported"):
        transform(input)
