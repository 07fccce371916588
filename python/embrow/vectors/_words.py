"""Lists of words: read from a file, checked for what no file can hold."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embrow._arguments import in_id_order
from embrow._compression import open_source
from embrow._files import beside
from embrow.vectors._choice import Choice, choose_rows
from embrow.vectors._request import Request
from embrow.vectors._source import Window

_WINDOW_BYTES = 256 << 10


def words_path(path: str | os.PathLike[str]) -> Path:
    """Return where the words of an array lie that has none itself."""
    return beside(path, (".npy", ".safetensors"), ".words")


def _words_path_of(request: Request) -> Path:
    if request.source.compression is None:
        return words_path(request.path)
    # Its last suffix is what packed it.
    replaced = Path(request.path).with_suffix(".words")
    return replaced if replaced.is_file() else words_path(Path(request.path).with_suffix(""))


def choose_words(request: Request, what: str) -> Choice:
    """Choose among the words of the array that is asked for. `what` the array is, for errors."""
    tokens = request.tokens
    if tokens is None:
        tokens = _words_path_of(request)
        if not tokens.is_file():
            raise ValueError(f"{what} has no words: pass tokens=, a list or the path of a file (no {tokens.name} here)")
    if not isinstance(tokens, str | os.PathLike):
        return choose_rows(tokens, request.wanted, request.limit)
    words = _WordFile(tokens, request.unicode_errors)
    return choose_rows(words, request.wanted, request.limit)._replace(bad_utf8=words.bad_utf8)


class _WordFile:
    """One word a line, gone through in windows; `bad_utf8` counts those that were not UTF-8."""

    def __init__(self, path: str | os.PathLike[str], unicode_errors: str) -> None:
        self.bad_utf8 = 0
        self._path = path
        self._unicode_errors = unicode_errors

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._lines()):
            try:
                # The first line may start with a byte order mark.
                word = line.decode("utf-8" if number else "utf-8-sig")
            except UnicodeDecodeError as error:
                if self._unicode_errors == "strict":
                    raise ValueError(
                        f"{os.fspath(self._path)}: token {number} is not UTF-8 (line {number + 1}, byte {error.start} "
                        'of it); pass unicode_errors="replace" or "ignore" to read it'
                    ) from None
                word = line.decode(errors=self._unicode_errors)
                self.bad_utf8 += 1
            yield word

    def _lines(self) -> Iterator[bytes]:
        number = 0
        with open_source(self._path) as source:
            window = Window(source, capacity=_WINDOW_BYTES)
            while not window.last:
                window.fill(f"in token {number}")
                lines = window.peek().split(b"\n")
                # The last one goes on behind the window, or has no newline, or is none.
                rest = lines.pop()
                if window.last and rest:
                    lines.append(rest)
                    rest = b""
                window.use(window.size - len(rest))
                number += len(lines)
                for line in lines:
                    yield line.removesuffix(b"\r")


def words_of(words: Any, doing: str, argument: str) -> list[str]:
    """Return the words of a Vocab, or of what can be gone through."""
    if isinstance(words, str | bytes):
        raise TypeError(f"{doing}: {argument} must be a Vocab or a sequence of str, found {type(words).__name__}")
    return _checked(list(getattr(words, "tokens", words)), doing, argument)


def words_in_order(words: Any, doing: str, argument: str) -> list[str]:
    """Return the words that rows belong to, in their order: of a Vocab, a sequence, or a mapping word -> id."""
    if isinstance(words, set | frozenset):
        raise TypeError(f"{doing}: {argument} is a {type(words).__name__}, which has no order; pass a sequence of str")
    if isinstance(words, Mapping):
        return _checked(in_id_order(doing, words), doing, argument)
    return words_of(words, doing, argument)


def _checked(found: list[Any], doing: str, argument: str) -> list[str]:
    if any(not issubclass(kind, str) for kind in set(map(type, found))):
        number, word = next((i, word) for i, word in enumerate(found) if not isinstance(word, str))
        raise TypeError(f"{doing}: {argument}: token {number} is {type(word).__name__}; tokens are str")
    return found


@contextmanager
def surrogates_named(tokens: Sequence[str], what: str) -> Iterator[None]:
    """Where UTF-8 of one of the tokens is refused, raise what refuse_surrogates does."""
    try:
        yield
    except UnicodeEncodeError:
        refuse_surrogates(tokens, what)
        raise


def refuse_surrogates(tokens: Sequence[str], what: str) -> None:
    for number, token in enumerate(tokens):
        try:
            token.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{what}: token {number} has a lone surrogate at character {error.start}, which UTF-8 cannot hold"
            ) from None
