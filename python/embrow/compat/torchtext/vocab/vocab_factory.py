"""Counts or rows of tokens to a vocabulary, by torchtext's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping

from embrow.compat.torchtext import _torchtext
from embrow.compat.torchtext.vocab.vocab import Vocab
from embrow.counter import TokenCounter


def vocab(
    ordered_dict: MutableMapping[str, int],
    min_freq: int = 1,
    specials: list[str] | None = None,
    special_first: bool = True,
) -> Vocab:
    """Number the tokens of a dict in its own order.

    Parameters
    ----------
    ordered_dict : dict of str to int
        Tokens and how often they occur. As in torchtext, the specials are removed from it.
    min_freq : int
        Tokens that occur less often are left out; specials are not.
    specials : list of str, optional
        Kept in this order, before all others or (``special_first=False``) after them.

    Raises
    ------
    RuntimeError
        A special occurs twice.

    Examples
    --------
    >>> from embrow.compat.torchtext.vocab import vocab
    >>> vocab({"run": 1, "to": 3, "code": 2}, min_freq=2, specials=["<unk>"]).get_itos()
    ['<unk>', 'to', 'code']
    """
    specials = list(specials or [])
    for token in specials:
        ordered_dict.pop(token, None)
    tokens = [token for token, count in ordered_dict.items() if count >= min_freq]
    return Vocab(_torchtext.Vocab(specials + tokens if special_first else tokens + specials, None))


def build_vocab_from_iterator(
    iterator: Iterable[Iterable[str]],
    min_freq: int = 1,
    specials: list[str] | None = None,
    special_first: bool = True,
    max_tokens: int | None = None,
) -> Vocab:
    """Count the tokens of many rows and number them: most frequent first, ties by code point.

    Parameters
    ----------
    iterator : iterable of iterables of str
        Each a row of tokens. A row that is one str is a row of its characters.
    min_freq, specials, special_first
        As for ``vocab``.
    max_tokens : int, optional
        Keep the ``max_tokens - len(specials)`` most frequent tokens at most. They are chosen before rare tokens, and
        specials that occur in the rows, are left out: the result can be shorter.

    Raises
    ------
    AssertionError
        `max_tokens` leaves no room beside the specials.

    Examples
    --------
    >>> from embrow.compat.torchtext.vocab import build_vocab_from_iterator
    >>> build_vocab_from_iterator([["b", "a"], ["c", "a"]], specials=["<unk>"]).get_itos()
    ['<unk>', 'a', 'b', 'c']
    """
    limit = -1
    if max_tokens is not None:
        limit = max_tokens - len(specials or [])
        if limit <= 0:
            raise AssertionError("len(specials) >= max_tokens, so the vocab will be entirely special tokens.")
    counter = TokenCounter()
    counter.update(_token_lists(iterator))
    ranked = dict(counter._counts.items(True, True, limit))
    return vocab(ranked, min_freq=min_freq, specials=specials, special_first=special_first)


def _token_lists(rows: Iterable[Iterable[str]]) -> Iterator[list[str]]:
    for row in rows:
        yield row if isinstance(row, list) else list(row)
