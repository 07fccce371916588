"""Tokens of a file -> those to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Choice(NamedTuple):
    """The tokens to keep in file order, their rows, and how many repeats were left out, of `total` tokens."""

    tokens: list[str]
    rows: npt.NDArray[np.intp]
    duplicates: int
    total: int
    bad_utf8: int = 0


def choose_rows(tokens: Iterable[str], wanted: Sequence[str] | None, limit: int) -> Choice:
    """Choose among the first `limit` tokens; others than those chosen are not held."""
    if wanted is None:
        tokens = list(tokens)
        first = dict.fromkeys(tokens[:limit])
        if len(first) == min(limit, len(tokens)):
            return Choice(list(first), np.arange(len(first)), 0, len(tokens))
    else:
        # As where tokens are looked up in UTF-8, one that has none is refused.
        "".join(wanted).encode()
    chosen = None if wanted is None else frozenset(wanted)
    rows: dict[str, int] = {}
    duplicates = total = 0
    for row, token in enumerate(tokens):
        total = row + 1
        if row < limit and (chosen is None or token in chosen) and rows.setdefault(token, row) != row:
            duplicates += 1
    return Choice(list(rows), np.fromiter(rows.values(), np.intp, len(rows)), duplicates, total)
