"""text -> ids: `python -m pytest benchmarks/bench_encode.py -s`."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from corpus import ROWS, WORDS, Corpus, make_corpus, make_words
from peers import huggingface_encode, pyarrow_encode, python_encode, split_words
from table import Peer, Table

from embrow import Vocab

TITLE = "Strings to padded int64 ids, 200,000 rows of 21 words, list of str unless said"
UNIT = "tokens"
SPECIALS = ["<pad>", "<unk>"]

Ids = npt.NDArray[np.int64]
equal = np.testing.assert_array_equal


@pytest.fixture(scope="module")
def corpus(scaled: Callable[[int], int]) -> Corpus:
    return make_corpus(scaled(ROWS))


@pytest.fixture(scope="module")
def vocab(corpus: Corpus) -> Vocab:
    return Vocab(SPECIALS + corpus.words)


def moved(corpus: Corpus, ids: Any) -> int:
    """Count the bytes of reading the text and writing the ids, each once."""
    return corpus.text_bytes + int(ids.nbytes)


@pytest.mark.parametrize("size", [30_000, WORDS, 400_000, 3_000_000])
def test_vocabulary_sizes(
    table: Table, corpus: Corpus, vocab: Vocab, scaled: Callable[[int], int], threads: int, size: int
) -> None:
    """Encode with fewer words than the text has, as many, and more, which lie between those of the text."""
    if size <= WORDS:
        tokens = SPECIALS + corpus.words[:size]
    else:
        words = corpus.words + make_words(scaled(size) - WORDS, WORDS) if scaled(size) > WORDS else corpus.words
        order = np.random.default_rng(0).permutation(len(words))
        tokens = SPECIALS + [words[number] for number in order]
    sized = vocab if size == WORDS else Vocab(tokens)
    texts, ids = corpus.texts, {token: number for number, token in enumerate(tokens)}
    peers = [
        Peer("Python: split, dict.get, numpy", lambda: python_encode(texts, ids), equal, 60),
        pyarrow_encode(texts, tokens, None, 8),
        pyarrow_encode(texts, tokens, " ", 8),
        huggingface_encode(texts, tokens, 100),
        Peer("embrow, 1 thread", lambda: sized.encode(texts, num_threads=1), equal, 1.6),
    ]
    if size > WORDS:

        def same(ours: Ids, theirs: Ids) -> None:
            renamed = np.array([ids[token] for token in vocab.tokens])
            equal(ours, renamed[theirs])

        name = f"embrow, {WORDS:,} words"
        peers.append(Peer(name, lambda: vocab.encode(texts, num_threads=threads), same, 0.4))
    table.compare(
        f"{len(tokens) - 2:,} words",
        lambda: sized.encode(texts, num_threads=threads),
        peers,
        items=corpus.tokens,
        moved=moved(corpus, sized.encode(texts)),
    )


def inputs(texts: list[str]) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    """Name each kind of input, the package it needs, and how it is made of the texts."""
    return {
        "Arrow array": ("pyarrow", lambda pyarrow: pyarrow.array(texts)),
        "Arrow array, string_view": ("pyarrow", lambda pyarrow: pyarrow.array(texts, pyarrow.string_view())),
        "polars Series": ("polars", lambda polars: polars.Series(texts)),
        "pandas Series": ("pandas", lambda pandas: pandas.Series(texts)),
        "NumPy StringDType": ("numpy", lambda numpy: numpy.array(texts, numpy.dtypes.StringDType())),
        "NumPy U": ("numpy", lambda numpy: numpy.array(texts)),
        "list of bytes": ("builtins", lambda _: [text.encode() for text in texts]),
        "list of lists of str": ("builtins", lambda _: [text.split() for text in texts]),
    }


@pytest.mark.parametrize("kind", inputs([]))
def test_inputs(table: Table, corpus: Corpus, vocab: Vocab, threads: int, kind: str) -> None:
    """Read other containers than a list of str; Arrow's should be no slower than that."""
    package, make = inputs(corpus.texts)[kind]
    try:
        texts = make(importlib.import_module(package))
    except ImportError as error:
        table.note(f"{kind}: skipped: {error}")
        pytest.skip(str(error))
    aim = 1 if kind == "Arrow array" else None
    encode = functools.partial(vocab.encode, num_threads=threads)
    table.compare(
        kind,
        lambda: encode(texts),
        [Peer("embrow, list of str", lambda: encode(corpus.texts), equal, aim)],
        items=corpus.tokens,
        moved=moved(corpus, encode(corpus.texts)),
    )


def test_arguments(table: Table, corpus: Corpus, vocab: Vocab, threads: int) -> None:
    """Write into memory that is there already, cut rows, write half as many bytes, do not pad."""
    encode = functools.partial(vocab.encode, corpus.texts, num_threads=threads)
    plain = Peer("embrow, plain", encode, equal)
    whole = encode()
    out = np.empty_like(whole)
    count = functools.partial(table.compare, items=corpus.tokens)
    count("out=", lambda: encode(out=out), [plain], moved=moved(corpus, whole))
    narrow = functools.partial(encode, dtype="int32")
    count('dtype="int32"', narrow, [plain], moved=moved(corpus, narrow()))
    ids = vocab.to_dict()
    for length in (16, 32):
        fixed = functools.partial(encode, max_length=length)
        python = functools.partial(python_encode, corpus.texts, ids, max_length=length)
        peer = Peer("Python: split, dict.get, numpy", python, equal, 60)
        count(f"max_length={length}", fixed, [peer], moved=moved(corpus, fixed()))
    ragged = functools.partial(vocab.encode_ragged, corpus.texts, num_threads=threads)

    def same(ours: Any, theirs: Ids) -> None:
        equal(ours.values, theirs[theirs != 0])

    padded = Peer("embrow, plain", encode, same)
    count("encode_ragged", ragged, [padded], moved=moved(corpus, ragged().values) + 8 * len(corpus.texts))


def case_of(name: str, rows: int) -> tuple[Corpus, dict[str, Any], Callable[[str], list[str]]]:
    """Return a case's text, the vocabulary's arguments, and what splits in Python."""
    if name == 'tokenizer="words"':
        return make_corpus(rows, stops=True), {"tokenizer": "words"}, split_words
    if name == "lowercase=True":
        return make_corpus(rows, capitals=True), {"lowercase": True}, lambda text: text.lower().split()
    if name == "Cyrillic, lowercase=True":
        text = make_corpus(rows, alphabet="cyrillic", capitals=True)
        return text, {"lowercase": True}, lambda text: text.lower().split()
    if name == 'Cyrillic, tokenizer="words"':
        return make_corpus(rows, alphabet="cyrillic", stops=True), {"tokenizer": "words"}, split_words
    return make_corpus(rows, alphabet=name.lower()), {}, str.split


CASES = ['tokenizer="words"', "lowercase=True", "Accented", "Cyrillic", "Cyrillic, lowercase=True"]


@pytest.mark.parametrize("name", [*CASES, 'Cyrillic, tokenizer="words"'])
def test_text(table: Table, scaled: Callable[[int], int], threads: int, name: str) -> None:
    """Split by other rules, lower, and read letters beyond ASCII."""
    corpus, arguments, split = case_of(name, scaled(ROWS))
    tokens = [*SPECIALS, ",", ".", *map(str.lower, corpus.words)]
    vocab = Vocab(tokens, **arguments)
    texts, ids = corpus.texts, vocab.to_dict()
    table.compare(
        name,
        lambda: vocab.encode(texts, num_threads=threads),
        [Peer("Python: split, dict.get, numpy", lambda: python_encode(texts, ids, split), equal, 60)],
        items=corpus.tokens,
        moved=moved(corpus, vocab.encode(texts)),
    )
