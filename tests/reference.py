"""One plain-Python loop per step: the definition of right. Imports nothing from the package."""

from __future__ import annotations

from collections.abc import Sequence


def gather(table: Sequence[Sequence[float]], ids: Sequence[int]) -> list[list[float]]:
    """Ids, table -> rows."""
    rows = []
    for position, id in enumerate(ids):
        if not 0 <= id < len(table):
            raise IndexError(f"position {position} of the ids is {id}")
        rows.append(list(table[id]))
    return rows


def scatter(
    ids: Sequence[int],
    grads: Sequence[Sequence[float]],
    rows: int,
    dim: int,
    *,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> list[list[float]]:
    """Ids, row gradients -> table gradient."""
    table = [[0.0] * dim for _ in range(rows)]
    for position, id in enumerate(ids):
        if id == padding_idx:
            continue
        for column in range(dim):
            term = grads[position][column]
            table[id][column] += term / list(ids).count(id) if scale_grad_by_freq else term
    return table
