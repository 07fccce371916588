"""file -> rows: `python -m pytest benchmarks/bench_vectors.py -s`."""

from __future__ import annotations

import functools
import gzip
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import library
from table import Peer, Table

from embrow import _core
from embrow.vectors import WordVectors, load_vectors

TITLE = "load_vectors, 200,000 rows of 300 float32, files in the page cache"
UNIT = "rows"
ROWS, DIM = 200_000, 300
FORMATS = {
    "word2vec-binary": "v.bin",
    "word2vec-binary.gz": "v.bin.gz",
    "word2vec-text": "v.vec",
    "glove": "v.txt",
    "safetensors": "v.safetensors",
}
# gensim takes minutes for all of a text file; both read only these.
TEXT_LIMIT = 10_000
# The shape of GoogleNews' vectors.
LARGE_ROWS = 3_000_000
LARGE_VOCAB = 20_000


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
    vectors.save(folder / "v.safetensors")
    (folder / "v.bin.gz").write_bytes(gzip.compress((folder / "v.bin").read_bytes(), 6))
    return folder


def inflate(path: Path, library: str, package: str) -> Peer:
    """Inflate in bounded windows and keep nothing: the least that reading a .gz can cost."""
    try:
        inflater = importlib.import_module(library)
    except ImportError:
        return Peer(f"{library}, inflate alone", None, missing=f"pip install {package}")

    def call() -> int:
        stream, size = inflater.decompressobj(31), 0
        with open(path, "rb", buffering=0) as file:
            while block := stream.unconsumed_tail or file.read(256 << 10):
                size += len(stream.decompress(block, 1 << 20))
        return size

    return Peer(f"{library}, inflate alone", call, aim=0.95)


def gensim(path: Path, name: str, limit: int | None, aim: float) -> Peer:
    def make(models: Any) -> Callable[[], Any]:
        load = models.KeyedVectors.load_word2vec_format
        return functools.partial(load, path, binary="binary" in name, no_header=name == "glove", limit=limit)

    def same(ours: WordVectors, theirs: Any) -> None:
        assert ours.tokens == theirs.index_to_key
        assert ours.weight.tobytes() == theirs.vectors.tobytes()

    return library("gensim.models", "KeyedVectors", make, same, aim)


@pytest.mark.parametrize("name", FORMATS)
def test_load(table: Table, vectors: WordVectors, files: Path, threads: int, name: str) -> None:
    """Read every row, and a tenth of them chosen by a vocabulary."""
    path = files / FORMATS[name]
    size = path.stat().st_size
    load = functools.partial(load_vectors, path, num_threads=threads)
    peers = []
    if name == "word2vec-binary":
        peers = [gensim(path, name, None, 8)]
    elif name == "word2vec-binary.gz":
        peers = [gensim(path, name, None, 3)]
        peers += [
            inflate(path, "zlib_ng.zlib_ng", "zlib-ng"),
            inflate(path, "isal.isal_zlib", "isal"),
            inflate(path, "zlib", ""),
        ]
    elif name == "safetensors":
        peers = [safetensors(path)]
    table.compare(name, load, peers, items=len(vectors.tokens), moved=size + vectors.weight.nbytes)
    if name in ("word2vec-text", "glove"):
        limit = min(TEXT_LIMIT, len(vectors.tokens))
        share = limit / len(vectors.tokens)
        table.compare(
            f"{name}, its first {limit:,} rows",
            functools.partial(load, limit=limit),
            [gensim(path, name, limit, 60)],
            items=limit,
            moved=int(share * (size + vectors.weight.nbytes)),
        )
    wanted = vectors.tokens[::10]

    def same(ours: WordVectors, theirs: WordVectors) -> None:
        assert ours.tokens == theirs.tokens[::10]
        assert ours.weight.tobytes() == theirs.weight[::10].tobytes()

    table.compare(
        f"{name}, a tenth of its rows",
        functools.partial(load, vocab=wanted),
        [Peer("embrow, all rows", load, same, aim=2 if name == "word2vec-binary" else None)],
        items=len(vectors.tokens),
        moved=size + vectors.weight.nbytes // 10,
    )


def safetensors(path: Path) -> Peer:
    """The library's own reader, which copies the rows and has no index of the tokens."""

    def same(ours: WordVectors, theirs: Any) -> None:
        assert ours.weight.tobytes() == theirs["weight"].tobytes()

    return library("safetensors.numpy", "load_file", lambda numpy: functools.partial(numpy.load_file, path), same)


PEAK = """
import sys
from embrow.vectors import load_vectors
# Not getrusage, whose peak is that of the process that forked this one.
def peak(): return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) << 10
wanted = [f"word{i}" for i in range(0, int(sys.argv[2]), int(sys.argv[3]))]
before = peak()
vectors = load_vectors(sys.argv[1], wanted)
print(peak() - before, vectors.weight.nbytes)
"""


@pytest.fixture
def large(scaled: Callable[[int], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Yield a synthetic file of word2vec's binary form, in the page cache, and the number of its rows."""
    path = tmp_path_factory.mktemp("large") / "large.bin"
    rows, block = scaled(LARGE_ROWS), 20_000
    weight = np.random.default_rng(0).standard_normal((block, DIM)).astype(np.float32)
    with open(path, "wb") as file:
        file.write(b"%d %d\n" % (rows, DIM))
        for begin in range(0, rows, block):
            tokens = [f"word{i}" for i in range(begin, min(begin + block, rows))]
            file.write(_core.vectors_binary_rows(tokens, weight[: len(tokens)]))
    yield path, rows
    path.unlink()


def test_large(table: Table, large: tuple[Path, int], threads: int) -> None:
    """Read a small vocabulary of a file of GoogleNews' shape: rate beside cat's, and growth of memory."""
    path, rows = large
    step = max(1, rows // LARGE_VOCAB)
    wanted = [f"word{i}" for i in range(0, rows, step)]
    cat = functools.partial(subprocess.run, ["cat", str(path)], stdout=subprocess.DEVNULL, check=True)
    table.compare(
        f"synthetic {rows:,} x {DIM} word2vec-binary, {len(wanted):,} of its rows",
        functools.partial(load_vectors, path, wanted, num_threads=threads),
        [Peer("cat FILE > /dev/null", cat, aim=0.5)],
        items=rows,
        moved=path.stat().st_size,
    )
    command = [sys.executable, "-c", PEAK, str(path), str(rows), str(step)]
    grown, held = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    table.note(
        f"Reading {len(wanted):,} of {rows:,} rows, {held / 1e6:.0f} MB, makes the process grow by {grown / 1e6:.0f} "
        f"MB at its peak; the file has {path.stat().st_size / 1e9:.1f} GB"
    )
    assert grown < held + (64 << 20)
