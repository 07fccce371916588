"""Vectors in safetensors: files of our own, mapped with their index, and files of others."""

from __future__ import annotations

import json
import pickle
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embrow.vectors import LoadReport, WordVectors, _indexed_file, embedding_matrix, info, load_vectors
from packed import PACKERS
from vector_files import SPACED, WEIGHT, compress, make, same, write


def st_file(tensors: dict[str, tuple[str, list[int], bytes]], metadata: dict[str, str] | None = None) -> bytes:
    """Lay a file out by the format's description."""
    entries: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, (dtype, shape, content) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + data


TABLE = np.arange(12, dtype="<f4").reshape(4, 3) / 7
WORDS = ["a", "b c", "d\n", "é"]


# ---- our own


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_mapped_file_keeps_tokens_rows_and_lookups(tmp_path: Path, dtype: str) -> None:
    tokens = [*SPACED, "", "a\nb", "nul\0", "x" * 15, "x" * 16]
    weight = np.random.default_rng(1).standard_normal((len(tokens), 5)).astype(dtype)
    path = tmp_path / "v.safetensors"
    WordVectors(tokens, weight).save(path)
    found = load_vectors(path, dtype=dtype)
    assert "tokens" not in vars(found)
    assert len(found) == len(tokens)
    for row, token in enumerate(tokens):
        assert token in found
        assert found[token].tobytes() == weight[row].tobytes()
    assert "absent" not in found
    assert "\ud800" not in found
    assert 5 not in found
    with pytest.raises(KeyError, match="absent"):
        found["absent"]
    assert "tokens" not in vars(found)
    assert same(found, tokens, weight)
    assert found.report == LoadReport(len(tokens), len(tokens), len(tokens), 0, 0)
    assert info(path) == {
        "format": "safetensors",
        "compression": None,
        "rows": len(tokens),
        "dim": 5,
        "dtype": dtype,
        "bytes": path.stat().st_size,
    }
    copied = pickle.loads(pickle.dumps(found))
    assert same(copied, tokens, weight)
    assert copied["日本"].tobytes() == found["日本"].tobytes()


def test_writing_to_mapped_rows_leaves_the_file(tmp_path: Path) -> None:
    make(tmp_path / "v", "safetensors")
    before = (tmp_path / "v").read_bytes()
    found = load_vectors(tmp_path / "v")
    found.weight[:] = 0
    assert not found["the"].any()
    assert (tmp_path / "v").read_bytes() == before
    assert same(load_vectors(tmp_path / "v"), SPACED, WEIGHT)


@pytest.mark.parametrize("packed", [None, *PACKERS])
def test_some_rows(tmp_path: Path, packed: str | None) -> None:
    make(tmp_path / "v", "safetensors")
    path = compress(tmp_path / "v", packed) if packed else tmp_path / "v"
    wanted = ["end", "absent", "new york", "x" * 300, "the", "at name@domain.com"]
    rows = [SPACED.index(token) for token in ("the", "x" * 300, "end", "at name@domain.com", "new york")]
    assert same(load_vectors(path, wanted), [SPACED[row] for row in rows], WEIGHT[rows])
    with np.errstate(over="ignore"):
        assert same(
            load_vectors(path, wanted, dtype="f2", limit=10),
            [SPACED[row] for row in rows[:3]],
            WEIGHT[rows[:3]].astype("f2"),
        )
        assert same(load_vectors(path, dtype="f2"), SPACED, WEIGHT.astype("f2"))
    found = load_vectors(path, limit=3)
    assert same(found, SPACED[:3], WEIGHT[:3])
    assert found.report == LoadReport(3, len(SPACED), 3, 0, 0)


def test_many_tokens_are_found_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_indexed_file, "CHECKED_BYTES", 1000)
    monkeypatch.setattr("embrow.vectors._indexed.CHECKED_BYTES", 1000)
    tokens = [f"token {i}" * (1 + i % 3) for i in range(5000)]
    weight = np.random.default_rng(2).standard_normal((5000, 2)).astype(np.float32)
    WordVectors(tokens, weight).save(tmp_path / "v.safetensors")
    wanted = [*tokens[::7], *(f"absent {i}" for i in range(500))]
    assert same(load_vectors(tmp_path / "v.safetensors", wanted), tokens[::7], weight[::7])
    assert same(load_vectors(tmp_path / "v.safetensors"), tokens, weight)


def test_some_rows_of_another_dtype_take_little_memory(tmp_path: Path) -> None:
    tokens = [f"token {i}" for i in range(30_000)]
    weight = np.random.default_rng(2).standard_normal((30_000, 100))
    WordVectors(tokens, weight).save(tmp_path / "v.safetensors")
    tracemalloc.start()
    try:
        found = load_vectors(tmp_path / "v.safetensors", tokens)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert same(found, tokens, weight.astype("f4"))
    # Its 24 MB read whole would add as much.
    assert peak < found.weight.nbytes + (20 << 20)


def test_embedding_matrix_reads_a_mapped_file(tmp_path: Path) -> None:
    make(tmp_path / "v", "safetensors")
    vocab = ["end", "absent", "THE"]
    plain = WordVectors(SPACED, WEIGHT)
    for vectors in (tmp_path / "v", load_vectors(tmp_path / "v")):
        ours = embedding_matrix(vocab, vectors, case_fallback=True)
        expected = embedding_matrix(vocab, plain, case_fallback=True)
        assert ours.weight.tobytes() == expected.weight.tobytes()
        assert ours.coverage == expected.coverage


def test_any_reader_of_safetensors_opens_it(tmp_path: Path) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    make(tmp_path / "v", "safetensors")
    assert numpy.load_file(tmp_path / "v")["weight"].tobytes() == WEIGHT.tobytes()


def test_a_token_twice_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"save: .* token 2 is token 0 once more"):
        WordVectors(["a", "b", "a"], np.zeros((3, 2))).save(tmp_path / "v.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_damage_of_tokens_is_found(tmp_path: Path) -> None:
    make(tmp_path / "v", "safetensors")
    data = bytearray((tmp_path / "v").read_bytes())
    at = data.index(b"name@domain.com")
    data[at] ^= 1
    for vocab in (None, ["end"]):
        with pytest.raises(
            ValueError, match=r"the tokens are damaged: a checksum differs between byte \d+ and byte \d+"
        ):
            load_vectors(write(tmp_path / "d", data), vocab)
    with pytest.raises(EOFError, match=r"declares \d+ bytes, the file has \d+: it ends before its last token"):
        load_vectors(write(tmp_path / "d", (tmp_path / "v").read_bytes()[:-1]))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("options", [{}, {"dtype": "f8"}, {"vocab": ["end"]}])
def test_bytes_past_the_rows_warn_once(tmp_path: Path, packed: bool, options: dict[str, Any]) -> None:
    make(tmp_path / "v", "safetensors")
    data = (tmp_path / "v").read_bytes()
    path = write(tmp_path / "d", data + b"x")
    with pytest.warns(UserWarning, match=f"{len(SPACED)} rows; more bytes follow at {len(data)} and are") as met:
        found = load_vectors(compress(path) if packed else path, **options)
    assert [warning.filename for warning in met] == [__file__]
    assert found["end"].tobytes() == WEIGHT[SPACED.index("end")].astype(found.weight.dtype).tobytes()


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "v", "safetensors")
    data = (tmp_path / "v").read_bytes().replace(b'"version":"1"', b'"version":"2"')
    with pytest.raises(ValueError, match="the file has version '2'; this one reads '1'"):
        load_vectors(write(tmp_path / "d", data))
    with pytest.raises(ValueError, match="tokens= is for files without words; this one has its own"):
        load_vectors(tmp_path / "v", tokens=SPACED)


# ---- of others


@pytest.mark.parametrize("packed", [None, "gzip"])
def test_the_only_table_is_read(tmp_path: Path, packed: str | None) -> None:
    data = st_file(
        {
            "bias": ("F32", [4], bytes(16)),
            "ids": ("I64", [4, 1], bytes(32)),
            "emb": ("F32", [4, 3], TABLE.tobytes()),
            "last": ("F8_E4M3", [5], bytes(5)),
        },
        {"format": "pt"},
    )
    path = compress(write(tmp_path / "v", data)) if packed else write(tmp_path / "v", data)
    assert same(load_vectors(path, tokens=WORDS), WORDS, TABLE)
    assert same(load_vectors(path, ["é", "a"], tokens=WORDS), ["a", "é"], TABLE[[0, 3]])
    assert same(load_vectors(path, tokens=WORDS, limit=2, dtype="f8"), WORDS[:2], TABLE[:2].astype("f8"))
    assert (info(path)["rows"], info(path)["dim"], info(path)["dtype"]) == (4, 3, "float32")
    (tmp_path / "v.words").write_text("a\nb\nc\nd\n")
    assert load_vectors(path).tokens == ["a", "b", "c", "d"]


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F64", "I8"])
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    stored = {"F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64, "I8": torch.int8}[dtype]
    table = (torch.arange(12).reshape(4, 3) - 6).to(stored) / (1 if dtype == "I8" else 7)
    table = table.to(stored)
    data = st_file({"t": (dtype, [4, 3], table.contiguous().view(torch.uint8).numpy().tobytes())})
    found = load_vectors(write(tmp_path / "v", data), tokens=WORDS)
    assert same(found, WORDS, table.float().numpy())
    named = {"F16": "float16", "BF16": "bfloat16", "F64": "float64", "I8": "int8"}
    assert info(tmp_path / "v")["dtype"] == named[dtype]


def test_the_number_of_words_chooses_a_table(tmp_path: Path) -> None:
    two = {"x": ("F32", [2, 3], bytes(24)), "y": ("F32", [4, 3], TABLE.tobytes())}
    assert same(load_vectors(write(tmp_path / "v", st_file(two)), tokens=WORDS), WORDS, TABLE)
    assert info(tmp_path / "v")["rows"] is None
    with pytest.raises(ValueError, match=r"none of the 2 tables has 3 rows, one for each token; there are 'x'"):
        load_vectors(tmp_path / "v", tokens=WORDS[:3])
    both = {**two, "z": ("F32", [4, 3], TABLE.tobytes())}
    with pytest.raises(ValueError, match=r"2 tables have 4 rows: 'y' F32 \[4, 3\], 'z' F32 \[4, 3\]; save the one"):
        load_vectors(write(tmp_path / "v", st_file(both)), tokens=WORDS)
    with pytest.raises(ValueError, match=r"no tensor has two dimensions and elements of F16.*; there are 'x' I64"):
        load_vectors(write(tmp_path / "v", st_file({"x": ("I64", [1, 1], bytes(8))})), tokens=WORDS)
    with pytest.raises(ValueError, match="there are 3 tokens and 4 rows"):
        load_vectors(write(tmp_path / "v", st_file({"y": two["y"]})), tokens=WORDS[:3])
    with pytest.raises(ValueError, match=r"of others has no words: pass tokens=.* \(no v\.words here\)"):
        load_vectors(tmp_path / "v")


@pytest.mark.parametrize(
    ("header", "kind", "message"),
    [
        (b"[]", ValueError, "the safetensors header cannot be read"),
        (b'{"a": 5}', ValueError, "the safetensors header cannot be read"),
        (b'{"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 15]}}', ValueError, "cannot take 15 bytes"),
        (b'{"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [4, 20]}}', ValueError, "begins at byte"),
        (
            b'{"a": {"dtype": "F32", "shape": [2, -2], "data_offsets": [0, 16]}}',
            ValueError,
            "has numbers that are none",
        ),
        (b'{"a": {"dtype": "F31", "shape": [2, 2], "data_offsets": [0, 16]}}', ValueError, "cannot be read"),
        (
            b'{"a": {"dtype": "F32", "shape": [1000000000000, 2], "data_offsets": [0, 8000000000000]}}',
            EOFError,
            "declares 80000000000.. bytes, the file has",
        ),
        (b"{" + b"[" * 5000, ValueError, "the safetensors header cannot be read"),
    ],
)
def test_malformed_headers(tmp_path: Path, header: bytes, kind: type[Exception], message: str) -> None:
    data = len(header).to_bytes(8, "little") + header + bytes(20)
    with pytest.raises(kind, match=message):
        load_vectors(write(tmp_path / "v", data), tokens=["a", "b"], format="safetensors")


def test_headers_longer_than_the_file(tmp_path: Path) -> None:
    for size, kind, message in [
        (2**60, ValueError, "a header of 1152921504606846976 bytes is too long to be true"),
        (10**7, EOFError, "the header would end at byte 10000008, the file has only 30"),
    ]:
        with pytest.raises(kind, match=message):
            load_vectors(write(tmp_path / "v", size.to_bytes(8, "little") + b"{" + bytes(21)), format="safetensors")


def test_endless_shapes_and_names(tmp_path: Path) -> None:
    name = "n" * 100_000
    for data, message in [
        (st_file({"t": ("F32", [2**61] * 20_000, bytes(16))}), "tensor 't' has 20000 dimensions, more than 64"),
        (st_file({name: ("F32", [3, 3], bytes(16))}), "cannot take 16 bytes"),
        (st_file({name: ("F32", [-3, 3], bytes(16))}), "has numbers that are none"),
        (st_file({name: (name, [3, 3], bytes(16))}), "the safetensors header cannot be read"),
        (st_file({name: ("I64", [1, 2], bytes(16))}), "no tensor has two dimensions"),
        (st_file({}, {"format": "embrow-vectors", "version": name}), "the file has version 'nnnn"),
    ]:
        path = write(tmp_path / "v", data)
        begin = time.process_time()
        with pytest.raises(ValueError, match=message) as raised:
            load_vectors(path, tokens=None if "version" in message else ["a"])
        assert time.process_time() - begin < 2
        assert len(str(raised.value)) < 500
