"""File -> rows, against gensim in the same process.

Run: python -m pytest benchmarks/bench_vectors.py -s --benchmark-only
EMBROW_BENCH_ROWS=200000 gives the size of the published figures; the default takes a minute.
"""

from __future__ import annotations

import gzip
import os
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import KeyedVectors

from embrow.vectors import WordVectors, load_vectors

ROWS = int(os.environ.get("EMBROW_BENCH_ROWS", "50000"))
DIM = 300
THREADS = 2
FORMATS = {"word2vec-binary": "v.bin", "word2vec-binary.gz": "v.bin.gz", "word2vec-text": "v.vec", "glove": "v.txt"}


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    weight = np.random.default_rng(0).standard_normal((ROWS, DIM)).round(5).astype(np.float32)
    return WordVectors([f"word{i}" for i in range(ROWS)], weight)


@pytest.fixture(scope="module")
def files(vectors: WordVectors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    vectors.save(folder / "v.bin")
    vectors.save(folder / "v.vec")
    vectors.save(folder / "v.txt", "glove")
    (folder / "v.bin.gz").write_bytes(gzip.compress((folder / "v.bin").read_bytes(), 6))
    return folder


def once(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def inflate(path: Path) -> int:
    """Inflate in bounded windows and keep nothing: the least that reading a .gz can cost."""
    try:
        from isal import isal_zlib as library
    except ImportError:
        library = zlib  # type: ignore[assignment]
    stream, size = library.decompressobj(31), 0
    with open(path, "rb", buffering=0) as file:
        while block := stream.unconsumed_tail or file.read(256 << 10):
            size += len(stream.decompress(block, 1 << 20))
    return size


def show(name: str, path: Path, seconds: float, peer: str, peer_seconds: float) -> None:
    rate = path.stat().st_size / seconds / 1e6
    print(f"\n{name}: {rate:,.0f} MB/s ({seconds:.3f} s), {peer_seconds / seconds:.2f} x {peer} ({peer_seconds:.3f} s)")


@pytest.mark.parametrize("format", FORMATS)
def test_load(benchmark: Any, vectors: WordVectors, files: Path, format: str) -> None:
    path = files / FORMATS[format]
    found = benchmark.pedantic(load_vectors, (path,), {"num_threads": THREADS}, rounds=5, warmup_rounds=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gensim leaves files to the garbage collector
        peer, seconds = once(
            lambda: KeyedVectors.load_word2vec_format(path, binary="binary" in format, no_header=format == "glove")
        )
    assert found.tokens == peer.index_to_key == vectors.tokens
    assert found.weight.tobytes() == peer.vectors.tobytes() == vectors.weight.tobytes()
    show(format, path, benchmark.stats["min"], "gensim", seconds)
    if path.suffix == ".gz":
        show(
            format, path, benchmark.stats["min"], "inflate alone", min(once(lambda: inflate(path))[1] for _ in range(3))
        )


@pytest.mark.parametrize("format", FORMATS)
def test_load_a_vocabulary(benchmark: Any, vectors: WordVectors, files: Path, format: str) -> None:
    path = files / FORMATS[format]
    wanted = vectors.tokens[::10]
    full = min(once(lambda: load_vectors(path, num_threads=THREADS))[1] for _ in range(3))
    found = benchmark.pedantic(load_vectors, (path, wanted), {"num_threads": THREADS}, rounds=5, warmup_rounds=1)
    assert found.tokens == wanted
    assert found.weight.tobytes() == vectors.weight[::10].tobytes()
    show(f"{format}, a tenth of its rows", path, benchmark.stats["min"], "its full load", full)
