"""Files of labelled texts to rows: CSV, TSV, JSON lines and fastText's format."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embrow._arguments import choice
from embrow._files import name_of, opened

FORMATS = ("csv", "tsv", "jsonl", "fasttext")
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".ft": "fasttext"}
_LABEL_PREFIX = "__label__"


@dataclass(frozen=True)
class LabelledTexts:
    """Texts, their labels, and the line of `name` that each stands on; `labels` is empty where none were asked for."""

    name: str
    texts: list[str]
    labels: list[str]
    lines: list[int] = field(repr=False)

    def keep(self, labels: set[str]) -> LabelledTexts:
        """Return the rows whose label is in `labels`."""
        rows = [row for row, label in enumerate(self.labels) if label in labels]
        return self.take(rows)

    def take(self, rows: list[int]) -> LabelledTexts:
        """Return the rows at these positions."""
        return LabelledTexts(
            self.name,
            [self.texts[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.lines[row] for row in rows],
        )

    def check_labels(self, known: list[str]) -> None:
        """Raise ValueError for the first label that is not among `known`."""
        for line, label in zip(self.lines, self.labels, strict=True):
            if label not in known:
                names = ", ".join(map(repr, known[:10])) + (", ..." if len(known) > 10 else "")
                raise ValueError(f"{self.name}, line {line}: unknown label {label!r}; the model knows {names}")


def read_labelled(
    path: str,
    *,
    format: str = "auto",
    text_column: str = "text",
    label_column: str | None = "label",
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
) -> LabelledTexts:
    """Read texts and labels.

    Parameters
    ----------
    path : str
        A file, plain, .gz, .bz2, .xz, .zst or the single member of a .zip; "-" is standard input.
    format : {"auto", "csv", "tsv", "jsonl", "fasttext"}
        "auto" goes by the file's ending, else by its first line.
    text_column, label_column : str
        Names in the first line of CSV and TSV, keys of JSON lines. No `label_column`: the texts alone are read.
    encoding, encoding_errors : str
        As in `bytes.decode`.

    Returns
    -------
    LabelledTexts

    Raises
    ------
    ValueError
        Bytes that are not text, a column that is missing, a row of CSV with more columns than the first or a quote out
        of place, a lone surrogate in JSON, a blank label, no rows; names file, line and column. Or `format` is unknown.
    """
    choice("format", format, ("auto", *FORMATS))
    text = read_text(path, encoding=encoding, encoding_errors=encoding_errors)
    name = name_of(path)
    if format == "auto":
        format = _sniff(path, text)
    if format == "fasttext":
        rows = _fasttext_rows(name, text, with_labels=label_column is not None)
    elif format == "jsonl":
        rows = _json_rows(name, text, text_column, label_column)
    else:
        rows = _csv_rows(name, text, "\t" if format == "tsv" else ",", text_column, label_column)
    texts, labels, lines = [], [], []
    for line, row_text, label in rows:
        if label is not None:
            if not label.strip():
                where = "" if format == "fasttext" else f", column {label_column!r}"
                raise ValueError(f"{name}, line {line}{where}: the label is blank; label the row or drop it")
            labels.append(label)
        texts.append(row_text)
        lines.append(line)
    if not texts:
        raise ValueError(f"{name}: no texts; at least one row is needed")
    return LabelledTexts(name, texts, labels, lines)


def read_lines(path: str, *, encoding: str = "utf-8", encoding_errors: str = "strict") -> list[str]:
    """Read one text a line; lines end at a line feed, and a carriage return before it is dropped."""
    text = read_text(path, encoding=encoding, encoding_errors=encoding_errors)
    return [line for _, line in _lines(text)]


def read_text(path: str, *, encoding: str = "utf-8", encoding_errors: str = "strict") -> str:
    """Read a whole file, plain or compressed, or standard input for "-"."""
    name = name_of(path)
    with opened(path) as file:
        data = file.read()
    try:
        text = data.decode(encoding, encoding_errors)
    except LookupError as error:
        raise ValueError(f"{name}: {error}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{name}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not {encoding}; "
            "give its encoding, or encoding errors other than strict"
        ) from error
    return text.removeprefix("\ufeff")


def _sniff(path: str, text: str) -> str:
    for suffix in reversed(Path(path).suffixes):
        if suffix.lower() in _SUFFIXES:
            return _SUFFIXES[suffix.lower()]
    first = next((line for _, line in _lines(text) if line.strip()), "")
    if first.lstrip().startswith("{"):
        return "jsonl"
    if first.lstrip().startswith(_LABEL_PREFIX):
        return "fasttext"
    return "tsv" if "\t" in first else "csv"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not str.splitlines, which also ends lines at characters that a text may hold, such as U+2028.
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        yield number, line.removesuffix("\n").removesuffix("\r")


def _csv_rows(
    name: str, text: str, delimiter: str, text_column: str, label_column: str | None
) -> Iterator[tuple[int, str, str | None]]:
    limit = csv.field_size_limit(sys.maxsize)
    line = 1
    try:
        # Else a quote that is never closed makes one field of all that follows.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = next(filter(None, reader), None)
        if header is None:
            raise ValueError(f"{name}: no texts; the file is empty")
        text_at = _column(name, header, text_column, "--text-column")
        label_at = None if label_column is None else _column(name, header, label_column, "--label-column")
        needed = max(text_at, -1 if label_at is None else label_at)
        line = reader.line_num + 1
        for row in reader:
            if row:
                if not needed < len(row) <= len(header):
                    raise ValueError(f"{name}, line {line}: {len(row)} columns, the first line has {len(header)}")
                yield line, row[text_at], None if label_at is None else row[label_at]
            line = reader.line_num + 1
    except csv.Error as error:
        what = "a quote is not closed" if str(error) == "unexpected end of data" else str(error)
        raise ValueError(f"{name}, line {line}: {what}; quote the field whole and double the quotes in it") from error
    finally:
        csv.field_size_limit(limit)


def _column(name: str, header: list[str], column: str, option: str) -> int:
    count = header.count(column)
    if count != 1:
        found = "no column" if count == 0 else f"{count} columns"
        names = ", ".join(map(repr, header[:10])) + (", ..." if len(header) > 10 else "")
        raise ValueError(f"{name}: {found} {column!r}, the first line has {names}; name it with {option}")
    return header.index(column)


def _json_rows(
    name: str, text: str, text_column: str, label_column: str | None
) -> Iterator[tuple[int, str, str | None]]:
    for line, row in _lines(text):
        if not row.strip():
            continue
        try:
            value = json.loads(row)
        except ValueError as error:
            raise ValueError(f"{name}, line {line}: not JSON: {error}") from error
        except RecursionError as error:
            raise ValueError(f"{name}, line {line}: the JSON is nested too deeply to be read") from error
        if not isinstance(value, dict):
            raise ValueError(f"{name}, line {line}: a JSON object is needed, found {type(value).__name__}")
        row_text = _field(name, line, value, text_column, "--text-column")
        if not isinstance(row_text, str):
            raise ValueError(f"{name}, line {line}: {text_column!r} must be text, found {type(row_text).__name__}")
        yield line, row_text, None if label_column is None else _json_label(name, line, value, label_column)


def _json_label(name: str, line: int, value: dict[str, Any], column: str) -> str:
    label = _field(name, line, value, column, "--label-column")
    if isinstance(label, str):
        return label
    # Python writes and reads NaN, which JSON does not have, for a number that is missing.
    if label is None or (isinstance(label, float) and math.isnan(label)):
        return ""
    if isinstance(label, (bool, int, float)):
        return json.dumps(label)
    raise ValueError(f"{name}, line {line}: {column!r} must be text or a number, found {type(label).__name__}")


def _field(name: str, line: int, value: dict[str, Any], column: str, option: str) -> Any:
    if column not in value:
        names = ", ".join(map(repr, list(value)[:10])) or "an empty object"
        raise ValueError(f"{name}, line {line}: no key {column!r}, only {names}; name it with {option}")
    found = value[column]
    try:
        if isinstance(found, str):
            found.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name}, line {line}: {column!r} has a lone surrogate at character {error.start}, which UTF-8 cannot hold"
        ) from None
    return found


def _fasttext_rows(name: str, text: str, *, with_labels: bool) -> Iterator[tuple[int, str, str | None]]:
    for line, row in _lines(text):
        tokens = row.split()
        if not tokens:
            continue
        labels = [token.removeprefix(_LABEL_PREFIX) for token in tokens if token.startswith(_LABEL_PREFIX)]
        if with_labels and len(labels) != 1:
            raise ValueError(f"{name}, line {line}: one {_LABEL_PREFIX} is needed, found {len(labels)}")
        words = " ".join(token for token in tokens if not token.startswith(_LABEL_PREFIX))
        yield line, words, labels[0] if with_labels else None
