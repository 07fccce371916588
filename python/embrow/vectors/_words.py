"""Lists of words: read from a file, checked for what no file can hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from embrow._compression import open_source
from embrow.vectors._source import Window


def words_path(path: str | os.PathLike[str]) -> Path:
    """Return where the words of an array lie that has none itself."""
    return Path(path).with_suffix(".words")


def words_for(
    path: str | os.PathLike[str],
    tokens: Sequence[str] | str | os.PathLike[str] | None,
    unicode_errors: str,
    what: str,
) -> tuple[Sequence[str], int]:
    """Return the words of the array at `path`, and how many were not UTF-8. `what` the array is, for errors."""
    if tokens is None:
        tokens = words_path(path)
        if not tokens.is_file():
            raise ValueError(f"{what} has no words: pass tokens=, a list or the path of a file (no {tokens.name} here)")
    if isinstance(tokens, str | os.PathLike):
        return read_words(tokens, unicode_errors)
    return list(tokens), 0


def read_words(path: str | os.PathLike[str], unicode_errors: str) -> tuple[list[str], int]:
    """Read one token a line; return them and how many were not UTF-8."""
    with open_source(path) as source:
        window = Window(source)
        text = bytearray()
        while not window.last:
            window.fill()
            text += window.view()
            window.use(window.size)
    if not text:
        return [], 0
    lines = (text[:-1] if text.endswith(b"\n") else text).replace(b"\r\n", b"\n").removesuffix(b"\r").split(b"\n")
    words, bad = [], 0
    for number, line in enumerate(lines):
        try:
            words.append(line.decode())
        except UnicodeDecodeError as error:
            if unicode_errors == "strict":
                raise ValueError(
                    f"{os.fspath(path)}: token {number} is not UTF-8 (line {number + 1}, byte {error.start} of it); "
                    'pass unicode_errors="replace" or "ignore" to read it'
                ) from None
            words.append(line.decode(errors=unicode_errors))
            bad += 1
    return words, bad


def refuse_surrogates(tokens: Sequence[str], what: str) -> None:
    for number, token in enumerate(tokens):
        try:
            token.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{what}: token {number} has a lone surrogate at character {error.start}, which UTF-8 cannot hold"
            ) from None
