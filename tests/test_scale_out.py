"""The examples that count, build and encode a corpus in parts, against one process that does it whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from embrow import Vocab

EXAMPLES = Path(__file__).parents[1] / "docs/examples"
FILES, ROWS = 5, 120


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    """Write Parquet files of texts of all lengths, in which many tokens occur equally often; return the texts."""
    pa = pytest.importorskip("pyarrow", reason="the examples read Parquet")
    from pyarrow import parquet

    chance = random.Random(0)
    words = [f"w{i}é" if i % 5 == 0 else f"word{i}" for i in range(300)]
    weights = [1 / (1 + i) for i in range(300)]
    texts = ["\u2003".join(chance.choices(words, weights, k=chance.randrange(12))) for _ in range(FILES * ROWS)]
    (tmp_path / "corpus").mkdir()
    for file in range(FILES):
        rows = range(file * ROWS, (file + 1) * ROWS)
        table = pa.table({"row": list(rows), "text": [texts[row] for row in rows]})
        parquet.write_table(table, tmp_path / "corpus" / f"{file}.parquet", row_group_size=50)
    return texts


def run_example(name: str, arguments: Sequence[str | Path], home: Path, **environment: str) -> None:
    """Run it in a process, with caches and tokens in a folder that goes with the test."""
    command = [sys.executable, EXAMPLES / name, *arguments]
    environment = {**os.environ, "HOME": str(home), **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def check(vocab: Vocab, expected: Vocab, rows: Sequence[int], ids: Sequence[Any], texts: list[str]) -> None:
    assert vocab.tokens == expected.tokens
    assert vocab.counts is not None
    assert expected.counts is not None
    assert vocab.counts.tolist() == expected.counts.tolist()
    assert sorted(rows) == list(range(len(texts)))
    whole = [row.tolist() for row in expected.encode_ragged(texts).rows()]
    assert dict(zip(rows, ids, strict=True)) == dict(enumerate(whole))


def test_datasets_counts_and_encodes_in_parts(corpus: list[str], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason='needs pip install "embrow[scale]"')
    files = sorted((tmp_path / "corpus").iterdir())
    run_example(
        "hf_datasets.py",
        [*files, "--output", tmp_path, "--processes", "2", "--rows-per-part", "70"],
        tmp_path,
        HF_HUB_OFFLINE="1",
    )
    encoded = datasets.load_from_disk(tmp_path / "ids").with_format(None)
    assert encoded["row"][:] == list(range(len(corpus)))
    check(Vocab.load(tmp_path / "vocab"), Vocab.build(corpus), encoded["row"][:], encoded["ids"][:], corpus)


def test_ray_counts_and_encodes_in_parts(corpus: list[str], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='needs pip install "embrow[scale]"')
    from pyarrow import parquet

    run_example(
        "ray_data.py",
        [tmp_path / "corpus", "--output", tmp_path, "--mergers", "3"],
        tmp_path,
        RAY_USAGE_STATS_ENABLED="0",
        RAY_TMPDIR="/tmp",  # paths of sockets are short
        RAY_worker_niceness="0",  # Ray's 15 starves the workers where other processes keep the processors busy
    )
    encoded = parquet.read_table(tmp_path / "ids")
    expected = Vocab.build(corpus, ties="token")
    rows, ids = encoded["row"].to_pylist(), encoded["ids"].to_pylist()
    check(Vocab.load(tmp_path / "vocab"), expected, rows, ids, corpus)
