"""Writes tests/finalfusion_golden.py with finalfusion's own library: pip install finalfusion."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

import finalfusion
import numpy as np
from finalfusion.metadata import Metadata
from finalfusion.norms import Norms
from finalfusion.storage import NdArray, QuantizedArray
from finalfusion.storage.quantized import PQ
from finalfusion.subword import FastTextIndexer, FinalfusionHashIndexer
from finalfusion.vocab import FastTextVocab, FinalfusionBucketVocab, SimpleVocab

WORDS = ["the", "naïve", "日本", "a b", "🙂"]
UNSEEN = ["unseen", "übermorgen", "日本語", "🙂🙂", "th"]


def main() -> None:
    rng = np.random.default_rng(0)
    vocabularies = {
        "simple": SimpleVocab(WORDS),
        "buckets": FinalfusionBucketVocab(WORDS, FinalfusionHashIndexer(4, 2, 4)),
        "fastText's buckets": FastTextVocab(WORDS, FastTextIndexer(11, 1, 5)),
        "listed": FinalfusionBucketVocab(WORDS, FinalfusionHashIndexer(4, 1, 2)).to_explicit(),
    }
    lines = ['"""Written by make_finalfusion_golden.py: file, words, vectors of finalfusion\'s library."""', ""]
    lines.append("GOLDEN: dict[str, tuple[str, list[str], dict[str, list[float]]]] = {")
    for name, vocabulary in vocabularies.items():
        rows = vocabulary.upper_bound
        quantiser = PQ(rng.standard_normal((2, 4, 2)).astype("f4"), np.eye(4, dtype="f4")[::-1].copy())
        codes = rng.integers(0, 4, (rows, 2)).astype("u1")
        storages = {
            "": NdArray(rng.standard_normal((rows, 3)).astype("f4")),
            ", quantised": QuantizedArray(quantiser, codes, rng.random(rows).astype("f4")),
        }
        for suffix, storage in storages.items():
            norms, metadata = Norms(np.ones(len(WORDS), "f4")), Metadata({"a": 1})
            embeddings = finalfusion.Embeddings(storage, vocabulary, norms=norms, metadata=metadata)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "v.fifu"
                embeddings.write(str(path))
                data = base64.b64encode(path.read_bytes()).decode()
            found = {word: embeddings.embedding(word) for word in [*WORDS, *UNSEEN]}
            vectors = {word: [float(x) for x in vector] for word, vector in found.items() if vector is not None}
            lines.append(f"    {name + suffix!r}: ({data!r}, {WORDS!r}, {vectors!r}),")
    (Path(__file__).parent / "finalfusion_golden.py").write_text("\n".join([*lines, "}", ""]))
    sys.stdout.write("run ruff format on it\n")


if __name__ == "__main__":
    main()
