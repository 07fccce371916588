"""Tokens of a file -> those to keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def choose_rows(tokens: Sequence[str], wanted: Sequence[str] | None) -> tuple[list[str], npt.NDArray[np.intp], int]:
    """Return the tokens to keep in file order, their rows, and how many repeats were left out."""
    if wanted is None:
        first = dict.fromkeys(tokens)
        if len(first) == len(tokens):
            return list(tokens), np.arange(len(tokens)), 0
    chosen = None if wanted is None else set(wanted)
    rows: dict[str, int] = {}
    duplicates = 0
    for row, token in enumerate(tokens):
        if chosen is not None and token not in chosen:
            continue
        if rows.setdefault(token, row) != row:
            duplicates += 1
    return list(rows), np.fromiter(rows.values(), np.intp, len(rows)), duplicates
