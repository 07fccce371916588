"""Scatters named on the command line, for a process whose memory traffic is counted.

Each argument is DTYPE,ROWS,DIM,COUNT,IDS,ORDER, with IDS one of distinct, zipf, equal and ORDER ordered or atomic.
Prints, as one line of JSON per scatter, the 32-byte sectors that the gradients and what tells where they are span, and
the rows written; and how many times the most frequent id occurs.
"""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
from scattering import ITEMS, Scatter
from traffic import SECTOR, spanned


def draw(kind: str, count: int, rows: int) -> np.ndarray:
    generator = np.random.default_rng(1)
    if kind == "distinct":
        return generator.permutation(rows)[:count]
    return generator.zipf(1.2, count) % rows if kind == "zipf" else np.full(count, rows // 2)


def main() -> None:
    device, kernels = importlib.import_module("cudasim"), importlib.import_module("embrow._cuda")
    for argument in sys.argv[1:]:
        dtype, rows, dim, count, kind, order = argument.split(",")
        ids = draw(kind, int(count), int(rows))
        job = Scatter(dtype, int(rows), int(dim), ids, atomic=order == "atomic")
        found, expected = job.cuda(device, kernels), job.cpu()
        if job.atomic:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
        else:
            np.testing.assert_array_equal(found, expected)
        row_bytes = job.dim * np.dtype(ITEMS[dtype]).itemsize
        seen, times = np.unique(ids, return_counts=True)
        index = -(-4 * ids.size // SECTOR) + 2 * -(-4 * seen.size // SECTOR)
        fewest = {
            "load": spanned(np.arange(ids.size) * row_bytes, row_bytes) + index,
            "store": spanned(seen * row_bytes, row_bytes),
            "most": int(times.max()),
        }
        print(json.dumps(fewest))


if __name__ == "__main__":
    main()
