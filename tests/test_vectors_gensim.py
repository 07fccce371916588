"""gensim's own files: pickles of every version that gensim's test data holds, and arrays beside them."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embrow.vectors import LoadReport, WordVectors, info, load_vectors
from vector_files import SPACED, WEIGHT, same, write

FOLDER = "test/test_data"
# Those that gensim 4.4 opens itself.
READABLE = [
    "compatible-hash-true.model",
    "model-from-gensim-3.8.0.w2v",
    "old_keyedvectors_320.dat",
    "word2vec_3.3",
    "word2vec_old",
    "word2vec_old_sep",
]
# Those that only older versions open, with the number of their words.
OLDER = [
    ("fasttext_old", 12),
    ("lee_fasttext", 1762),
    ("w2v-lee-v0.12.0", 806),
    ("word2vec_pre_kv_py2", 9),
    ("word2vec_pre_kv_py3", 9),
    ("word2vec_pre_kv_py3_4", 9),
    ("word2vec_pre_kv_sep_py2", 9),
    ("word2vec_pre_kv_sep_py3", 9),
    ("word2vec_pre_kv_sep_py3_4", 9),
]


def gensim_data() -> Path:
    import gensim

    return Path(gensim.__file__).parent / FOLDER


def keyed(tokens: list[str] = SPACED, weight: Any = WEIGHT) -> Any:
    return WordVectors(tokens, weight).to_gensim()


@pytest.mark.parametrize("name", READABLE)
def test_equals_gensims_reading(name: str) -> None:
    from gensim.models import KeyedVectors

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = KeyedVectors.load(str(gensim_data() / name))
    peer = getattr(peer, "wv", peer)
    assert same(load_vectors(gensim_data() / name, allow_pickle=True), peer.index_to_key, peer.vectors)


@pytest.mark.parametrize(("name", "words"), OLDER)
def test_older_layouts(name: str, words: int) -> None:
    found = load_vectors(gensim_data() / name, allow_pickle=True)
    assert len(found) == words
    assert np.isfinite(found.weight).all()
    assert (np.abs(found.weight).max(axis=1) > 0).all()


@pytest.mark.parametrize("separately", [[], ["vectors"]])
@pytest.mark.parametrize("suffix", ["kv", "kv.gz", "kv.bz2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_gensim_writes_today(tmp_path: Path, separately: list[str], suffix: str, order: Any) -> None:
    path = tmp_path / f"v.{suffix}"
    keyed(weight=np.asarray(WEIGHT, order=order)).save(str(path), separately=separately)
    assert len(list(tmp_path.iterdir())) == 1 + len(separately)
    found = load_vectors(path, allow_pickle=True)
    assert same(found, SPACED, WEIGHT)
    assert found.report == LoadReport(len(SPACED), len(SPACED), len(SPACED), 0, 0)
    some = load_vectors(path, ["end", "absent", "the"], allow_pickle=True, limit=10, dtype="f8")
    assert same(some, ["the", "end"], WEIGHT[[0, 9]].astype("f8"))
    assert load_vectors(path, limit=2, allow_pickle=True).tokens == SPACED[:2]
    assert info(path)["format"] == "gensim"
    assert info(path)["rows"] is None


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("writeable", [True, False])
def test_pickle_protocol_5(tmp_path: Path, order: Any, writeable: bool) -> None:
    vectors = keyed(weight=np.array(WEIGHT, order=order))
    vectors.vectors.flags.writeable = writeable
    vectors.save(str(tmp_path / "v"), pickle_protocol=5)
    assert same(load_vectors(tmp_path / "v", allow_pickle=True), SPACED, WEIGHT)


def test_pickles_are_refused_unless_allowed(tmp_path: Path) -> None:
    keyed().save(str(tmp_path / "v.kv"))
    with pytest.raises(ValueError, match="is a pickle, which may run code when it is read: pass allow_pickle=True"):
        load_vectors(tmp_path / "v.kv")


class Attack:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('ran')",))


def test_no_code_runs_even_then(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the pickle holds no words"):
        load_vectors(write(tmp_path / "v", pickle.dumps(Attack(), 4)), allow_pickle=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "the pickle holds list, not KeyedVectors"),
        (keyed(["a"], np.zeros((1, 2), np.float32)), None),
    ],
)
def test_other_pickles(tmp_path: Path, value: Any, message: str | None) -> None:
    path = write(tmp_path / "v", pickle.dumps(value, 4))
    if message is None:
        assert load_vectors(path, allow_pickle=True).tokens == ["a"]
        return
    with pytest.raises(ValueError, match=message):
        load_vectors(path, allow_pickle=True)


def test_faults(tmp_path: Path) -> None:
    path = tmp_path / "v.kv"
    keyed().save(str(path), separately=["vectors"])
    (tmp_path / "v.kv.vectors.npy").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"its rows are in v\.kv\.vectors\.npy, which is not beside it"):
        load_vectors(path, allow_pickle=True)
    np.save(tmp_path / "v.kv.vectors.npy", WEIGHT[:3])
    with pytest.raises(ValueError, match=r"v\.kv\.vectors\.npy: there are 14 tokens and 3 rows"):
        load_vectors(path, allow_pickle=True)
    data = path.read_bytes()
    with pytest.raises(EOFError, match=r"the file ends at byte 100, inside its pickle"):
        load_vectors(write(tmp_path / "s", data[:100]), allow_pickle=True)
    changes = [
        ({"index_to_key": [*range(14)]}, "token 0 is of type int, not str"),
        ({"index_to_key": SPACED[1:]}, "there are 13 tokens and 14 rows"),
        ({"vectors": np.ones(WEIGHT.shape, int)}, "vectors must be float16, float32 or float64, the pickle holds 'i8'"),
        ({"vectors": WEIGHT[0]}, "vectors must be an array of two dimensions"),
        ({"vectors": None}, "the pickle holds no vectors"),
        ({"vectors": None, "__numpys": 5}, "the pickle holds no vectors"),
        ({"vectors": None, "__numpys": None}, "the pickle holds no vectors"),
    ]
    for attributes, message in changes:
        vectors = keyed()
        vars(vectors).update(attributes)
        with pytest.raises(ValueError, match=message):
            load_vectors(write(tmp_path / "s", pickle.dumps(vectors, 4)), allow_pickle=True)


def test_progress_of_rows_beside_the_pickle(tmp_path: Path) -> None:
    keyed().save(str(tmp_path / "v"), separately=["vectors"])
    calls: list[tuple[int, int]] = []
    load_vectors(tmp_path / "v", allow_pickle=True, progress=lambda done, total: calls.append((done, total)))
    sizes = [(tmp_path / name).stat().st_size for name in ("v", "v.vectors.npy")]
    assert [total for _, total in calls] == sorted([total for _, total in calls], key=sizes.index)
    assert {calls[0][1], calls[-1][1]} == set(sizes)
    assert calls[-1] == (sizes[1], sizes[1])


class Shaped:
    """Pickled as an array of any shape and dtype."""

    def __init__(self, shape: Any, dtype: Any = None) -> None:
        self.shape = shape
        self.dtype = np.dtype("f4") if dtype is None else dtype

    def __reduce__(self) -> Any:
        reconstruct, arguments, _ = np.zeros(1).__reduce__()
        return (reconstruct, arguments, (1, self.shape, self.dtype, False, b""))


class Named:
    """Pickled as a dtype of any name."""

    def __init__(self, name: Any) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        return (np.dtype, (self.name,), None)


def test_a_pickle_that_names_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "v", b"\x80\x05\x96" + struct.pack("<Q", 1 << 30) + b"1234")
    tracemalloc.start()
    try:
        with pytest.raises(EOFError, match="ends at byte 15, inside its pickle"):
            load_vectors(path, format="gensim", allow_pickle=True)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_shapes_and_names_with_endless_text(tmp_path: Path) -> None:
    nested: Any = (1,)
    for _ in range(60):
        nested = (nested, nested)
    for array, message in [
        (Shaped(nested), "an array of two dimensions, the pickle's shape cannot be read"),
        (Shaped((1,) * 70), "an array of two dimensions, the pickle's shape cannot be read"),
        (Shaped((1, 2, 3)), r"an array of two dimensions, the pickle holds \(1, 2, 3\)"),
        (Shaped((3, 2)), r"array of shape \(3, 2\) cannot take 0 bytes"),
        (Shaped((3, 2), Named(nested)), "the pickle holds others"),
    ]:
        vectors = keyed(["a"], np.zeros((1, 2), np.float32))
        vars(vectors).update(vectors=array)
        with pytest.raises(ValueError, match=message):
            load_vectors(write(tmp_path / "s", pickle.dumps(vectors, 4)), allow_pickle=True)
