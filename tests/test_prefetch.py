"""An iterable -> the same, made ahead in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from embrow import Vocab, collate, prefetch

VOCAB = Vocab(["<pad>", "<unk>", *(f"w{i}" for i in range(50))])
TEXTS = [" ".join(f"w{(i * k) % 60}" for k in range(1, 1 + i % 7)) for i in range(101)]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "embrow-prefetch"]


def loader(**options: Any) -> DataLoader[Any]:
    return DataLoader(TEXTS, batch_size=8, collate_fn=collate(VOCAB), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [1, 2, 50])
def test_batches_are_the_same_in_every_epoch(factor: int) -> None:
    batches = prefetch(loader(), factor)
    assert len(batches) == 13
    expected = [ids.tolist() for ids in loader()]
    for _ in range(3):
        assert [ids.tolist() for ids in batches] == expected
    assert not threads()


def test_shuffling_and_what_the_loop_draws_are_as_without() -> None:
    def epoch(batches: Any) -> list[Any]:
        torch.manual_seed(3)
        return [(ids.tolist(), torch.rand(2).tolist()) for _ in range(2) for ids in batches]

    plain = loader(shuffle=True)
    assert epoch(prefetch(plain)) == epoch(plain)
    with_workers = loader(shuffle=True, num_workers=2)
    assert epoch(prefetch(with_workers)) == epoch(plain)


def test_no_more_is_made_than_asked_for() -> None:
    made = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    for number in prefetch(numbers(), 3):
        time.sleep(0.002)
        assert made[-1] <= number + 3
        if number == 5:
            break
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not threads()
    assert len(made) <= 9


def test_the_next_batch_is_made_while_the_loop_works() -> None:
    begun = [threading.Event() for _ in range(4)]

    def batches() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    for number in prefetch(batches(), 1):
        assert begun[min(number + 1, 3)].wait(10)


def test_what_a_batch_raises_is_raised_in_its_place() -> None:
    bad = DataLoader([*TEXTS[:16], None, *TEXTS[:7]], batch_size=8, collate_fn=collate(VOCAB))  # type: ignore[list-item,arg-type]
    found = []
    with pytest.raises(TypeError, match="None"):
        for ids in prefetch(bad):
            found.append(ids)
    assert len(found) == 2
    assert not threads()


def test_iterators_and_what_has_no_length() -> None:
    batches = prefetch(iter([1, 2, 3]))
    assert list(batches) == [1, 2, 3]
    assert list(batches) == []
    with pytest.raises(TypeError, match="len"):
        len(batches)


@pytest.mark.parametrize(("factor", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_wrong_factors(factor: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        prefetch([], factor)
