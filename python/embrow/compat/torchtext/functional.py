"""torchtext's functions on lists of tokens or ids, and on batches of such lists."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from embrow.padding import pad_sequences

__all__ = ["add_token", "to_tensor", "truncate"]

UNSUPPORTED = "Input type not supported"


def _is_batch(input: Any, *kinds: type) -> bool:
    """Return whether `input` is a list of lists of one of the kinds, not a list of it; refuse anything else."""
    if isinstance(input, list):
        for kind in kinds:
            if all(isinstance(element, kind) for element in input):
                return False
        if all(isinstance(row, list) for row in input):
            for kind in kinds:
                if all(isinstance(element, kind) for row in input for element in row):
                    return True
    raise TypeError(UNSUPPORTED)


def to_tensor(input: Any, padding_value: int | None = None, dtype: torch.dtype = torch.long) -> Tensor:
    """Turn ids into a tensor.

    Parameters
    ----------
    input : list of int, or list of such lists
    padding_value : int, optional
        Fills the rows of a batch up to the longest. Without it they must be equally long.
    dtype : torch.dtype
        Of a batch; as in torchtext, a single list always becomes int64.

    Returns
    -------
    Tensor, shape (ids,) or (rows, width)

    Raises
    ------
    TypeError
        `input` is neither.
    """
    if not _is_batch(input, int):
        return torch.tensor(input, dtype=torch.long)
    if padding_value is None:
        return torch.tensor(input, dtype=dtype)
    if dtype is torch.long and isinstance(padding_value, int):
        padded: Tensor = pad_sequences(input, value=padding_value, return_tensors="pt")
        return padded
    rows = [torch.tensor(ids, dtype=dtype) for ids in input]
    return pad_sequence(rows, batch_first=True, padding_value=float(padding_value))


def truncate(input: Any, max_seq_len: int) -> Any:
    """Keep the first `max_seq_len` elements of a list of int or str, or of each list of a batch.

    Raises
    ------
    TypeError
        `input` is neither.
    """
    if _is_batch(input, int, str):
        return [row[:max_seq_len] for row in input]
    return input[:max_seq_len]


def add_token(input: Any, token_id: Any, begin: bool = True) -> Any:
    """Put a token or an id before (``begin=False``: after) a list of its kind, or each list of a batch.

    Raises
    ------
    TypeError
        `input` is neither, or holds another kind than `token_id`.
    """
    if not isinstance(token_id, int | str):
        raise TypeError(UNSUPPORTED)
    kind = int if isinstance(token_id, int) else str
    if _is_batch(input, kind):
        return [[token_id, *row] if begin else [*row, token_id] for row in input]
    return [token_id, *input] if begin else [*input, token_id]
