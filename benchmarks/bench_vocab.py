"""text -> vocabulary, and file -> vocabulary: `python -m pytest benchmarks/bench_vocab.py -s`."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import ROWS, Corpus, make_corpus, make_words
from peers import Split, huggingface_build, library, python_build, sklearn_build, split_words
from table import Peer, Table

from embrow import Vocab

TITLE = "Vocab.build from 200,000 rows of 21 words, list of str unless said; Vocab.load of 3,000,000 tokens"
UNIT = "tokens"
SAVED = 3_000_000


@pytest.fixture(scope="module")
def corpus(scaled: Callable[[int], int]) -> Corpus:
    return make_corpus(scaled(ROWS))


def same_tokens(ours: Vocab, theirs: list[str]) -> None:
    assert ours.tokens[2:] == theirs


def test_build(table: Table, corpus: Corpus, threads: int) -> None:
    """Count and sort; Hugging Face orders ties by token, scikit-learn all tokens, so theirs is compared so."""
    texts = corpus.texts

    def build(**options: Any) -> Vocab:
        return Vocab.build(texts, num_threads=threads, **options)

    def same_by_token(_: Vocab, theirs: Any) -> None:
        by_token = build(ties="token")
        assert by_token.to_dict() == theirs.get_vocab()

    def same_set(ours: Vocab, theirs: Any) -> None:
        assert sorted(ours.tokens[2:]) == theirs.get_feature_names_out().tolist()

    table.compare(
        "build",
        build,
        [
            Peer("Python: Counter, sorted", lambda: python_build(texts), same_tokens, 15),
            huggingface_build(texts, len(corpus.words) + 2, same_by_token),
            sklearn_build(texts, same_set),
            Peer("embrow, 1 thread", lambda: Vocab.build(texts, num_threads=1), same_vocab),
        ],
        items=corpus.tokens,
        moved=corpus.text_bytes,
    )
    table.compare(
        'build, ties="token"',
        lambda: build(ties="token"),
        [Peer('embrow, ties="first"', build, same_sorted)],
        items=corpus.tokens,
        moved=corpus.text_bytes,
    )


def same_sorted(ours: Vocab, theirs: Vocab) -> None:
    assert sorted(ours.tokens) == sorted(theirs.tokens)


def same_vocab(ours: Vocab, theirs: Vocab) -> None:
    assert ours.tokens == theirs.tokens
    np.testing.assert_array_equal(ours.counts, theirs.counts)


def test_build_from_arrow(table: Table, corpus: Corpus, threads: int) -> None:
    array = pytest.importorskip("pyarrow").array(corpus.texts)
    table.compare(
        "build, Arrow array",
        lambda: Vocab.build(array, num_threads=threads),
        [Peer("embrow, list of str", lambda: Vocab.build(corpus.texts, num_threads=threads), same_vocab, 1)],
        items=corpus.tokens,
        moved=corpus.text_bytes,
    )


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Split]] = {
    'build, tokenizer="words"': ({"stops": True}, {"tokenizer": "words"}, split_words),
    "build, lowercase=True": ({"capitals": True}, {"lowercase": True}, lambda text: text.lower().split()),
    "build, Cyrillic": ({"alphabet": "cyrillic"}, {}, str.split),
}


@pytest.mark.parametrize("name", CASES)
def test_build_other_text(table: Table, scaled: Callable[[int], int], threads: int, name: str) -> None:
    """Split by other rules, lower, and read letters beyond ASCII."""
    text, options, split = CASES[name]
    corpus = make_corpus(scaled(ROWS), **text)
    table.compare(
        name,
        lambda: Vocab.build(corpus.texts, num_threads=threads, **options),
        [Peer("Python: Counter, sorted", lambda: python_build(corpus.texts, split), same_tokens, 15)],
        items=corpus.tokens,
        moved=corpus.text_bytes,
    )


def test_load(table: Table, scaled: Callable[[int], int], tmp_path: Path) -> None:
    """Read a saved vocabulary, ready to encode with; peers read the dict that `dict.get` needs."""
    vocab = Vocab(["<pad>", "<unk>", *make_words(scaled(SAVED) - 2)])
    ids = vocab.to_dict()
    vocab.save(tmp_path / "vocab")
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    (tmp_path / "vocab.pickle").write_bytes(pickle.dumps(ids))
    row = [" ".join(vocab.tokens[-3:])]

    def load_json() -> Any:
        with open(tmp_path / "vocab.json") as file:
            return json.load(file)

    def load_pickle() -> Any:
        with open(tmp_path / "vocab.pickle", "rb") as file:
            return pickle.load(file)

    def same(ours: Vocab, theirs: dict[str, int]) -> None:
        assert ours.to_dict() == theirs

    def load() -> Vocab:
        return Vocab.load(tmp_path / "vocab")

    def huggingface(tokenizers: Any) -> Callable[[], Any]:
        model = tokenizers.models.WordLevel(ids, unk_token="<unk>")
        tokenizers.Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
        return lambda: tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))

    def same_tokenizer(ours: Vocab, theirs: Any) -> None:
        assert ours.to_dict() == theirs.get_vocab()

    size = (tmp_path / "vocab").stat().st_size
    table.compare(
        f"load {len(vocab):,} tokens",
        load,
        [
            Peer("Python: json.load", load_json, same, 10),
            Peer("Python: pickle.load", load_pickle, same),
            library("tokenizers", "Tokenizer.from_file", huggingface, same_tokenizer),
        ],
        items=len(vocab),
        moved=size,
    )
    table.compare(
        "load and encode one row",
        lambda: load().encode(row, num_threads=1),
        [Peer("embrow, load", load)],
        items=len(vocab),
        moved=size,
    )
    table.note(f"saved {len(vocab):,} tokens: {size / 1e6:,.1f} MB; the files lie in the page cache")
