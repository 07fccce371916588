"""file -> rows: `python -m pytest benchmarks/bench_vectors.py -s`."""

from __future__ import annotations

import functools
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import library
from table import Peer, Table

from embrow.vectors import WordVectors, load_vectors

TITLE = "load_vectors, 200,000 rows of 300 float32, files in the page cache"
UNIT = "rows"
ROWS, DIM = 200_000, 300
FORMATS = {"word2vec-binary": "v.bin", "word2vec-binary.gz": "v.bin.gz", "word2vec-text": "v.vec", "glove": "v.txt"}


@pytest.fixture(scope="module")
def vectors(scaled: Callable[[int], int]) -> WordVectors:
    rows = scaled(ROWS)
    weight = np.random.default_rng(0).standard_normal((rows, DIM)).round(5).astype(np.float32)
    return WordVectors([f"word{i}" for i in range(rows)], weight)


@pytest.fixture(scope="module")
def files(vectors: WordVectors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    vectors.save(folder / "v.bin")
    vectors.save(folder / "v.vec")
    vectors.save(folder / "v.txt", "glove")
    (folder / "v.bin.gz").write_bytes(gzip.compress((folder / "v.bin").read_bytes(), 6))
    return folder


def inflate(path: Path) -> Peer:
    """Inflate in bounded windows and keep nothing: the least that reading a .gz can cost."""
    try:
        from isal import isal_zlib as inflater
    except ImportError:
        inflater = zlib

    def call() -> int:
        stream, size = inflater.decompressobj(31), 0
        with open(path, "rb", buffering=0) as file:
            while block := stream.unconsumed_tail or file.read(256 << 10):
                size += len(stream.decompress(block, 1 << 20))
        return size

    return Peer(f"{inflater.__name__}, inflate alone", call)


def gensim(path: Path, name: str) -> Peer:
    def make(models: Any) -> Callable[[], Any]:
        load = models.KeyedVectors.load_word2vec_format
        return functools.partial(load, path, binary="binary" in name, no_header=name == "glove")

    def same(ours: WordVectors, theirs: Any) -> None:
        assert ours.tokens == theirs.index_to_key
        assert ours.weight.tobytes() == theirs.vectors.tobytes()

    return library("gensim.models", "KeyedVectors", make, same)


@pytest.mark.parametrize("name", FORMATS)
def test_load(table: Table, vectors: WordVectors, files: Path, threads: int, name: str) -> None:
    """Read every row, and a tenth of them chosen by a vocabulary."""
    path = files / FORMATS[name]
    size = path.stat().st_size
    load = functools.partial(load_vectors, path, num_threads=threads)
    peers = [gensim(path, name)]
    if path.suffix == ".gz":
        peers.append(inflate(path))
    table.compare(name, load, peers, items=len(vectors.tokens), moved=size + vectors.weight.nbytes)
    wanted = vectors.tokens[::10]

    def same(ours: WordVectors, theirs: WordVectors) -> None:
        assert ours.tokens == theirs.tokens[::10]
        assert ours.weight.tobytes() == theirs.weight[::10].tobytes()

    table.compare(
        f"{name}, a tenth of its rows",
        functools.partial(load, vocab=wanted),
        [Peer("embrow, all rows", load, same)],
        items=len(vectors.tokens),
        moved=size + vectors.weight.nbytes // 10,
    )
