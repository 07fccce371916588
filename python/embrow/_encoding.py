"""Rows of text and a vocabulary -> what the encoding kernels are told of them, and the rectangle that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._arguments import check_token, choice, int_dtype, non_negative, positive
from embrow._tensors import import_torch
from embrow._text import split_for_kernels
from embrow._threads import resolve_num_threads

if TYPE_CHECKING:
    from embrow.vocab import Vocab


def text_arguments(
    vocab: Vocab,
    texts: Iterable[Any],
    max_length: int | None,
    dtype: Any,
    num_threads: int | None,
    doing: str,
    nulls: str | None = None,
    bos_token: str | None = None,
    eos_token: str | None = None,
    truncation_side: str = "right",
    first_row: int = 0,
) -> dict[str, Any]:
    """Return what the kernels are told of text; nulls are None where the caller's caller has no say in them.

    Errors begin with `doing` and count rows from `first_row`.
    """
    texts, tokenizer, lowercase = split_for_kernels(texts, vocab.tokenizer, vocab.lowercase, doing, first_row)
    bos, eos = _frame_id(vocab, "bos_token", bos_token), _frame_id(vocab, "eos_token", eos_token)
    return {
        "texts": texts,
        "tokenizer": tokenizer,
        "lowercase": lowercase,
        "nulls_empty": None if nulls is None else choice("nulls", nulls, ("error", "empty")) == "empty",
        "unk_id": -1 if vocab.unk_id is None else vocab.unk_id,
        "bos_id": bos,
        "eos_id": eos,
        "max_length": non_negative("max_length", max_length, default=-1),
        "truncate_left": choice("truncation_side", truncation_side, ("left", "right")) == "left",
        "wide": int_dtype(dtype).itemsize == 8,
        "threads": resolve_num_threads(num_threads),
        "doing": doing,
        "first_row": first_row,
    }


def pad_arguments(vocab: Vocab, padding_side: str = "right", multiple: int | None = None) -> dict[str, Any]:
    """Return what the kernels are told of padding, beside `text_arguments`."""
    return {
        "pad_left": choice("padding_side", padding_side, ("left", "right")) == "left",
        "pad_id": -1 if vocab.pad_id is None else vocab.pad_id,
        "multiple": positive("pad_to_multiple_of", multiple, default=1),
    }


def padded_here(vocab: Vocab, arguments: dict[str, Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return ids, padded on the right, and lengths, made by the CPU wherever the vocabulary lies."""
    ids, lengths = _core.encode_padded(vocab._table, **arguments, **pad_arguments(vocab), out=None, lengths=True)
    assert lengths is not None
    return ids, lengths


def padded_on_gpu(vocab: Vocab, device: Any, out: Any, arguments: dict[str, Any]) -> tuple[Any, Any] | None:
    """Return ids and lengths that a GPU made, of text and padding, or None where the CPU makes them."""
    if vocab.tokenizer != "whitespace" or vocab.lowercase:
        return None
    import_torch()
    from embrow import _gpu, _gpu_encode

    where = _gpu.served(device)
    if where is None:
        return None
    # They are read once more if they turn out to be tokens.
    if isinstance(arguments["texts"], Iterator):
        arguments["texts"] = list(arguments["texts"])
    of_cpu = ("tokenizer", "lowercase", "doing", "first_row")
    options = {name: value for name, value in arguments.items() if name not in of_cpu}
    return _gpu_encode.encode_padded(vocab._table, device=where, out=out, **options)


def _frame_id(vocab: Vocab, role: str, token: str | None) -> int:
    check_token(role, token)
    if token is None:
        return -1
    found = vocab._table.find(token)
    if found < 0:
        raise ValueError(f"{role} {token!r} is not in the vocabulary")
    return found
