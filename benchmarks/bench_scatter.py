"""Dense backward of a lookup beside torch's: `python benchmarks/bench_scatter.py`."""

from __future__ import annotations

import argparse

import torch
from bench_gather import SHAPES, batches
from measure import copy_rate, geometric_mean, interleaved
from torch import Tensor

import embrow.functional as F


def main() -> None:
    """Print one line per shape and distribution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    if arguments.threads != torch.get_num_threads():
        torch.set_num_threads(arguments.threads)
    rate = copy_rate()
    print(f"{arguments.threads} threads, copy rate {rate / 1e9:.1f} GB/s (read + written)")
    print(f"{'rows x dim, ids':>28} {'ids':>8} {'torch ms':>9} {'embrow ms':>9} {'ratio':>6} {'of copy rate':>12}")
    ratios = []
    for rows, dim, count in SHAPES:
        table = torch.zeros(rows, dim, requires_grad=True)
        grads = torch.randn(count, dim)
        for name, ids in batches(rows, count):
            outs = {"torch": torch.nn.functional.embedding(ids, table), "embrow": F.embedding(ids, table)}

            def backward(out: Tensor, table: Tensor = table, grads: Tensor = grads) -> Tensor:
                return torch.autograd.grad(out, table, grads, retain_graph=True)[0]

            torch.testing.assert_close(backward(outs["embrow"]), backward(outs["torch"]), rtol=1e-5, atol=1e-4)
            times = interleaved(
                {name: lambda out=out, backward=backward: backward(out) for name, out in outs.items()},
                arguments.repeats,
            )
            ratios.append(times["torch"] / times["embrow"])
            moved = (count + len(torch.unique(ids))) * dim * 4 + count * 8
            print(
                f"{f'{rows:,} x {dim}, {count:,}':>28} {name:>8} {times['torch'] * 1e3:9.3f} "
                f"{times['embrow'] * 1e3:9.3f} {ratios[-1]:6.2f} {moved / times['embrow'] / rate:12.0%}"
            )
    print(f"geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}")


if __name__ == "__main__":
    main()
