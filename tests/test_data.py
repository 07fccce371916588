"""Files of labelled texts: what is read, and what each wrong file is told."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from embrow.data import LabelledTexts, read_labelled, read_lines

CSV = "label,text\ngood,nice one\npoor,bad\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", CSV),
        ("t.csv", '\ufeffid,label,text\r\n1,"good","nice one"\r\n2,poor,bad\r\n'),
        ("t.csv", "\n\r\n" + CSV),
        ("t.tsv", "label\ttext\ngood\tnice one\npoor\tbad\n"),
        ("t.jsonl", '{"label": "good", "text": "nice one"}\n\n{"text": "bad", "label": "poor"}\n'),
        ("t.ft", "__label__good nice one\n__label__poor bad\n"),
        ("unnamed", CSV),
        ("unnamed", "label\ttext\ngood\tnice one\npoor\tbad\n"),
        ("unnamed", '{"label": "good", "text": "nice one"}\n{"text": "bad", "label": "poor"}'),
        ("unnamed.txt", "__label__good nice one\n__label__poor bad\n"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, content: str, compressed: bool) -> None:
    path = tmp_path / (name + ".gz" if compressed else name)
    data = content.encode()
    path.write_bytes(gzip.compress(data) if compressed else data)
    found = read_labelled(str(path))
    assert (found.texts, found.labels) == (["nice one", "bad"], ["good", "poor"])


def test_a_format_that_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV)
    with pytest.raises(ValueError, match=r"format is 'x'; choose one of 'auto', 'csv', 'tsv', 'jsonl', 'fasttext'"):
        read_labelled(str(tmp_path / "t.csv"), format="x")


def test_json_that_is_nested_too_deeply(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": "b"}\n' + "[" * 100_000 + "]" * 100_000)
    with pytest.raises(ValueError, match=r"t\.jsonl, line 2: the JSON is nested too deeply to be read"):
        read_labelled(str(tmp_path / "t.jsonl"))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        buffer = io.BytesIO(CSV.encode())

    monkeypatch.setattr("sys.stdin", Stream())
    assert read_labelled("-").texts == ["nice one", "bad"]


def test_other_columns_and_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("Sentiment,Tweet\ngood,caf\xe9\n".encode("latin-1"))
    found = read_labelled(str(path), text_column="Tweet", label_column="Sentiment", encoding="latin-1")
    assert found.texts == ["caf\xe9"]
    replaced = read_labelled(str(path), text_column="Tweet", label_column="Sentiment", encoding_errors="replace")
    assert replaced.texts == ["caf\ufffd"]


def test_quoted_fields_hold_commas_newlines_and_long_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    long = "word " * 100_000
    path.write_text(f'text,label\n"a, ""b""\nc",x\n{long},y\n', encoding="utf-8")
    found = read_labelled(str(path))
    assert found.texts == ['a, "b"\nc', long]
    assert found.lines == [2, 4]


def test_json_numbers_and_bools_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": true}\n', encoding="utf-8")
    assert read_labelled(str(path)).labels == ["1", "true"]


def test_texts_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text\na\n", encoding="utf-8")
    assert read_labelled(str(path), label_column=None) == LabelledTexts(str(path), ["a"], [], [2])


@pytest.mark.parametrize(("name", "content"), [("T.TSV", "text\na, b\n"), ("T.CSV", 'a\tb,text\nc,"a, b"\n')])
def test_endings_in_capitals(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_labelled(str(tmp_path / name), label_column=None).texts == ["a, b"]


def test_lines_are_counted_from_the_top_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n\n" + CSV, encoding="utf-8")
    assert read_labelled(str(path)).lines == [4, 5]


def test_keep_and_check_labels() -> None:
    data = LabelledTexts("t.csv", ["a", "b", "c"], ["x", "y", "x"], [2, 3, 5])
    assert data.keep({"x"}) == LabelledTexts("t.csv", ["a", "c"], ["x", "x"], [2, 5])
    data.check_labels(["x", "y"])
    with pytest.raises(ValueError, match=r"^t\.csv, line 3: unknown label 'y'; the model knows 'x'$"):
        data.check_labels(["x"])


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("a\u2028b\x0bc\r\n\n\x85d".encode())
    assert read_lines(str(path)) == ["a\u2028b\x0bc", "", "\x85d"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t.csv",
            "label,body\nx,a\n",
            r"t\.csv: no column 'text', the first line has 'label', 'body'; .*--text-column",
        ),
        ("t.csv", "sentiment,text\nx,a\n", r"t\.csv: no column 'label', .*--label-column"),
        ("t.csv", "text,label,text\na,x,b\n", r"t\.csv: 2 columns 'text'"),
        ("t.csv", "text,label\na,x\nb, \n", r"t\.csv, line 3, column 'label': the label is blank"),
        ("t.csv", "text,label\na,x\nb\n", r"t\.csv, line 3: 1 columns, the first line has 2"),
        ("t.csv", "text,label\na,x\nb,c,y\n", r"t\.csv, line 3: 3 columns, the first line has 2"),
        (
            "t.csv",
            'text,label\na,x\n"b,y\nc,z\n',
            r"t\.csv, line 3: a quote is not closed; quote the field whole and double the quotes in it",
        ),
        (
            "t.csv",
            'text,label\n"a\nb" c,x\nd,y\n',
            r"t\.csv, line 2: ',' expected after '\"'; quote the field whole and double the quotes in it",
        ),
        ("t.csv", '"text,label\na,x\n', r"t\.csv, line 1: a quote is not closed"),
        ("t.csv", "text,label\n", r"t\.csv: no texts"),
        ("t.csv", "", r"t\.csv: no texts"),
        ("t.csv", "\n\n", r"t\.csv: no texts; the file is empty"),
        ("t.csv", b"text,label\na,x\n\xff,y\n", r"t\.csv, line 3: byte 15 \(0xff\) is not utf-8"),
        ("t.jsonl", '{"text": "a"}\n', r"t\.jsonl, line 1: no key 'label', only 'text'"),
        ("t.jsonl", "{}\n", r"t\.jsonl, line 1: no key 'text', only an empty object; name it with --text-column"),
        ("t.jsonl", '{"text": "a", "label": null}\n', r"t\.jsonl, line 1, column 'label': the label is blank"),
        ("t.jsonl", '{"text": "a", "label": NaN}\n', r"t\.jsonl, line 1, column 'label': the label is blank"),
        ("t.jsonl", '{"text": 1, "label": "x"}\n', r"t\.jsonl, line 1: 'text' must be text, found int"),
        ("t.jsonl", '{"text": "a", "label": []}\n', r"t\.jsonl, line 1: 'label' must be text or a number, found list"),
        ("t.jsonl", '{"text": "a", "label": "x"}\n{"text"\n', r"t\.jsonl, line 2: not JSON"),
        ("t.jsonl", "[1]\n", r"t\.jsonl, line 1: a JSON object is needed, found list"),
        ("t.ft", "__label__x a\nb\n", r"t\.ft, line 2: one __label__ is needed, found 0"),
        ("t.ft", "__label__x __label__y a\n", r"t\.ft, line 1: one __label__ is needed, found 2"),
        ("t.ft", "__label__ a\n", r"t\.ft, line 1: the label is blank"),
        ("t.csv.gz", b"\x1f\x8b\x08\x00cut", r"t\.csv\.gz: the compressed data end at byte 7 of the file"),
    ],
)
def test_wrong_files(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=message):
        read_labelled(str(path))


def test_missing_file_and_unknown_encoding(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_labelled(str(tmp_path / "absent.csv"))
    path = tmp_path / "t.csv"
    path.write_text(CSV, encoding="utf-8")
    with pytest.raises(ValueError, match="unknown encoding: klingon"):
        read_labelled(str(path), encoding="klingon")
