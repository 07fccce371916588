"""finalfusion files against plain loops and files that finalfusion's own library wrote."""

from __future__ import annotations

import base64
import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from embrow.vectors import LoadReport, WordVectors, embedding_matrix, info, load_vectors
from fasttext_files import UNSEEN, WORDS
from finalfusion_files import FILES, SIMPLE, File
from finalfusion_golden import GOLDEN
from vector_files import SPACED, WEIGHT, same, write


def stored(tmp_path: Path, file: File, packed: bool = False) -> Path:
    data = file.to_bytes()
    return write(tmp_path / "v", gzip.compress(data) if packed else data)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_words_have_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, packed: bool) -> None:
    monkeypatch.setattr("embrow.vectors._subwords._TABLE_BYTES", 2000)
    file = FILES[name]
    path = stored(tmp_path, file, packed)
    found = load_vectors(path)
    rows = file.matrix[: len(WORDS)]
    assert found.tokens == WORDS
    assert found.report == LoadReport(len(WORDS), len(WORDS), len(WORDS), 0, 0)
    if file.projection:
        np.testing.assert_allclose(found.weight, rows, rtol=1e-5, atol=1e-6)
    else:
        assert same(found, WORDS, rows)
    assert info(path) == {
        "format": "finalfusion",
        "compression": "gzip" if packed else None,
        "rows": len(WORDS),
        "dim": 6,
        "dtype": "quantised" if file.parts else "float32",
        "bytes": path.stat().st_size,
    }
    some = load_vectors(path, ["end", *UNSEEN, "the"])
    assert some.tokens == ["the", "end"]
    np.testing.assert_allclose(some.weight, found.weight[[1, 10]], rtol=1e-5, atol=1e-6)
    for token in UNSEEN:
        for vectors in (found, some):
            assert (token in vectors) == (file.kind != SIMPLE)
            if file.kind == SIMPLE:
                with pytest.raises(KeyError):
                    vectors[token]
            else:
                np.testing.assert_allclose(vectors[token], file.vector(token), rtol=1e-4, atol=1e-5)
    if file.kind != SIMPLE:
        table = embedding_matrix(["the", "unseen"], path, oov="subword").weight
        np.testing.assert_allclose(table, [file.vector("the"), file.vector("unseen")], rtol=1e-4, atol=1e-5)
        assert pickle.loads(pickle.dumps(found))["unseen"].tobytes() == found["unseen"].tobytes()


@pytest.mark.parametrize("name", GOLDEN)
def test_files_of_finalfusions_library(tmp_path: Path, name: str) -> None:
    data, words, expected = GOLDEN[name]
    found = load_vectors(write(tmp_path / "v", base64.b64decode(data)))
    assert found.tokens == words
    for token, vector in expected.items():
        np.testing.assert_allclose(found[token], np.array(vector, np.float32), rtol=1e-5, atol=1e-6)


def test_saved_files_come_back(tmp_path: Path) -> None:
    for count in range(1, 6):
        tokens = [*SPACED[:count], "a\nb", ""]
        vectors = WordVectors(tokens, WEIGHT[: len(tokens)])
        vectors.save(tmp_path / "v.fifu")
        assert same(load_vectors(tmp_path / "v.fifu"), tokens, vectors.weight)
    peer = pytest.importorskip("finalfusion")
    read = peer.load_finalfusion(tmp_path / "v.fifu")
    assert read.vocab.words == tokens
    assert np.asarray(read.storage).tobytes() == vectors.weight.tobytes()


def test_saving_rounds_to_float32(tmp_path: Path) -> None:
    weight = np.array([[1 / 3, 2e-50]])
    WordVectors(["a"], weight).save(tmp_path / "v", "finalfusion")
    assert same(load_vectors(tmp_path / "v"), ["a"], weight.astype(np.float32))


def test_limit_and_bad_utf8(tmp_path: Path) -> None:
    path = stored(tmp_path, FILES["buckets"])
    assert same(load_vectors(path, limit=3), WORDS[:3], FILES["buckets"].matrix[:3])
    data = path.read_bytes().replace("naïve".encode(), b"na\xff\xffve")
    at = data.index(b"na\xff")
    with pytest.raises(ValueError, match=f"byte {at + 2}: token 2 is not UTF-8"):
        load_vectors(write(tmp_path / "b", data))
    found = load_vectors(tmp_path / "b", unicode_errors="ignore")
    assert found.tokens[2] == "nave"
    assert found.report is not None
    assert found.report.bad_utf8 == 1
