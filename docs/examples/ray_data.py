"""Parquet files of text -> a vocabulary and Parquet files of ids, block by block, with Ray Data.

python ray_data.py /mnt/corpus --output /mnt/encoded --mergers 64
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pyarrow as pa
import ray

from embrow import TokenCounter, Vocab


def count(rows: pa.Table) -> pa.Table:
    """Count one block of the corpus; its counter is one row of the result."""
    counter = TokenCounter()
    counter.update(rows["text"], num_threads=1)  # Ray gives a task one core
    return pa.table({"counter": [pickle.dumps(counter)]})


def merge(counters: pa.Table) -> pa.Table:
    """Merge some counters into one."""
    merged = TokenCounter()
    for part in counters["counter"]:
        merged.merge(pickle.loads(part.as_py()))
    return pa.table({"counter": [pickle.dumps(merged)]})


class Encode:
    """Puts each row's ids, without padding, in place of its text; an actor loads the vocabulary once."""

    def __init__(self, path: Path) -> None:
        self.vocab = Vocab.load(path)

    def __call__(self, rows: pa.Table) -> pa.Table:
        values, offsets = self.vocab.encode_ragged(rows["text"], dtype="int32", num_threads=1)
        ids = pa.LargeListArray.from_arrays(offsets, values)
        return rows.drop_columns("text").append_column("ids", ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", help="Parquet files or folders that have a column of text")
    parser.add_argument("--output", type=Path, required=True, help="folder that all machines see")
    parser.add_argument("--mergers", type=int, default=2, help="tasks that merge counters before the driver does")
    parser.add_argument("--actors", type=int, default=2, help="that encode, at most")
    options = parser.parse_args()

    corpus = ray.data.read_parquet(options.corpus)
    whole_blocks = {"batch_format": "pyarrow", "batch_size": None}

    counted = corpus.map_batches(count, **whole_blocks).repartition(options.mergers).map_batches(merge, **whole_blocks)
    counter = TokenCounter()
    for part in counted.iter_rows():
        counter.merge(pickle.loads(part["counter"]))
    # Blocks come in any order; the order of tokens that occur equally often must not depend on it.
    vocab = counter.to_vocab(ties="token")
    options.output.mkdir(parents=True, exist_ok=True)
    vocab.save(options.output / "vocab")

    actors = ray.data.ActorPoolStrategy(min_size=1, max_size=options.actors)
    ids = corpus.map_batches(Encode, fn_constructor_args=[options.output / "vocab"], compute=actors, **whole_blocks)
    ids.write_parquet(str(options.output / "ids"))


if __name__ == "__main__":
    main()
