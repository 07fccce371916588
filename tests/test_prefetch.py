"""An iterable -> the same, made ahead in a thread."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
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
    assert not threads()
    assert len(made) <= 9


@pytest.mark.parametrize("factor", [1, 3])
def test_the_next_batches_are_made_while_the_loop_works(factor: int) -> None:
    begun = [threading.Event() for _ in range(8)]

    def batches() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    for number in prefetch(batches(), factor):
        assert begun[min(number + factor, 7)].wait(10)


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


@pytest.mark.parametrize(
    ("batches", "factor", "error", "message"),
    [
        ([], 0, ValueError, "prefetch_factor is 0; it is 1 or more"),
        ([], -1, ValueError, "prefetch_factor is -1; it is 1 or more"),
        ([], 1.5, TypeError, "'float' object cannot be interpreted as an integer"),
        (5, 1, TypeError, "batches must be an iterable, found int"),
    ],
)
def test_wrong_arguments(batches: Any, factor: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        prefetch(batches, factor)


def test_errors_of_the_loop_stop_the_thread() -> None:
    with pytest.raises(KeyboardInterrupt):
        for _ in prefetch(loader()):
            raise KeyboardInterrupt
    assert not threads()


def test_what_failed_is_let_go() -> None:
    class Batches:
        def __iter__(self) -> Batches:
            return self

        def __next__(self) -> int:
            raise ValueError("no batch")

    gc.disable()
    try:
        source = Batches()
        held = weakref.ref(source)
        with suppress(ValueError):
            list(prefetch(source))
        del source
        assert held() is None
    finally:
        gc.enable()


def test_a_process_may_end_while_batches_are_made() -> None:
    code = """
        from embrow import Vocab, prefetch
        vocab = Vocab(["<pad>", "<unk>"])
        rows = ["to be or not"] * 3000
        batches = iter(prefetch((vocab.encode(rows, num_threads=1) for _ in range(10**6)), 50))
        next(batches)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
