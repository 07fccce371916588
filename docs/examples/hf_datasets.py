"""Parquet files of text -> a vocabulary and a data set of ids, part by part, with Hugging Face datasets.

python hf_datasets.py corpus/*.parquet --output encoded --processes 8
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pyarrow as pa
from datasets import load_dataset

from embrow import TokenCounter, Vocab


def count(rows: pa.Table) -> pa.Table:
    """Count one part of the corpus; its counter is one row of the result."""
    counter = TokenCounter()
    counter.update(rows["text"], num_threads=1)  # the processes share the cores
    return pa.table({"counter": [pickle.dumps(counter)]})


def encode(rows: pa.Table, vocab: Vocab) -> pa.Table:
    """Put each row's ids, without padding, in place of its text."""
    values, offsets = vocab.encode_ragged(rows["text"], dtype="int32", num_threads=1)
    ids = pa.LargeListArray.from_arrays(offsets, values)
    return rows.drop_columns("text").append_column("ids", ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", help="Parquet files that have a column of text")
    parser.add_argument("--output", type=Path, required=True, help="folder for the vocabulary and the ids")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rows-per-part", type=int, default=100_000)
    options = parser.parse_args()

    corpus = load_dataset("parquet", data_files=options.corpus, split="train").with_format("arrow")
    split = {"batched": True, "batch_size": options.rows_per_part, "num_proc": options.processes}

    counter = TokenCounter()
    counted = corpus.map(count, remove_columns=corpus.column_names, **split)
    # In the order of the corpus, so that tokens that occur equally often are in the order of their first occurrence.
    for part in counted.iter(batch_size=1):
        counter.merge(pickle.loads(part["counter"][0].as_py()))
    vocab = counter.to_vocab()

    ids = corpus.map(encode, fn_kwargs={"vocab": vocab}, **split)
    ids.save_to_disk(options.output / "ids")
    vocab.save(options.output / "vocab")


if __name__ == "__main__":
    main()
