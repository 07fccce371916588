"""Small vector files for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embrow.vectors import WordVectors
from packed import pack

TOKENS = ["the", "naïve", "日本", "x" * 300, "5", "-", "name@domain.com", "🙂", "a.b", "end"]
SPACED = [*TOKENS, ". . .", "at name@domain.com", "1 2", "new york"]
WEIGHT = np.random.default_rng(7).standard_normal((len(SPACED), 6)).astype(np.float32)
WEIGHT[2] = [0, -0.0, 1e-45, 3.4028235e38, 1e-7, 123456.79]
FORMATS = ["word2vec-binary", "word2vec-text", "glove", "npy", "safetensors"]


def make(path: Path, format: str, dtype: str = "float32") -> WordVectors:
    tokens = TOKENS if format.startswith("word2vec") else SPACED
    vectors = WordVectors(tokens, WEIGHT[: len(tokens)].astype(dtype))
    vectors.save(path, format)
    return vectors


def same(found: WordVectors, tokens: list[str], weight: np.ndarray) -> bool:
    return (
        found.tokens == tokens
        and found.weight.dtype == weight.dtype
        and found.weight.flags.c_contiguous
        and found.weight.tobytes() == np.ascontiguousarray(weight).tobytes()
    )


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def compress(path: Path, how: str = "gzip") -> Path:
    packed = path.with_suffix(".packed")
    packed.write_bytes(pack(path.read_bytes(), how))
    if path.with_suffix(".words").exists():
        assert packed.with_suffix(".words") == path.with_suffix(".words")
    return packed
