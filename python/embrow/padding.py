"""Ids to a batch: ragged rows laid into a rectangle."""

from __future__ import annotations

import operator
from typing import Any, Literal

import numpy as np

from embrow import _core
from embrow._arguments import choice, int_dtype, integer, non_negative, positive, refuse_masked
from embrow._tensors import is_tensor, lies_on_gpu, result_of, target_of
from embrow._threads import resolve_num_threads
from embrow.ragged import Ragged


def pad_sequences(
    sequences: Any,
    max_length: int | None = None,
    *,
    padding_side: Literal["left", "right"] = "right",
    truncation_side: Literal["left", "right"] = "right",
    value: int = 0,
    dtype: Any = "int64",
    pad_to_multiple_of: int | None = None,
    return_tensors: Literal["np", "pt"] = "np",
    return_lengths: bool = False,
    out: Any = None,
    num_threads: int | None = None,
) -> Any:
    """Lay ragged id sequences into one rectangle.

    Parameters
    ----------
    sequences : sequence of int sequences, arrays or tensors; or Ragged, or a tuple of two arrays (values, offsets)
        offsets : int64, shape (rows + 1,); row r is ``values[offsets[r]:offsets[r + 1]]``. Tensors on a GPU are padded
        there, and so the result is a tensor there.
    max_length : int, optional
        Columns, in ids: longer rows are cut, shorter ones padded. Default: the longest row's.
    padding_side, truncation_side : "left" or "right"
        Where padding goes, and where a row that is too long loses ids.
    value : int
        What padding is.
    dtype : "int64" or "int32"
    pad_to_multiple_of : int, optional
        The width is rounded up to it.
    return_tensors : "np" or "pt"
    return_lengths : bool
        Return also each row's number of ids that are no padding, int64, shape (rows,).
    out : array or tensor, shape (rows, width), optional
        Written to and returned. On a GPU if the ids are, else on the CPU.
    num_threads : int, optional
        As for ``Vocab.encode``.

    Returns
    -------
    array or tensor of `dtype`, shape (rows, width), C order; with `return_lengths` a pair of it and the lengths

    Raises
    ------
    ValueError
        offsets decrease, or do not run from 0 to len(values); `out` does not fit; an id does not fit `dtype`.
    TypeError
        A row is no sequence of int, or an id is masked, as in an array of numpy.ma; the message names it.

    Examples
    --------
    >>> pad_sequences([[5, 6, 7], [], [8]], value=-1).tolist()
    [[5, 6, 7], [-1, -1, -1], [8, -1, -1]]
    """
    choice("return_tensors", return_tensors, ("np", "pt"))
    values, offsets = _ragged(sequences)
    wide = int_dtype(dtype).itemsize == 8
    fill = integer("value", value)
    bits = 63 if wide else 31
    if not -(2**bits) <= fill < 2**bits:
        raise ValueError(f"pad_sequences: value {fill} does not fit {'int64' if wide else 'int32'}")
    arguments: dict[str, Any] = {
        "max_length": non_negative("max_length", max_length, default=-1),
        "pad_left": choice("padding_side", padding_side, ("left", "right")) == "left",
        "truncate_left": choice("truncation_side", truncation_side, ("left", "right")) == "left",
        "value": fill,
        "multiple": positive("pad_to_multiple_of", pad_to_multiple_of, default=1),
        "wide": wide,
    }
    if is_tensor(values):
        from embrow import _gpu_pad  # it imports torch

        padded, kept = _gpu_pad.pad_ragged(values, offsets, **arguments, out=out)
        return (padded, kept) if return_lengths else padded
    threads = resolve_num_threads(num_threads)
    target = target_of(out)
    if isinstance(target, np.ndarray):
        # What is written must not be read as what it was.
        values, offsets = (part.copy() if np.may_share_memory(part, target) else part for part in (values, offsets))
    ids, lengths = _core.pad_ragged(values, offsets, **arguments, out=target, threads=threads)
    result = result_of(ids, out, return_tensors, None)
    return (result, result_of(lengths, None, return_tensors, None)) if return_lengths else result


def _ragged(sequences: Any) -> tuple[Any, Any]:
    """Return values, int32 or int64, and int64 offsets; or both as they are, tensors on a GPU."""
    pair = isinstance(sequences, tuple) and len(sequences) == 2 and all(_is_array(part) for part in sequences)
    if pair or isinstance(sequences, Ragged):
        if lies_on_gpu(sequences[0]):
            return sequences[0], sequences[1]
        values, offsets = (_to_numpy(part) if _is_array(part) else np.asarray(part) for part in sequences)
        for name, array in (("values", values), ("offsets", offsets)):
            if array.dtype.kind not in "iu" and array.size:
                raise TypeError(f"pad_sequences: {name} are {array.dtype}; they are integers")
            refuse_masked(f"pad_sequences: {name}", array)
        if values.dtype == np.uint64 and (beyond := np.flatnonzero(values > np.iinfo(np.int64).max)).size:
            at = int(beyond[0])
            raise ValueError(f"pad_sequences: value {values[at]} at position {at} is beyond int64")
        narrow = values.dtype == np.int32
        return np.ascontiguousarray(values, np.int32 if narrow else np.int64), np.ascontiguousarray(offsets, np.int64)
    if isinstance(sequences, str | bytes):
        raise TypeError(f"pad_sequences: expected rows of ids, found one {type(sequences).__name__}")
    rows = sequences if isinstance(sequences, list | tuple) else list(sequences)
    if rows and is_tensor(rows[0]):
        return _ragged_of_tensors(rows)
    return _core.ragged_from_rows(rows)


def _ragged_of_tensors(rows: Any) -> tuple[Any, Any]:
    import torch

    # A call a row in Python would cost more than the copy: what can be, is asked of the joined tensor.
    others = [kind for kind in set(map(type, rows)) if not issubclass(kind, torch.Tensor)]
    if others:
        raise TypeError(f"pad_sequences: rows are tensors and {others[0].__name__}; give rows of one kind")
    dtypes = set(map(operator.attrgetter("dtype"), rows))
    # Joined with integers they are integers.
    if torch.bool in dtypes:
        row = next(number for number, row in enumerate(rows) if row.dtype is torch.bool)
        raise TypeError(f"pad_sequences: row {row} is a tensor of dtype torch.bool; rows are sequences of int")
    # PyTorch joins these with none but their own.
    if len(dtypes) > 1 and not dtypes.isdisjoint((torch.uint16, torch.uint32, torch.uint64)):
        found = " and ".join(sorted(map(str, dtypes)))
        raise TypeError(f"pad_sequences: rows are tensors of {found}; give rows of one dtype")
    with torch.no_grad():
        joined = torch.cat(list(rows)) if all(row.ndim == 1 for row in rows) else None
        if joined is None or joined.is_floating_point() or joined.is_complex():
            joined = torch.cat([_as_integers(number, row) for number, row in enumerate(rows)])
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(torch.numel, rows), dtype=np.int64, count=len(rows)), out=offsets[1:])
    if joined.dtype is torch.uint64 and len(beyond := (joined.view(torch.int64) < 0).nonzero()):
        at = int(beyond[0])
        row = int(np.searchsorted(offsets, at, side="right")) - 1
        raise ValueError(
            f"pad_sequences: row {row} has a value beyond int64 at position {at - offsets[row]}, {joined[at].item()}"
        )
    joined = joined.to(torch.int64)
    if lies_on_gpu(joined):
        return joined, torch.from_numpy(offsets).to(joined.device)
    return _to_numpy(joined), offsets


def _as_integers(number: int, row: Any) -> Any:
    """Return a row of integers, or an empty one whatever its dtype, as int64; raise for others."""
    if row.ndim != 1 or (row.numel() and (row.is_floating_point() or row.is_complex())):
        raise TypeError(
            f"pad_sequences: row {number} is a tensor of dtype {row.dtype}, shape {tuple(row.shape)}; tensors have one "
            "dimension and an integer dtype"
        )
    return row.long()


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or is_tensor(value)


def _to_numpy(value: Any) -> Any:
    if not is_tensor(value):
        return value
    if value.device.type != "cpu":
        raise ValueError(f"pad_sequences: a tensor lies on {value.device}; this build of embrow pads on the CPU alone")
    return value.detach().numpy()
