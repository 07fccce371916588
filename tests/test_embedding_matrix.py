"""embedding_matrix: each row against its vector, and the rows of words that have none."""

from __future__ import annotations

import random
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from embrow.vectors import Coverage, WordVectors, embedding_matrix

WORDS = [f"w{i}" for i in range(400)]
VECTORS = WordVectors(WORDS, (np.random.default_rng(0).standard_normal((400, 12)) * 0.3 + 1).astype(np.float32))


def vocab(tokens: list[str], **more: object) -> SimpleNamespace:
    return SimpleNamespace(tokens=tokens, pad_id=0, specials=("<pad>", "<unk>"), **more)


@pytest.mark.parametrize("oov", ["normal", "uniform", "zeros", "mean"])
@pytest.mark.parametrize("stored", [False, True])
def test_every_row_is_its_vector(tmp_path: Path, oov: str, stored: bool) -> None:
    tokens = ["<pad>", "<unk>", "w399", "absent", *WORDS[:300][::-1], "gone"]
    source: WordVectors | Path = VECTORS
    if stored:
        source = tmp_path / "v.bin"
        VECTORS.save(source)
    table = embedding_matrix(vocab(tokens), source, oov=oov)
    assert (table.weight.dtype, table.weight.shape) == (np.float32, (len(tokens), 12))
    for i, token in enumerate(tokens):
        if token in VECTORS:
            assert table.weight[i].tobytes() == VECTORS[token].tobytes(), i
    assert not table.weight[0].any()
    missing = table.weight[[1, 3, -1]]
    found = np.stack([VECTORS[token] for token in tokens if token in VECTORS])
    if oov == "zeros":
        assert not missing.any()
    elif oov == "mean":
        np.testing.assert_allclose(missing, np.tile(found.mean(axis=0, dtype=float), (3, 1)), rtol=1e-6)
    else:
        assert len(np.unique(missing)) == missing.size
    assert table.coverage == Coverage(len(tokens) - 1, 301, 0, 3, pytest.approx(301 / 304), None)


def test_the_pad_row_is_zero_even_with_a_vector() -> None:
    vectors = WordVectors(["<pad>", "a"], np.ones((2, 3), np.float32))
    table = embedding_matrix(vocab(["<pad>", "a"]), vectors)
    assert table.weight.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert embedding_matrix(["<pad>", "a"], vectors).weight.all()


@pytest.mark.parametrize("oov", ["normal", "uniform"])
def test_drawn_rows_have_the_mean_and_spread_of_the_found(oov: str) -> None:
    absent = [f"absent{i}" for i in range(40_000)]
    began = time.process_time()
    rows = embedding_matrix([*WORDS, *absent], VECTORS, oov=oov).weight[400:]
    assert time.process_time() - began < 2
    np.testing.assert_allclose(rows.mean(axis=0), VECTORS.weight.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(rows.std(axis=0), VECTORS.weight.std(axis=0), rtol=0.02)
    scaled = (rows - VECTORS.weight.mean(axis=0)) / VECTORS.weight.std(axis=0)
    if oov == "uniform":
        assert abs(scaled).max() < 3**0.5 + 1e-3
        np.testing.assert_allclose((scaled < 3**0.5 / 2).mean(), 0.75, atol=0.005)
    else:
        # Quantiles of the standard normal.
        for bound, share in [(-1.96, 0.025), (-0.6745, 0.25), (0, 0.5), (0.6745, 0.75), (1.96, 0.975)]:
            np.testing.assert_allclose((scaled < bound).mean(), share, atol=0.003)
    # Columns and rows are independent: correlations stay at 1 / sqrt(40,000).
    correlation = np.corrcoef(scaled.T) - np.eye(12)
    assert abs(correlation).max() < 0.03
    assert abs(np.corrcoef(scaled[:-1, 0], scaled[1:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize("oov", ["normal", "uniform", "mean"])
def test_drawn_rows_do_not_depend_on_order_or_threads(monkeypatch: pytest.MonkeyPatch, oov: str) -> None:
    tokens = [*WORDS[:250], *(f"absent{i}" for i in range(700)), "日本"]
    expected = dict(zip(tokens, embedding_matrix(tokens, VECTORS, oov=oov, seed=3).weight, strict=True))
    for threads, shuffle in [(1, 1), (4, 2)]:
        monkeypatch.setattr("embrow.vectors._matrix.resolve_num_threads", lambda _, threads=threads: threads)
        order = random.Random(shuffle).sample(range(400), 400)
        vectors = WordVectors([WORDS[i] for i in order], VECTORS.weight[order])
        mixed = random.Random(shuffle).sample(tokens, len(tokens))
        table = embedding_matrix(mixed, vectors, oov=oov, seed=3)
        for token, row in zip(mixed, table.weight, strict=True):
            assert row.tobytes() == expected[token].tobytes()
    if oov != "mean":
        other = embedding_matrix(tokens, VECTORS, oov=oov, seed=4).weight
        assert not np.array_equal(other[-1], expected["日本"])
        assert np.array_equal(other[0], expected["w0"])


def test_seeds_of_numpy_types() -> None:
    drawn = [embedding_matrix(["a"], VECTORS, seed=seed).weight for seed in (-3, np.int64(-3))]
    assert np.array_equal(*drawn)
    with pytest.raises(TypeError, match="embedding_matrix: seed: 'float' object cannot be interpreted as an integer"):
        embedding_matrix(["a", "b"], VECTORS, seed=0.5)  # type: ignore[arg-type]


def test_nothing_found_draws_the_standard_distribution() -> None:
    rows = embedding_matrix([f"absent{i}" for i in range(5000)], VECTORS).weight
    assert abs(rows.mean()) < 0.02
    assert abs(rows.std() - 1) < 0.02


@pytest.mark.parametrize("stored", [False, True])
def test_case_fallback(tmp_path: Path, stored: bool) -> None:
    source: WordVectors | Path = WordVectors(["paris", "Rome", "NATO", "The", "the"], np.eye(5, dtype=np.float32))
    if stored:
        assert isinstance(source, WordVectors)
        source.save(tmp_path / "v.vec")
        source = tmp_path / "v.vec"
    tokens = ["<pad>", "PARIS", "rome", "nato", "The", "THE", "no"]
    counts = [0, 10, 20, 30, 40, 50, 50]
    table = embedding_matrix(vocab(tokens, counts=counts), source, oov="zeros", case_fallback=True)
    assert table.weight.argmax(axis=1).tolist()[1:6] == [0, 1, 2, 3, 4]
    assert table.coverage == Coverage(6, 1, 4, 1, pytest.approx(5 / 6), 0.75)
    exact = embedding_matrix(vocab(tokens, counts=dict(zip(tokens, counts, strict=True))), source, oov="zeros")
    assert exact.coverage == Coverage(6, 1, 0, 5, pytest.approx(1 / 6), 0.2)


def test_errors() -> None:
    with pytest.raises(ValueError, match="oov must be one of normal, uniform, zeros, mean, subword, found 'random'"):
        embedding_matrix(["a"], VECTORS, oov="random")
    with pytest.raises(ValueError, match='oov="subword" needs vectors with subwords, and these have none'):
        embedding_matrix(["a"], VECTORS, oov="subword")
    with pytest.raises(TypeError, match="vocab must be a Vocab or a sequence of str, found str"):
        embedding_matrix("a", VECTORS)
    with pytest.raises(TypeError, match="embedding_matrix: vocab is a set, which has no order; pass a sequence of str"):
        embedding_matrix({"a", "b"}, VECTORS)
    with pytest.raises(TypeError, match="embedding_matrix: vocab: token 1 is NoneType; tokens are str"):
        embedding_matrix(["a", None], VECTORS)
    with pytest.raises(ValueError, match="embedding_matrix: token 'b' has id 2; the ids of 2 tokens are 0 to 1"):
        embedding_matrix({"a": 0, "b": 2}, VECTORS)


def test_a_dict_is_laid_out_by_its_ids() -> None:
    table = embedding_matrix({"w7": 1, "w3": 0}, VECTORS)
    assert np.array_equal(table.weight, VECTORS.weight[[3, 7]])


def test_empty_vocab() -> None:
    table = embedding_matrix([], VECTORS)
    assert table.weight.shape == (0, 12)
    assert table.coverage == Coverage(0, 0, 0, 0, 0.0, None)
