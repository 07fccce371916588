"""A text file to a file of ids."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import embrow
from embrow._files import WINDOW_BYTES
from embrow.corpus import encode_file, offsets_path
from packed import pack

LINES = ["to be or", "", "not to\u2028be", "é unseen", "last"]
VOCAB = embrow.Vocab.build([*LINES[:3], "last"])


@pytest.fixture(params=["plain", "gzip", "zstd"])
def text_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    data = "\r\n".join(LINES * 50).encode()
    if request.param == "gzip":
        data = gzip.compress(data)
    elif request.param == "zstd":
        data = pack(data, "zst")
    path = tmp_path / "text"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("window", [7, 1 << 20])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_ragged_ids_and_offsets(text_file: Path, monkeypatch: pytest.MonkeyPatch, window: int, dtype: Any) -> None:
    monkeypatch.setattr("embrow.corpus.WINDOW_BYTES", window)
    output = text_file.with_name("ids.npy")
    seen: list[int] = []
    counts = encode_file(VOCAB, text_file, output, dtype=dtype, progress=seen.append)
    expected = VOCAB.encode_ragged(LINES * 50, dtype=dtype)
    values = np.load(output, mmap_mode="r")
    assert values.dtype == dtype
    assert values.tolist() == expected.values.tolist()
    assert np.load(offsets_path(output)).tolist() == expected.offsets.tolist()
    assert counts == (250, len(values))
    assert seen[-1] == len("\r\n".join(LINES * 50).encode())
    assert sorted(path.name for path in text_file.parent.iterdir()) == ["ids.npy", "ids.offsets.npy", "text"]


@pytest.mark.parametrize("window", [7, 1 << 20])
def test_padded_ids(text_file: Path, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    monkeypatch.setattr("embrow.corpus.WINDOW_BYTES", window)
    output = text_file.with_name("ids.npy")
    lines, ids = encode_file(VOCAB, text_file, output, max_length=2)
    expected, lengths = VOCAB.encode(LINES * 50, max_length=2, return_lengths=True)
    assert np.load(output).tolist() == expected.tolist()
    assert (lines, ids) == (250, lengths.sum())
    assert not offsets_path(output).exists()


def test_a_rectangle_is_made_in_bounded_memory(tmp_path: Path) -> None:
    lines = 40_000
    (tmp_path / "text").write_bytes(b"to\n" * lines)
    tracemalloc.start()
    try:
        assert encode_file(VOCAB, tmp_path / "text", tmp_path / "ids.npy", max_length=400) == (lines, lines)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * WINDOW_BYTES < lines * 400 * 8
    assert np.array_equal(np.load(tmp_path / "ids.npy", mmap_mode="r")[:, 0], np.full(lines, VOCAB["to"]))


def test_a_vocabulary_that_was_moved_to_a_device_writes_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "text").write_text("to be or\nnot", encoding="utf-8")
    moved = embrow.Vocab(VOCAB.tokens)
    object.__setattr__(moved, "_device", torch.device("meta"))
    for width in (None, 2):
        encode_file(moved, tmp_path / "text", tmp_path / "moved.npy", max_length=width)
        encode_file(VOCAB, tmp_path / "text", tmp_path / "ids.npy", max_length=width)
        assert (tmp_path / "moved.npy").read_bytes() == (tmp_path / "ids.npy").read_bytes()


def test_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("é to\n".encode("latin-1"))
    vocab = embrow.Vocab(["<unk>", "é", "to"])
    encode_file(vocab, path, tmp_path / "ids.npy", encoding="latin-1")
    assert np.load(tmp_path / "ids.npy").tolist() == [1, 2]
    counter = embrow.TokenCounter()
    counter.update_file(path, encoding="latin-1")
    assert counter.most_common() == [("é", 1), ("to", 1)]
    encode_file(vocab, path, tmp_path / "ids.npy", errors="replace")
    assert np.load(tmp_path / "ids.npy").tolist() == [0, 2]


def test_files_that_differ_behind_a_dot_have_offsets_of_their_own(tmp_path: Path) -> None:
    assert offsets_path(tmp_path / "ids.npy") == tmp_path / "ids.offsets.npy"
    assert offsets_path("ids") == Path("ids.offsets.npy")
    for name, text in (("out.train", "a b\n"), ("out.test", "a\n")):
        (tmp_path / "text").write_text(text, encoding="utf-8")
        encode_file(embrow.Vocab(["a", "b"]), tmp_path / "text", tmp_path / name)
    assert np.load(tmp_path / "out.train.offsets.npy").tolist() == [0, 2]
    assert np.load(tmp_path / "out.test.offsets.npy").tolist() == [0, 1]


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"")
    assert encode_file(VOCAB, tmp_path / "text", tmp_path / "ids.npy") == (0, 0)
    assert np.load(tmp_path / "ids.npy").shape == (0,)
    assert np.load(tmp_path / "ids.offsets.npy").tolist() == [0]


@pytest.mark.parametrize(("encoding", "errors"), [("utf-8", "replace"), ("utf_8", "ignore"), ("utf-16-le", "strict")])
def test_a_byte_order_mark_in_any_encoding(tmp_path: Path, encoding: str, errors: str) -> None:
    (tmp_path / "text").write_bytes("\ufeffto be\n".encode(encoding))
    encode_file(VOCAB, tmp_path / "text", tmp_path / "ids.npy", encoding=encoding, errors=errors)
    assert np.load(tmp_path / "ids.npy").tolist() == VOCAB.encode(["to be"])[0].tolist()


def test_a_byte_order_mark_is_no_token(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(gzip.compress("\ufeffto be".encode()))
    counter = embrow.TokenCounter()
    counter.update_file(tmp_path / "text")
    assert counter.most_common() == [("to", 1), ("be", 1)]


@pytest.mark.parametrize("change", [lambda data: data[:-5], lambda data: data[:20] + b"?" + data[21:] + data, None])
def test_zstd_that_is_damaged_or_in_frames(tmp_path: Path, change: Any) -> None:
    text = b"to be or not to be\n" * 99
    path = tmp_path / "text"
    counter = embrow.TokenCounter()
    if change is None:
        path.write_bytes(pack(text, "zst") + pack(text, "zst"))
        counter.update_file(path)
        assert counter.most_common(1) == [("to", 396)]
        return
    path.write_bytes(change(pack(text, "zst")))
    with pytest.raises(ValueError, match=r"text: (the compressed data end at byte|the zst data are damaged near byte)"):
        counter.update_file(path)


def test_errors_of_the_reader_keep_their_type(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"unseen")
    with pytest.raises(KeyError, match="is not in the vocabulary"):
        encode_file(embrow.Vocab(["a"]), tmp_path / "text", tmp_path / "ids.npy")


@pytest.mark.parametrize(
    ("encoding", "before", "bad"),
    [
        ("ascii", 20_001, b"\xff"),
        ("utf-16", 20_000, b"\x00\xd8a\x00"),
        ("utf-16-le", 20_002, b"\x00"),
        ("shift_jis", 20_001, b"\x81\x20"),
        ("utf-8-sig", 20_001, b"\xff"),
    ],
)
@pytest.mark.parametrize("window", [1001, 1 << 20])
def test_a_byte_that_is_not_of_the_encoding_is_named_by_its_place_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, before: int, bad: bytes, window: int
) -> None:
    monkeypatch.setattr("embrow.corpus.WINDOW_BYTES", window)
    fine = "to be\n" * before
    data = fine.encode(encoding)[:before]
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(data + bad + (b"" if bad == b"\x00" else "to be\n".encode(encoding))))
    with pytest.raises(
        ValueError, match=rf"text: byte {before} \({bad[0]:#04x}\) is not {encoding}; give its encoding"
    ):
        encode_file(VOCAB, path, tmp_path / "ids.npy", encoding=encoding)


def test_standard_input_stays_open(tmp_path: Path) -> None:
    code = """if True:
        import io, sys, embrow
        for stream in (sys.stdin, io.TextIOWrapper(io.BytesIO("\u00e9".encode("latin-1")))):
            sys.stdin = stream
            counter = embrow.TokenCounter()
            counter.update_file("-", encoding="latin-1")
            assert counter.most_common() == [("\u00e9", 1)]
            assert not sys.stdin.closed and not sys.stdin.buffer.closed"""
    subprocess.run([sys.executable, "-c", code], input=b"\xe9\n", check=True)


def test_standard_input_that_is_closed() -> None:
    with subprocess.Popen(["sh", "-c", f"{sys.executable} -m embrow vocab - -o v <&-"], stderr=subprocess.PIPE) as run:
        _, said = run.communicate()
    assert run.returncode == 1
    assert said == b"embrow: standard input is closed\n"


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"fine\n\xff", {}, "text: encode: row 1 is not valid UTF-8 at byte 0"),
        (gzip.compress(b"fine" * 99)[:-9], {}, "the compressed data end at byte"),
        (b"\xff", {"encoding": "ascii"}, "give its encoding, or errors other than strict"),
        (b"fine", {"encoding": "no-such"}, "text: unknown encoding: no-such"),
        (b"fine", {"encoding": "base64"}, "text: 'base64' is not a text encoding"),
        (b"fine", {"encoding": "undefined"}, "undefined encoding"),
        (b"fine", {"errors": "no-such"}, "text: unknown error handler name 'no-such'"),
        (b"fine", {"encoding": "utf-16"}, "text: UTF-16 stream does not start with BOM; give its encoding"),
    ],
)
def test_nothing_is_left_of_a_file_that_fails(tmp_path: Path, data: bytes, options: Any, message: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_file(VOCAB, path, tmp_path / "ids.npy", **options)
    assert [found.name for found in tmp_path.iterdir()] == ["text"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"to be")
    with pytest.raises(OSError, match="cannot be written"):
        encode_file(VOCAB, tmp_path / "text", tmp_path / "none" / "ids.npy")
    with pytest.raises(IsADirectoryError, match="the output must be a file"):
        encode_file(VOCAB, tmp_path / "text", tmp_path)


def test_a_token_without_an_id_is_named_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embrow.corpus.WINDOW_BYTES", 7)
    path = tmp_path / "text"
    path.write_text("to be\nto be\nto zz\n")
    vocab = embrow.Vocab(["to", "be"], pad_token=None, unk_token=None)
    for width in (None, 2):
        with pytest.raises(KeyError, match=r"text: encode: row 2, token 1 "):
            encode_file(vocab, path, tmp_path / "ids.npy", max_length=width)
    path.write_text("to be\nto be\nto\n")
    with pytest.raises(ValueError, match=r"text: encode: row 2 has 1 tokens where the width is 2"):
        encode_file(vocab, path, tmp_path / "ids.npy", max_length=2)


def test_rows_of_an_iterator_are_counted_from_where_they_are() -> None:
    many = ["a"] * 70_000
    for tokenizer in ("whitespace", str.split):
        with pytest.raises(TypeError, match=r"^TokenCounter\.update: row 70000 is int"):
            embrow.TokenCounter(tokenizer=tokenizer).update(iter([*many, 3]))
        with pytest.raises(ValueError, match=r"^Vocab\.build: row 70000 is not valid UTF-8 at byte 1"):
            embrow.Vocab.build(iter([*many, b"a\xff"]), tokenizer=tokenizer)


def test_what_a_tokenizer_raises_passes_as_it_is() -> None:
    def split(row: str) -> list[str]:
        if row == "b":
            raise ValueError("no b")
        return row.split()

    with pytest.raises(ValueError, match=r"^no b$"):
        embrow.TokenCounter(tokenizer=split).update(iter([*["a"] * 70_000, "b"]))


class Rows:
    """Texts of a number that only who reads them knows."""

    def __iter__(self) -> Iterator[str]:
        return iter(["a", "a b"])


def test_rows_without_a_length() -> None:
    counter = embrow.TokenCounter()
    counter.update(Rows())
    assert counter.most_common() == [("a", 2), ("b", 1)]
