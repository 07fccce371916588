"""Gathers named on the command line, one launch each, for a process whose memory traffic is counted.

Each argument is ROWS,COUNT,ROW_BYTES,STRIDE_BYTES,TABLE_OFFSET,OUT_OFFSET. Prints, as one line of JSON per launch, the
32-byte sectors that the rows read, the rows written and the ids span.
"""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
from gathering import Gather
from traffic import SECTOR, spanned


def main() -> None:
    device, kernels = importlib.import_module("cudasim"), importlib.import_module("embrow._cuda")
    for argument in sys.argv[1:]:
        rows, count, row_bytes, stride, table_offset, out_offset = (int(number) for number in argument.split(","))
        ids = np.random.default_rng(1).integers(0, rows, count)
        job = Gather(rows, row_bytes, ids, stride, table_offset, out_offset)
        block = job.block()
        np.testing.assert_array_equal(job.cuda(device, kernels, block), job.numpy(block))
        fewest = {
            "load": spanned(table_offset + ids * stride, row_bytes) + -(-ids.nbytes // SECTOR),
            "store": spanned(out_offset + np.arange(count) * row_bytes, row_bytes),
        }
        print(json.dumps(fewest))


if __name__ == "__main__":
    main()
