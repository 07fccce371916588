"""Training steps of a table with sparse gradients beside torch's optimizers: `python benchmarks/bench_update.py`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from bench_gather import SHAPES, batches
from measure import copy_rate, geometric_mean, interleaved
from torch import Tensor

import embrow.nn
from embrow import optim

# Name: ours, torch's, the rows of a table that a step reads and writes for each row it updates.
PEERS: dict[str, tuple[Any, Any, int]] = {
    "SGD": (optim.SGD, torch.optim.SGD, 2),
    "Adagrad": (optim.Adagrad, torch.optim.Adagrad, 4),
    "Adam": (optim.Adam, torch.optim.SparseAdam, 6),
}
TWEETS = (41_000, 50, 960)  # a batch of 32 texts of 30 tokens


def trainer(
    layer: torch.nn.Embedding, optimizer: torch.optim.Optimizer, ids: Tensor, grads: Tensor
) -> Callable[[], None]:
    """Return one whole training step: forward, backward, update."""

    def step() -> None:
        optimizer.zero_grad()
        layer(ids).backward(grads)
        optimizer.step()

    return step


def main() -> None:
    """Print one line per optimizer, shape and distribution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--optimizers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--dense", action="store_true", help="dense fused Adam and catch_up=True beside Adam, too")
    arguments = parser.parse_args()
    if arguments.threads != torch.get_num_threads():
        torch.set_num_threads(arguments.threads)
    torch.sparse.check_sparse_tensor_invariants.disable()
    rate = copy_rate()
    print(f"{arguments.threads} threads, copy rate {rate / 1e9:.1f} GB/s (read + written)")
    print(
        f"{'optimizer':>9} {'rows x dim, ids':>26} {'ids':>8} {'torch ms':>9} {'embrow ms':>9} {'ratio':>6} "
        f"{'of copy rate':>12}"
    )
    for name in arguments.optimizers:
        ours, torchs, passes = PEERS[name]
        ratios = []
        for rows, dim, count in [TWEETS, *SHAPES]:
            for spread, ids in batches(rows, count):
                grads = torch.randn(count, dim)
                weight = torch.randn(rows, dim)
                layers = {
                    "torch": torch.nn.Embedding(rows, dim, sparse=True, _weight=weight.clone()),
                    "embrow": embrow.nn.Embedding(rows, dim, sparse=True, _weight=weight.clone()),
                }
                steps = {
                    "torch": trainer(layers["torch"], torchs(layers["torch"].parameters()), ids, grads),
                    "embrow": trainer(layers["embrow"], ours(layers["embrow"].parameters()), ids, grads),
                }
                if name == "Adam" and arguments.dense:
                    late = embrow.nn.Embedding(rows, dim, sparse=True, _weight=weight.clone())
                    optimizer = ours(late.parameters(), catch_up=True)
                    optimizer.attach(late)
                    steps["catch_up"] = trainer(late, optimizer, ids, grads)
                    dense = torch.nn.Embedding(rows, dim, _weight=weight.clone())
                    steps["dense"] = trainer(dense, torch.optim.Adam(dense.parameters(), fused=True), ids, grads)
                times = interleaved(steps, arguments.repeats)
                torch.testing.assert_close(layers["embrow"].weight, layers["torch"].weight, rtol=1e-4, atol=1e-4)
                ratios.append(times["torch"] / times["embrow"])
                moved = (3 * count + passes * len(torch.unique(ids))) * dim * 4
                line = (
                    f"{name:>9} {f'{rows:,} x {dim}, {count:,}':>26} {spread:>8} {times['torch'] * 1e3:9.3f} "
                    f"{times['embrow'] * 1e3:9.3f} {ratios[-1]:6.2f} {moved / times['embrow'] / rate:12.0%}"
                )
                if "dense" in times:
                    line += f"   catch_up {times['catch_up'] * 1e3:.3f} ms, dense {times['dense'] * 1e3:.1f} ms"
                print(line, flush=True)
        print(f"{name:>9} geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}")


if __name__ == "__main__":
    main()
