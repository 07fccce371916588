"""Updates named on the command line, one step each, for a process whose memory traffic is counted.

Each argument is RULE,DTYPE,ROWS,COUNT,DIM. Prints, as one line of JSON per step, the 32-byte sectors that the
gradients, the rows and what tells them apart span: read and written.
"""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
from traffic import SECTOR, spanned
from updating import Both, Table

PARTS = {"sgd": 1, "adam": 3, "rowwise_adagrad": 1}  # rows of the table and of its state


def main() -> None:
    device, kernels = importlib.import_module("cudasim"), importlib.import_module("embrow._cuda")
    for argument in sys.argv[1:]:
        rule, dtype, rows, count, dim = argument.split(",")
        table = Table(rule, int(rows), int(dim), dtype)
        ids = np.random.default_rng(1).integers(0, table.rows, int(count))
        both = Both(table, device, kernels)
        both.step(ids)
        both.check()
        seen = np.unique(ids)
        row_bytes = table.dim * table.parts[0].itemsize
        moved = PARTS[rule] * spanned(seen * row_bytes, row_bytes)
        sums = seen.size if rule == "rowwise_adagrad" else 0
        grads = spanned(np.arange(ids.size) * row_bytes, row_bytes)
        # A position per gradient, a row and where it begins per row.
        lists = -(-4 * (ids.size + 2 * seen.size) // SECTOR)
        print(json.dumps({"load": grads + moved + sums + lists, "store": moved + sums}))


if __name__ == "__main__":
    main()
