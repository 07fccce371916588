"""An iterable -> the same, made ahead in a thread."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sized
from contextlib import closing, suppress
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Ahead(Generic[T]):
    """What an iterator gives, made by a thread, at most `most` of it before it is asked for; close it at the end."""

    def __init__(self, source: Iterator[T], most: int, thread: str) -> None:
        self._source = source
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(most):
            self._room.put(None)
        self._made: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()
        self._stopped = False
        # Begun by the first that asks, by when somebody is sure to close this.
        self._begun = False
        self._thread = Thread(target=self._make, name=thread, daemon=True)

    def _make(self) -> None:
        try:
            while True:
                self._room.get()
                if self._stopped:
                    return
                self._made.put((next(self._source),))
        except BaseException as error:
            self._made.put(error)

    def __iter__(self) -> Ahead[T]:
        return self

    def __next__(self) -> T:
        if not self._begun:
            self._begun = True
            self._thread.start()
        made = self._made.get()
        if isinstance(made, BaseException):
            self._made.put(StopIteration())
            raise made
        self._room.put(None)
        return made[0]

    def close(self) -> None:
        self._stopped = True
        self._room.put(None)
        with suppress(RuntimeError):  # it has not begun
            self._thread.join()


class _Prefetched(Generic[T]):
    def __init__(self, batches: Iterable[T], most: int) -> None:
        self._batches = batches
        self._most = most

    def __iter__(self) -> Iterator[T]:
        with closing(Ahead(iter(self._batches), self._most, "embrow-prefetch")) as ahead:
            yield from ahead

    def __len__(self) -> int:
        return len(cast(Sized, self._batches))


def prefetch(batches: Iterable[T], prefetch_factor: int = 2) -> _Prefetched[T]:
    """Make batches in a thread while the loop works on the ones before: text is encoded ahead of the training step.

    Encoding holds Python's lock only to find the strings, so one thread beside the loop is enough; no worker process is
    started, or sent anything.

    Parameters
    ----------
    batches : iterable
        For example a DataLoader whose `collate_fn` is made by ``embrow.collate``.
    prefetch_factor : int
        How many batches are made before they are asked for; 1 or more.

    Returns
    -------
    iterable
        The same batches in the same order, each time it is iterated over; its ``len`` is that of `batches`. A loop that
        is left early stops the thread.

    Raises
    ------
    TypeError, ValueError
        `prefetch_factor` is not an integer of 1 or more. What `batches` raises is raised by the loop, in its place.

    Notes
    -----
    It pays where the step leaves a CPU idle, as one on a GPU does: steps of 5.2 ms with ids in memory took 5.3 ms, and
    6.6 ms without it (benchmarks/bench_feed.py). One that keeps all CPUs busy gains nothing. One thread for the text,
    ``collate(vocab, num_threads=1)``, leaves the others to the step.

    The first batch is made while the loop waits for it, so a DataLoader's order, drawn from PyTorch's generator as its
    epoch begins, is the same as without. A dataset or sampler that draws from a global generator later on draws at the
    same time as the loop: give it a generator of its own.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> import embrow
    >>> vocab = embrow.Vocab(["<pad>", "to", "code"])
    >>> loader = DataLoader(["to code", "to", "code"], batch_size=2, collate_fn=embrow.collate(vocab))
    >>> for ids in embrow.prefetch(loader):
    ...     print(ids.tolist())
    [[1, 2], [1, 0]]
    [[2]]
    """
    most = operator.index(prefetch_factor)
    if most < 1:
        raise ValueError(f"prefetch: prefetch_factor must be 1 or more, found {most}")
    return _Prefetched(batches, most)
