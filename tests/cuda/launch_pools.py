"""Poolings named on the command line, for a process whose memory traffic is counted.

Each argument is MODE,DTYPE,DIM,GAP,LENGTH,COUNT: bags of about LENGTH ids. Prints, as one line of JSON for each, the
32-byte sectors that the rows read, each bag's ids and the offsets span, and the rows written.
"""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
from pooling import Pool, elements, offsets_of
from traffic import SECTOR, spanned


def main() -> None:
    device, kernels = importlib.import_module("cudasim"), importlib.import_module("embrow._cuda")
    for argument in sys.argv[1:]:
        mode, dtype, *numbers = argument.split(",")
        dim, gap, length, count = (int(number) for number in numbers)
        draw = np.random.default_rng(1)
        lengths = draw.integers(max(length // 2, 1), 2 * length, count)
        table = elements(draw.normal(size=(1000, dim)), dtype)
        ids = draw.integers(0, len(table), lengths.sum())
        offsets = offsets_of(lengths.tolist())
        job = Pool(mode, dtype, table, ids, offsets, gap=gap, winners=False)
        job.check(device, kernels)
        row_bytes = dim * table.itemsize
        reads = [
            spanned(ids * ((dim + gap) * table.itemsize), row_bytes),
            spanned(offsets * ids.itemsize, lengths * ids.itemsize),
            -(-offsets.nbytes // SECTOR),
        ]
        print(json.dumps({"load": sum(reads), "store": spanned(np.arange(count) * row_bytes, row_bytes)}))


if __name__ == "__main__":
    main()
