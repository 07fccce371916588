"""Text to counts of tokens, which become a vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from embrow import _core
from embrow._arguments import choice, non_negative
from embrow._files import WINDOW_BYTES, StrPath, lines_of, name_of, opened, windows
from embrow._text import Tokenizer, split_for_kernels
from embrow._threads import resolve_num_threads
from embrow.vocab import PAD, UNK, Vocab, distinct_specials

ROWS_PER_BATCH = 1 << 16
PARTS_PER_WINDOW = 64


class TokenCounter:
    """Counts the tokens of text that may come in parts, in several threads, or from several machines.

    Parameters
    ----------
    tokenizer, lowercase
        As for ``Vocab``.

    Notes
    -----
    Counts and the order in which tokens were first seen are the same for any number of threads, and for counters merged
    in the order of their text the same as for one that saw it all. A counter pickles, so that counting is the map and
    ``merge`` the reduce of a cluster's job.

    In a forked process a counter goes on from what it was at the fork. One that another thread was using just then is
    half changed, and raises RuntimeError there.

    Examples
    --------
    >>> counter = TokenCounter()
    >>> counter.update(["to be or", "not to be"])
    >>> counter.most_common(2)
    [('to', 2), ('be', 2)]
    """

    def __init__(self, *, tokenizer: Tokenizer = "whitespace", lowercase: bool = False) -> None:
        if not callable(tokenizer):
            choice("tokenizer", tokenizer, ("whitespace", "words"))
        self.tokenizer: Tokenizer = tokenizer
        self.lowercase = bool(lowercase)
        self._counts = _core.TokenCounts()

    def __len__(self) -> int:
        """Return the number of different tokens."""
        return len(self._counts)

    def update(
        self, texts: Iterable[Any], *, nulls: Literal["error", "empty"] = "error", num_threads: int | None = None
    ) -> None:
        """Count the tokens of rows of text, given as for ``Vocab.encode``.

        An iterator is read in batches and may be longer than memory. A batch with an error counts nothing.
        """
        empty = choice("nulls", nulls, ("error", "empty")) == "empty"
        self._update(texts, empty, num_threads, "TokenCounter.update")

    def _update(self, texts: Iterable[Any], nulls_empty: bool | None, num_threads: int | None, doing: str) -> None:
        """Count rows; errors begin with `doing`, and tell of no argument for nulls where `nulls_empty` is None."""
        threads = resolve_num_threads(num_threads)
        for first, batch in _batches(texts):
            rows = split_for_kernels(batch, self.tokenizer, self.lowercase, doing, first)
            self._counts.update(*rows, nulls_empty, threads, doing, first)

    def update_file(
        self,
        path: StrPath,
        *,
        encoding: str = "utf-8",
        errors: str = "strict",
        num_threads: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Count the tokens of a text file, plain or compressed, a row to a line; "-" is standard input.

        Memory is bounded: 8 MB and the longest stretch without an ASCII space, tab or line end, or, when the tokenizer
        is a callable, the longest line.

        Parameters
        ----------
        path : str or path
        encoding, errors
            As of ``open``.
        num_threads : int, optional
            As for ``Vocab.encode``.
        progress : callable, optional
            Called with the number of bytes of text read so far.

        Raises
        ------
        ValueError
            The text is not in its encoding, or the compressed data is damaged; what came before is counted.
        """
        read = 0
        # A built-in tokenizer splits at line ends too, and no rule of lowering reaches across white space.
        by_line = callable(self.tokenizer)
        with opened(path, encoding, errors) as file:
            for window in windows(file, b"\n" if by_line else b" \n\t\r", WINDOW_BYTES):
                try:
                    self.update(lines_of(window) if by_line else _parts(window), num_threads=num_threads)
                except ValueError as error:
                    _check_utf8(window, name_of(path), read)
                    where = f"{name_of(path)}: in the text from byte {read} to {read + len(window)}"
                    raise ValueError(f"{where}: {error}") from error
                read += len(window)
                if progress is not None:
                    progress(read)

    def merge(self, other: TokenCounter) -> None:
        """Add another counter's counts; its tokens unseen here come last, in its order.

        Raises
        ------
        ValueError
            The other counter's tokenizer or `lowercase` differs. Of callables that are no functions, as those of
            functools.partial, the type alone is compared.
        """
        if not isinstance(other, TokenCounter):
            raise TypeError(f"TokenCounter.merge takes a TokenCounter, found {type(other).__name__}")
        if _identity(other.tokenizer) != _identity(self.tokenizer) or other.lowercase != self.lowercase:
            raise ValueError(
                f"TokenCounter.merge: one splits by {self.tokenizer!r}, lowercase={self.lowercase}, the other by "
                f"{other.tokenizer!r}, lowercase={other.lowercase}"
            )
        self._counts.merge(other._counts)

    def most_common(self, n: int | None = None) -> list[tuple[str, int]]:
        """Return tokens and counts, most frequent first, ties as first seen; at most `n` of them."""
        return self._counts.items(True, False, non_negative("n", n, default=-1))

    def to_vocab(
        self,
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Iterable[str] = (PAD, UNK),
        specials_first: bool = True,
        pad_token: str | None = PAD,
        unk_token: str | None = UNK,
        ties: Literal["first", "token"] = "first",
    ) -> Vocab:
        """Number the tokens, most frequent first; parameters as for ``Vocab.build``.

        Raises
        ------
        ValueError
            `max_size` has no room for the specials, or pad or unk token is not among the tokens.
        """
        named = distinct_specials(specials)
        fewest = non_negative("min_freq", min_freq, default=1)
        size = non_negative("max_size", max_size, default=-1)
        if max_size is not None and size < len(named):
            raise ValueError(f"max_size is {size}, which has no room for {len(named)} specials")
        by_token = choice("ties", ties, ("first", "token")) == "token"
        table, counts = self._counts.table(named, bool(specials_first), fewest, size, by_token)
        return Vocab._made(table, counts, named, pad_token, unk_token, self.tokenizer, self.lowercase)

    def __getstate__(self) -> tuple[Tokenizer, bool, list[tuple[str, int]]]:
        return self.tokenizer, self.lowercase, self._counts.items(False, False, -1)

    def __setstate__(self, state: tuple[Tokenizer, bool, list[tuple[str, int]]]) -> None:
        self.tokenizer, self.lowercase, items = state
        self._counts = _core.TokenCounts()
        self._counts.add([token for token, _ in items], [count for _, count in items])


def _identity(tokenizer: Tokenizer) -> Any:
    """Return what is equal for equal tokenizers, also for a callable that was pickled, which is another object."""
    if not callable(tokenizer):
        return tokenizer
    names = (getattr(tokenizer, name, None) for name in ("__module__", "__qualname__"))
    return type(tokenizer), *names


def _batches(texts: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield the texts whole, or an iterator's in lists, with the number of the first row."""
    if not isinstance(texts, Iterator):
        yield 0, texts
        return
    first = 0
    while batch := list(itertools.islice(texts, ROWS_PER_BATCH)):
        yield first, batch
        first += len(batch)


def _check_utf8(window: bytes, name: str, first: int) -> None:
    """Raise for a window, the bytes of a file's text from `first` on, that is not UTF-8."""
    try:
        window.decode()
    except UnicodeDecodeError as error:
        at, byte = first + error.start, window[error.start]
        raise ValueError(
            f"{name}: the text is not valid UTF-8 at byte {at} ({byte:#04x}); give its encoding, or errors other than "
            "strict"
        ) from error


def _parts(window: bytes) -> list[bytes]:
    """Cut a window at line ends, or where there are none at spaces, into parts for the threads."""
    size = len(window) // PARTS_PER_WINDOW + 1
    parts = []
    begin = 0
    while begin < len(window):
        end = window.find(b"\n", begin + size) + 1 or window.find(b" ", begin + size) + 1 or len(window)
        parts.append(window[begin:end])
        begin = end
    return parts
