"""text -> training steps: `python -m pytest benchmarks/bench_feed.py -s`.

What a step waits for its batch, which comes from a DataLoader over rows of str, each time in the same order. A step
keeps these CPUs busy, with an EmbeddingBag, two linear layers and embrow's Adam, or sleeps, as while a GPU works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from corpus import ROWS, make_corpus
from peers import python_encode
from table import OURS, Peer, Table
from torch import Tensor, nn
from torch.utils.data import DataLoader

import embrow
from embrow import Vocab, collate, prefetch
from embrow.optim import Adam

TITLE = "Training fed from rows of str of 21 words: split, look up, pad, then the step"
UNIT = "rows"
DIM, HIDDEN = 64, 256
SLEEP_S = 0.005

Step = Callable[[Tensor], None]


def step_here(vocab: Vocab) -> Step:
    torch.manual_seed(0)
    bag = embrow.nn.EmbeddingBag(len(vocab), DIM, sparse=True, padding_idx=vocab.pad_id)
    model = nn.Sequential(bag, nn.Linear(DIM, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
    optimizer = Adam(model.parameters())

    def step(ids: Tensor) -> None:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(ids), ids[:, 0] % 2)
        loss.backward()
        optimizer.step()

    return step


def step_asleep(_: Vocab) -> Step:
    return lambda _: time.sleep(SLEEP_S)


CASES = {"a step on these CPUs": step_here, f"a step that sleeps {SLEEP_S * 1e3:.0f} ms": step_asleep}


@pytest.mark.parametrize("size", [128, 1024])
@pytest.mark.parametrize("kind", CASES)
def test_feed(table: Table, scaled: Callable[[int], int], threads: int, kind: str, size: int) -> None:
    """Encode ahead, between the steps, before the training, and with Python."""
    corpus = make_corpus()
    vocab = Vocab(["<pad>", "<unk>", *corpus.words])
    texts = corpus.texts[: max(size, scaled(ROWS // 8))]
    lookup = vocab.to_dict()

    def by_python(rows: Sequence[str]) -> Tensor:
        return torch.from_numpy(python_encode(rows, lookup))

    def loader(to_batch: Callable[[Any], Any]) -> DataLoader[Any]:
        return DataLoader(texts, batch_size=size, collate_fn=to_batch)  # type: ignore[arg-type]

    plain = loader(collate(vocab, num_threads=threads))
    python = loader(by_python)
    ahead = prefetch(loader(collate(vocab, num_threads=1)))
    memory = list(plain)
    for batches in (ahead, python):
        for found, expected in zip(batches, memory, strict=True):
            assert torch.equal(found, expected)

    step = CASES[kind](vocab)

    def train(batches: Any) -> None:
        for ids in batches:
            step(ids)

    case = f"{size:,} rows, {kind}"
    table.compare(
        case,
        lambda: train(ahead),
        [
            Peer(f"{OURS}, ids in memory", lambda: train(memory)),
            Peer(f"{OURS}, without prefetch", lambda: train(plain)),
            Peer(f"torch {torch.__version__} DataLoader, Python: split, dict, pad", lambda: train(python)),
        ],
        items=len(texts),
        moved=sum(ids.nbytes for ids in memory),
    )
    rows = [row for row in table.rows if row.case == case]
    shown = [f"{row.peer} {row.peer_ms / len(memory):.2f} ms" for row in rows if row.peer_ms is not None]
    table.note(f"{case}: each takes {rows[0].ours_ms / len(memory):.2f} ms; {'; '.join(shown)}")
