"""The text that benchmarks run on: sentences of made-up words by Zipf's law, the same for every run."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROWS, WORDS, ROW_WORDS = 200_000, 100_000, 21
SHORTEST, LONGEST = 5, 9
# Coprime to 26, so that i -> START + i * STEP mod 26**n visits every word of n letters once.
STEP, START = 366_155_201_483, 2_718_281_828_459

ALPHABETS = {
    "ascii": "abcdefghijklmnopqrstuvwxyz",
    "accented": "abcdéfghiîklmnôpqrstùvwxyz",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщ",
}


@dataclass(frozen=True)
class Corpus:
    """Rows of text, and the words that may occur in them, most frequent first."""

    texts: list[str]
    words: list[str]

    @property
    def tokens(self) -> int:
        """How many words the rows have together."""
        return ROW_WORDS * len(self.texts)

    @property
    def text_bytes(self) -> int:
        """The size of the rows in UTF-8."""
        return sum(len(text.encode()) for text in self.texts)


def make_words(count: int, first: int = 0, alphabet: str = "ascii") -> list[str]:
    """Return `count` different words of 5 to 9 letters; those from another `first` on are different again."""
    return _text(_letters(first, count), np.full(count, "\n"), alphabet).split("\n")[:-1]


@functools.cache
def make_corpus(
    rows: int = ROWS, words: int = WORDS, alphabet: str = "ascii", *, capitals: bool = False, stops: bool = False
) -> Corpus:
    """Draw sentences of 21 words, Zipf's law with exponent 1.

    Parameters
    ----------
    rows, words : int
    alphabet : a key of ALPHABETS
        "accented" has code points below 256 and "cyrillic" above, which a Python str stores in one byte and in two.
    capitals : bool
        Every word begins with a capital.
    stops : bool
        A comma follows every seventh word, a full stop the last.
    """
    random = np.random.default_rng(0)
    cumulative = np.cumsum(1 / np.arange(1, words + 1))
    drawn = np.searchsorted(cumulative, random.random((rows, ROW_WORDS)) * cumulative[-1])
    letters = _letters(0, words)[np.minimum(drawn, words - 1)].reshape(rows * ROW_WORDS, LONGEST)
    ends = np.full((rows, ROW_WORDS), " ", dtype="U2")
    if stops:
        ends[:, 6:-1:7] = ", "
        ends[:, -1] = "."
    ends[:, -1] = ".\n" if stops else "\n"
    texts = _text(letters, ends.ravel(), alphabet, capitals).split("\n")[:-1]
    return Corpus(texts, make_words(words, alphabet=alphabet))


def _letters(first: int, count: int) -> npt.NDArray[np.uint8]:
    """Return words as letters 1 to 26, shape (count, LONGEST), 0 after a word's end."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    if first + count > 26**SHORTEST:
        raise ValueError(f"there are {26**SHORTEST} different words, not {first + count}")
    # A hash of the number, so that long and short words are mixed at every rank.
    lengths = SHORTEST + (numbers * 2_654_435_761 % 2**32 >> 16) % (LONGEST - SHORTEST + 1)
    rest = (START + numbers * STEP) % 26**lengths
    letters = np.zeros((count, LONGEST), np.uint8)
    for place in range(LONGEST):
        letters[:, place] = np.where(place < lengths, rest % 26 + 1, 0)
        rest //= 26
    return letters


def _text(letters: npt.NDArray[np.uint8], ends: npt.NDArray[np.str_], alphabet: str, capitals: bool = False) -> str:
    """Write words one after the other, each with what ends it."""
    width = np.uint32 if alphabet == "cyrillic" else np.uint8
    points = np.array([0, *map(ord, ALPHABETS[alphabet])], width)
    shown = points[letters]
    if capitals:
        shown[:, 0] = np.array([0, *map(ord, ALPHABETS[alphabet].upper())], width)[letters[:, 0]]
    endings = np.ascontiguousarray(ends).view(np.uint32).reshape(len(ends), -1).astype(width)
    both = np.concatenate([shown, endings], axis=1)
    return both[both > 0].tobytes().decode("latin-1" if width is np.uint8 else "utf-32-le")
