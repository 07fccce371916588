"""Minutes of mixed work in threads and processes at once: `python tests/soak.py --seconds 600`.

Every result is compared with what one thread found before, and the memory of the process must be the same in the last
quarter of the time as in the second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embrow import TokenCounter, Vocab, load_vectors, nn, optim, pad_sequences
from embrow.vectors import WordVectors

THREADS, PROCESSES = 6, 2
LEAST_ROUNDS = 8
MOST_GROWTH = 16 << 20
FORMATS = ("word2vec-binary", "word2vec-text", "glove", "npy", "safetensors", "finalfusion")

chance = random.Random(0)
TEXTS = [
    " ".join(f"w{int(chance.paretovariate(0.7)) % 5000}é" for _ in range(chance.randrange(60))) for _ in range(3000)
]
VOCAB = Vocab.build(TEXTS, num_threads=1)
VECTORS = WordVectors(VOCAB.tokens, np.random.default_rng(0).standard_normal((len(VOCAB), 50)).astype(np.float32))


def encode(threads: int) -> Any:
    ids = VOCAB.encode(TEXTS, num_threads=threads)
    ragged = VOCAB.encode_ragged(TEXTS, num_threads=threads)
    assert np.array_equal(pad_sequences(ragged, value=VOCAB.pad_id, num_threads=threads), ids)
    return int(ids.sum())


def count(threads: int) -> Any:
    parts = [TokenCounter(), TokenCounter()]
    for part, texts in zip(parts, (TEXTS[:1000], TEXTS[1000:]), strict=True):
        part.update(texts, num_threads=threads)
    parts[0].merge(parts[1])
    return parts[0].to_vocab().tokens


def save_and_load(threads: int) -> Any:
    sums = []
    with tempfile.TemporaryDirectory() as folder:
        VOCAB.save(Path(folder, "vocab"))
        assert Vocab.load(Path(folder, "vocab")).tokens == VOCAB.tokens
        for format in FORMATS:
            path = Path(folder, f"v.{format}")
            VECTORS.save(path, format)
            found = load_vectors(path, VOCAB.tokens[::7], format=format, num_threads=threads)
            sums.append((found.tokens[-1], float(found.weight.sum(dtype=np.float64))))
        assert len(list(Path(folder).iterdir())) == 1 + len(FORMATS) + 1  # and the words of the .npy
    return sums


def train(threads: int) -> Any:
    torch.manual_seed(0)
    layer = nn.Embedding(len(VOCAB), 32, padding_idx=VOCAB.pad_id, sparse=True, _weight=torch.ones(len(VOCAB), 32))
    optimizer = optim.Adam(layer.parameters(), lr=0.01)
    ids = torch.from_numpy(VOCAB.encode(TEXTS[:200], num_threads=threads))
    for batch in ids.split(50):
        optimizer.zero_grad()
        layer(batch).square().sum().backward()
        optimizer.step()
    return float(layer.weight.detach().sum(dtype=torch.float64))


WORK: tuple[Callable[[int], Any], ...] = (encode, count, save_and_load, train)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def run_round(pools: list[Executor], expected: list[Any]) -> None:
    jobs = [(kind, chance.randrange(1, 5), chance.choice(pools)) for kind in range(len(WORK)) for _ in range(4)]
    chance.shuffle(jobs)
    calls = [(kind, pool.submit(WORK[kind], threads)) for kind, threads, pool in jobs]
    for kind, call in calls:
        assert call.result() == expected[kind], f"{WORK[kind].__name__}: the result is another"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    end = time.monotonic() + parser.parse_args().seconds
    expected = [work(1) for work in WORK]
    sizes: list[int] = []
    # Forked after threads of ours have run, as a DataLoader's workers are. PyTorch's own threads do not survive it.
    forked = ProcessPoolExecutor(
        PROCESSES, multiprocessing.get_context("fork"), initializer=torch.set_num_threads, initargs=(1,)
    )
    with forked as processes, ThreadPoolExecutor(THREADS) as threads:
        list(processes.map(encode, [2] * PROCESSES))
        while time.monotonic() < end or len(sizes) < LEAST_ROUNDS:
            run_round([processes, threads], expected)
            sizes.append(resident())
    quarter = len(sizes) // 4
    grown = statistics.median(sizes[-quarter:]) - statistics.median(sizes[quarter : 2 * quarter])
    rounds = f"{len(sizes)} rounds of {4 * len(WORK)} jobs"
    print(f"{rounds}; {sizes[-1] / 1e6:.0f} MB, {grown / 1e6:+.0f} MB since the second quarter")
    return 1 if grown > MOST_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
