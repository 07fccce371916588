"""Rows of unequal length in two arrays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


class Ragged(NamedTuple):
    """Ragged ids: row r is ``values[offsets[r]:offsets[r + 1]]``.

    Attributes
    ----------
    values : int32 or int64 array or tensor, shape (ids,)
    offsets : int64 array or tensor, shape (rows + 1,)

    Examples
    --------
    >>> import numpy as np
    >>> ragged = Ragged(np.array([5, 6, 7]), np.array([0, 2, 2, 3]))
    >>> [row.tolist() for row in ragged.rows()]
    [[5, 6], [], [7]]
    """

    values: Any
    offsets: Any

    def rows(self) -> list[Any]:
        """Return each row, a view of `values`."""
        bounds = self.offsets.tolist()
        return [self.values[begin:end] for begin, end in itertools.pairwise(bounds)]

    def to_nested(self) -> torch.Tensor:
        """Return a ``torch.nested`` tensor of jagged layout over the same memory."""
        import torch

        return torch.nested.nested_tensor_from_jagged(torch.as_tensor(self.values), torch.as_tensor(self.offsets))

    @classmethod
    def from_nested(cls, nested: torch.Tensor) -> Ragged:
        """Make a Ragged of a ``torch.nested`` tensor of jagged layout, over the same memory.

        Raises
        ------
        ValueError
            `nested` is not of jagged layout, or has gaps between rows.
        """
        import torch

        if nested.layout is not torch.jagged or nested.lengths() is not None:  # type: ignore[attr-defined]
            raise ValueError("Ragged.from_nested: expected a nested tensor of jagged layout without gaps")
        return cls(nested.values(), nested.offsets().to(torch.int64))  # type: ignore[attr-defined]

    def numpy(self) -> tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.int64]]:
        """Return both as arrays, over the same memory where that is the CPU's."""
        return np.asarray(self.values), np.asarray(self.offsets, dtype=np.int64)
