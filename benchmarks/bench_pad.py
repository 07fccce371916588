"""ids -> batch: `python -m pytest benchmarks/bench_pad.py -s`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from peers import library, numpy_mask, numpy_pad
from table import Peer, Table

from embrow import Ragged, pad_sequences

TITLE = "pad_sequences to int64, 200,000 rows of 11 to 31 ids, Ragged unless said; the peers' lists are made beforehand"
UNIT = "ids"
ROWS = 200_000
TORCH = f"torch {torch.__version__}"

equal = np.testing.assert_array_equal


@pytest.fixture(scope="module")
def ragged(scaled: Callable[[int], int]) -> Ragged:
    random = np.random.default_rng(0)
    lengths = random.integers(11, 32, scaled(ROWS))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Ragged(random.integers(2, 100_000, offsets[-1]), offsets)


def moved(ids: npt.NDArray[Any], padded: Any) -> int:
    """Count the bytes of reading the ids and writing the rectangle, each once."""
    return int(ids.nbytes + padded.nbytes)


def keras(rows: list[Any], aim: float | None, **options: Any) -> Peer:
    def make(module: Any) -> Callable[[], Any]:
        pad = module.utils.pad_sequences
        return functools.partial(pad, rows, dtype="int64", padding="post", truncating="post", **options)

    return library("keras", f"pad_sequences, {type(rows[0]).__name__}s", make, equal, aim)


def torch_pad(rows: list[Any], aim: float | None, **options: Any) -> Peer:
    call = functools.partial(torch.nn.utils.rnn.pad_sequence, rows, batch_first=True, **options)
    return Peer(f"{TORCH} pad_sequence", call, equal, aim)


def test_ragged(table: Table, ragged: Ragged, threads: int) -> None:
    """Pad on either side, cut, and write into memory that is there already."""
    arrays, lengths = ragged.rows(), np.diff(ragged.offsets)
    tensors = [torch.from_numpy(row) for row in arrays]
    pad = functools.partial(pad_sequences, ragged, num_threads=threads)
    values, offsets = torch.as_tensor(ragged.values), torch.as_tensor(ragged.offsets)
    # Without the longest length it pads to the number of all ids.
    nested = torch.nested.nested_tensor_from_jagged(values, offsets, max_seqlen=int(lengths.max()))
    whole = pad()
    compare = functools.partial(table.compare, items=len(ragged.values), moved=moved(ragged.values, whole))
    compare(
        "right",
        pad,
        [
            torch_pad(tensors, 20),
            keras(arrays, 20),
            keras([row.tolist() for row in arrays], 20),
            Peer("NumPy loop", lambda: numpy_pad(arrays, lengths), equal),
            Peer("NumPy mask", lambda: numpy_mask(ragged.values, lengths), equal),
            Peer(f"{TORCH} nested, to_padded_tensor", lambda: nested.to_padded_tensor(0), equal),
            Peer("embrow, 1 thread", lambda: pad_sequences(ragged, num_threads=1), equal),
        ],
    )
    compare(
        "left",
        functools.partial(pad, padding_side="left"),
        [torch_pad(tensors, 20, padding_side="left")],
    )
    out = np.empty_like(whole)
    compare("out=", functools.partial(pad, out=out), [Peer("embrow, right", pad, equal)])
    cut = functools.partial(pad, max_length=16)
    kept = 8 * int(np.minimum(lengths, 16).sum())
    compare("max_length=16", cut, [keras(arrays, 20, maxlen=16)], moved=kept + cut().nbytes)


@pytest.mark.parametrize("kind", ["lists", "arrays", "tensors"])
def test_rows(table: Table, ragged: Ragged, threads: int, kind: str) -> None:
    """Read rows that are Python objects each, as the peers do."""
    arrays = ragged.rows()
    tensors = [torch.from_numpy(row) for row in arrays]
    lengths = np.diff(ragged.offsets)
    rows: list[Any] = {"lists": [row.tolist() for row in arrays], "arrays": arrays, "tensors": tensors}[kind]
    loop = Peer("NumPy loop", lambda: numpy_pad(rows, lengths), equal)
    peers = [torch_pad(rows, None)] if kind == "tensors" else [keras(rows, None), loop]
    table.compare(
        f"list of {kind}",
        lambda: pad_sequences(rows, num_threads=threads),
        peers,
        items=len(ragged.values),
        moved=moved(ragged.values, pad_sequences(ragged)),
    )
