"""torchtext's transforms: modules that take a list, or a batch of lists, one step further."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from embrow.compat.torchtext import functional as F
from embrow.compat.torchtext.vocab import Vocab

__all__ = ["AddToken", "PadTransform", "Sequential", "ToTensor", "Truncate", "VocabTransform"]


class VocabTransform(Module):
    """Tokens to indices: a list of str, or a batch of such lists, which is looked up in one call.

    Examples
    --------
    >>> from embrow.compat.torchtext.vocab import vocab
    >>> VocabTransform(vocab({"a": 1, "b": 1}))([["b", "a"], ["a"]])
    [[1, 0], [0]]
    """

    def __init__(self, vocab: Vocab) -> None:
        super().__init__()
        if not isinstance(vocab, Vocab):
            raise AssertionError(f"VocabTransform: expected a Vocab, found {type(vocab).__name__}")
        self.vocab = vocab

    def forward(self, input: Any) -> Any:
        """Raise ``TypeError`` for other input, and ``RuntimeError`` for an unknown token without a default index."""
        if not isinstance(input, list):
            raise TypeError(F.UNSUPPORTED)
        try:
            if input and isinstance(input[0], list):
                return self.vocab.vocab.lookup_rows(input)
            return self.vocab.lookup_indices(input)
        except TypeError as error:
            raise TypeError(F.UNSUPPORTED) from error


class ToTensor(Module):
    """Ids to a tensor; see :func:`embrow.compat.torchtext.functional.to_tensor`."""

    def __init__(self, padding_value: int | None = None, dtype: torch.dtype = torch.long) -> None:
        super().__init__()
        self.padding_value = padding_value
        self.dtype = dtype

    def forward(self, input: Any) -> Tensor:
        return F.to_tensor(input, padding_value=self.padding_value, dtype=self.dtype)


class Truncate(Module):
    """The first `max_seq_len` elements; see :func:`embrow.compat.torchtext.functional.truncate`."""

    def __init__(self, max_seq_len: int) -> None:
        super().__init__()
        self.max_seq_len = max_seq_len

    def forward(self, input: Any) -> Any:
        return F.truncate(input, self.max_seq_len)


class AddToken(Module):
    """A token or id at the beginning or the end; see :func:`embrow.compat.torchtext.functional.add_token`."""

    def __init__(self, token: int | str, begin: bool = True) -> None:
        super().__init__()
        self.token = token
        self.begin = begin

    def forward(self, input: Any) -> Any:
        return F.add_token(input, self.token, self.begin)


class PadTransform(Module):
    """Pad the last dimension of a tensor up to `max_length` with `pad_value`; a longer one stays as it is."""

    def __init__(self, max_length: int, pad_value: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.pad_value = float(pad_value)

    def forward(self, x: Tensor) -> Tensor:
        missing = self.max_length - x.size(-1)
        return x if missing <= 0 else torch.nn.functional.pad(x, (0, missing), value=self.pad_value)


class Sequential(torch.nn.Sequential):
    """Transforms one after another.

    Examples
    --------
    >>> from embrow.compat.torchtext.vocab import vocab
    >>> ids = VocabTransform(vocab({"a": 1, "b": 1, "<pad>": 1}))
    >>> Sequential(ids, Truncate(2), ToTensor(padding_value=2))([["b"], ["a", "a", "b"]])
    tensor([[1, 2],
            [0, 0]])
    """

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input
