"""Forward lookup under no_grad beside torch.nn.functional.embedding: `python benchmarks/bench_gather.py`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from measure import copy_rate, geometric_mean, interleaved
from torch import Tensor

import embrow.functional as F
from embrow.nn import Embedding

SHAPES = [(10_000, 100, 2_048), (100_000, 300, 16_384), (1_000_000, 128, 32_768), (2_000_000, 64, 65_536)]


def batches(rows: int, count: int) -> Iterator[tuple[str, Tensor]]:
    """Draw `count` ids of a table of `rows`, evenly and by Zipf's law (exponent 1)."""
    random = np.random.default_rng(0)
    yield "uniform", torch.from_numpy(random.integers(0, rows, count))
    cumulative = np.cumsum(1 / np.arange(1, rows + 1))
    ranks = np.searchsorted(cumulative, random.random(count) * cumulative[-1])
    # Frequent words lie anywhere in the table.
    yield "zipf", torch.from_numpy(random.permutation(rows)[np.minimum(ranks, rows - 1)])


def main() -> None:
    """Print one line per shape and distribution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=31)
    arguments = parser.parse_args()
    if arguments.threads != torch.get_num_threads():
        torch.set_num_threads(arguments.threads)
    rate = copy_rate()
    print(f"{arguments.threads} threads, copy rate {rate / 1e9:.1f} GB/s (read + written)")
    print(f"{'rows x dim, ids':>28} {'ids':>8} {'torch ms':>9} {'embrow ms':>9} {'ratio':>6} {'of copy rate':>12}")
    ratios = []
    for rows, dim, count in SHAPES:
        table = torch.randn(rows, dim)
        for name, ids in batches(rows, count):
            with torch.no_grad():
                assert torch.equal(F.embedding(ids, table), torch.nn.functional.embedding(ids, table))
                times = interleaved(
                    {
                        "torch": lambda ids=ids, table=table: torch.nn.functional.embedding(ids, table),
                        "embrow": lambda ids=ids, table=table: F.embedding(ids, table),
                    },
                    arguments.repeats,
                )
            ratios.append(times["torch"] / times["embrow"])
            moved = 2 * count * dim * 4 + count * 8
            print(
                f"{f'{rows:,} x {dim}, {count:,}':>28} {name:>8} {times['torch'] * 1e3:9.3f} "
                f"{times['embrow'] * 1e3:9.3f} {ratios[-1]:6.2f} {moved / times['embrow'] / rate:12.0%}"
            )
    print(f"geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}")

    theirs = torch.nn.Embedding(1000, 8)
    ours = Embedding.from_nn(theirs)
    ids = torch.tensor([1, 2, 3])

    def thousand(layer: torch.nn.Module) -> None:
        for _ in range(1000):
            layer(ids)

    for name, grad in (("no_grad", False), ("with grad", True)):
        with torch.set_grad_enabled(grad):
            times = interleaved({"torch": lambda: thousand(theirs), "embrow": lambda: thousand(ours)}, 31)
        print(f"three ids, {name}: nn.Embedding {times['torch'] * 1e3:.2f} us, embrow {times['embrow'] * 1e3:.2f} us")


if __name__ == "__main__":
    main()
