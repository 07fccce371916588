"""Encodings named on the command line, for a process whose memory traffic is counted.

Each argument is ROWS,TOKENS,MAX_LENGTH, the tokens being those of a row, half of them known. Prints, as one line of
JSON for each, the bytes of the text and of the ids, and how many tokens are known and are not.
"""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
from encoding import Encoding

from embrow import Vocab

KNOWN = 50_000


def main() -> None:
    device, kernels = importlib.import_module("cudasim"), importlib.import_module("embrow._cuda")
    vocab = Vocab(["<pad>", "<unk>", *(f"w{number}" for number in range(KNOWN))])
    for argument in sys.argv[1:]:
        rows, tokens, max_length = (int(number) for number in argument.split(","))
        numbers = np.random.default_rng(0).integers(0, 2 * KNOWN, (rows, tokens))
        job = Encoding(vocab, [" ".join(f"w{n}" for n in row) for row in numbers], {"max_length": max_length})
        ids = job.cuda(device, kernels).ids
        np.testing.assert_array_equal(ids, job.cpu()[0])
        known, unknown = int((ids > 1).sum()), int((ids == 1).sum())
        text_bytes = sum(map(len, job.texts))
        print(json.dumps({"text": text_bytes, "ids": ids.nbytes, "known": known, "unknown": unknown}))


if __name__ == "__main__":
    main()
