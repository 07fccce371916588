"""An iterable -> the same, made ahead in a thread."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator, Sized
from contextlib import closing, suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar, cast
from weakref import WeakSet

from embrow._arguments import positive

T = TypeVar("T")

# Those whose thread may run. As Python ends it ends threads that want its lock, be they in the middle of C++, which
# aborts the process: they are stopped before that.
_begun: WeakSet[Ahead[Any]] = WeakSet()
_LONGEST_WAIT_S = 10.0


@atexit.register
def _stop_all() -> None:
    begun = list(_begun)
    for ahead in begun:
        ahead.stop()
    for ahead in begun:
        ahead.join(_LONGEST_WAIT_S)


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
        if self not in _begun:
            _begun.add(self)
            self._thread.start()
        made = self._made.get()
        if isinstance(made, BaseException):
            self._made.put(StopIteration())
            try:
                raise made
            finally:
                del made  # whose traceback holds this frame
        self._room.put(None)
        return made[0]

    def stop(self) -> None:
        """Let the thread end once it has made what it is making."""
        self._stopped = True
        self._room.put(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end."""
        with suppress(RuntimeError):  # it has not begun, or is this very one, which the collector closes this in
            self._thread.join(timeout)

    def close(self) -> None:
        self.stop()
        self.join()


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
        is left early, by break, an error or Ctrl-C, stops the thread and waits for the batch that it is making.

    Raises
    ------
    TypeError, ValueError
        `batches` cannot be iterated over, or `prefetch_factor` is no integer of 1 or more. What `batches` raises is
        raised by the loop, in its place.

    Notes
    -----
    It pays where the step leaves a CPU idle, as it does while a GPU works: steps that sleep for 5 ms took 5.3 ms each
    with batches of 1,024 rows of text, 6.6 ms without it, and 5.2 ms with ids in memory (benchmarks/bench_feed.py). A
    step that keeps all CPUs busy gains nothing and may lose a tenth. One thread for the text,
    ``collate(vocab, num_threads=1)``, leaves the others to the step.

    The first batch is made while the loop waits for it, so a DataLoader's order, drawn from PyTorch's generator as its
    epoch begins, is the same as without. A dataset or sampler that draws from a global generator later on draws at the
    same time as the loop: give it a generator of its own. What is set for the loop's thread alone, as ``torch.no_grad``
    and the current CUDA device are, is not set where batches are made.

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
    if not hasattr(batches, "__iter__") and not hasattr(batches, "__getitem__"):
        raise TypeError(f"prefetch: batches must be an iterable, found {type(batches).__name__}")
    return _Prefetched(batches, positive("prefetch_factor", prefetch_factor, 2))
