"""Samples of a dataset -> batches of ids in a DataLoader."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils.data import DataLoader

from embrow import Vocab, collate

VOCAB = Vocab(["<pad>", "<unk>", "to", "code", "be"])
TEXTS = ["to code", "to", "to be", "be", "code unheard"]
IDS = [[[2, 3], [2, 0]], [[2, 4], [4, 0]], [[3, 1]]]


def batches(samples: list[Any], **options: Any) -> list[Any]:
    return list(DataLoader(samples, batch_size=2, collate_fn=collate(VOCAB, **options)))  # type: ignore[arg-type]


def test_text_becomes_ids() -> None:
    for samples in (TEXTS, [text.encode() for text in TEXTS], [text.split() for text in TEXTS]):
        assert [ids.tolist() for ids in batches(samples)] == IDS


class Labelled(NamedTuple):
    text: str
    label: int


def test_named_tuples_keep_their_type() -> None:
    samples = [Labelled("to code", 1), Labelled("to", 0)]
    batch = collate(VOCAB)(samples)
    assert type(batch) is Labelled
    assert batch.label.tolist() == [1, 0]
    expected = collate(VOCAB)([tuple(sample) for sample in samples])
    assert torch.equal(batch.text, expected[0])
    with_lengths = collate(VOCAB, return_lengths=True)(samples)
    assert type(with_lengths) is tuple
    assert len(with_lengths) == 3


def test_tuples_keep_what_stands_beside_the_text() -> None:
    found = batches([(text, number, torch.full((3,), number)) for number, text in enumerate(TEXTS)])
    assert [ids.tolist() for ids, *_ in found] == IDS
    assert [labels.tolist() for _, labels, _ in found] == [[0, 1], [2, 3], [4]]
    assert found[0][2].shape == (2, 3)


def test_mappings_keep_their_other_keys() -> None:
    found = batches([{"body": text, "label": number} for number, text in enumerate(TEXTS)], text_key="body")
    assert [batch["body"].tolist() for batch in found] == IDS
    assert [batch["label"].tolist() for batch in found] == [[0, 1], [2, 3], [4]]
    assert found[0].keys() == {"body", "label"}


def test_lengths_come_behind_the_ids() -> None:
    assert batches(TEXTS, return_lengths=True)[0][1].tolist() == [2, 1]
    ids, lengths, labels = batches([(text, 1) for text in TEXTS], return_lengths=True)[0]
    assert (ids.tolist(), lengths.tolist(), labels.tolist()) == (IDS[0], [2, 1], [1, 1])
    batch = batches([{"text": text} for text in TEXTS], return_lengths=True)[0]
    assert batch["lengths"].tolist() == [2, 1]


def test_arguments_are_those_of_encode() -> None:
    (ids,) = DataLoader(
        TEXTS,  # type: ignore[arg-type]
        batch_size=5,
        collate_fn=collate(VOCAB, max_length=3, padding_side="left", bos_token="be", dtype="int32"),
    )
    expected = VOCAB.encode(TEXTS, max_length=3, padding_side="left", bos_token="be", dtype="int32")
    assert ids.dtype == torch.int32
    assert ids.tolist() == expected.tolist()


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_make_the_same_batches(context: str) -> None:
    loader = DataLoader(
        [(text, 0) for text in TEXTS],  # type: ignore[arg-type]
        batch_size=2,
        num_workers=2,
        collate_fn=collate(VOCAB),
        multiprocessing_context=context,
    )
    assert [ids.tolist() for ids, _ in loader] == IDS


def test_pickles() -> None:
    function = pickle.loads(pickle.dumps(collate(VOCAB, max_length=1)))
    assert function(["to code"]).tolist() == [[2]]


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (["to", ("to", 1)], TypeError, "sample 1 is of type tuple, sample 0 of type str"),
        ([("to", 1), ("to",)], ValueError, "sample 1 is a tuple of 1, sample 0 of 2"),
        ([{"text": "to"}, {"body": "to"}], KeyError, "sample 1 has no 'text'"),
        (["to", None], TypeError, "row 1 is None"),
        (["to", 3], TypeError, "row 1 is int"),
    ],
)
def test_bad_samples_are_named(samples: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        collate(VOCAB)(samples)


def test_wrong_arguments_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="padding_side"):
        collate(VOCAB, padding_side="middle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bos_token 'run'"):
        collate(Vocab(["<pad>", "to"]), bos_token="run")


def test_lengths_of_the_samples_are_not_overwritten() -> None:
    with pytest.raises(ValueError, match='"lengths" already'):
        collate(VOCAB, return_lengths=True)([{"text": "to", "lengths": 7}])
