"""Small finalfusion files for the tests, written from the format's specification, and read back by plain loops."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fasttext_files import WORDS, fnv

SIMPLE, BUCKETS, FASTTEXT, LISTED = 1, 3, 7, 8


def fnv64(ngram: str) -> int:
    value = 14695981039346656037
    code_points = b"".join(struct.pack("<I", ord(character)) for character in ngram)
    for byte in struct.pack("<Q", len(ngram)) + code_points:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


@dataclass
class File:
    """What a file holds. `size` is the number of buckets, or its exponent, `parts` those of quantised vectors."""

    kind: int = SIMPLE
    min_chars: int = 2
    max_chars: int = 4
    size: int = 5
    dim: int = 6
    parts: int = 0
    projection: bool = False
    norms: bool = False
    extra: bool = False

    def __post_init__(self) -> None:
        rng = np.random.default_rng(3)
        # Of the listed n-grams some share a row.
        self.listed = {ngram: i // 2 for i, ngram in enumerate(["<th", "the", "uns", "een>", "日本", "🙂>", "ü", "<ü"])}
        rows = {SIMPLE: 0, BUCKETS: 2**self.size, FASTTEXT: self.size, LISTED: 4}[self.kind]
        self.matrix = rng.standard_normal((len(WORDS) + rows, self.dim)).astype(np.float32)
        self.matrix[0, 0] = -0.0
        if self.parts:
            self.codes = rng.integers(0, 16, (len(self.matrix), self.parts)).astype(np.uint8)
            self.centroids = rng.standard_normal((self.parts, 16, self.dim // self.parts)).astype(np.float32)
            self.rotation = rng.standard_normal((self.dim, self.dim)).astype(np.float32)
            self.lengths = rng.random(len(self.matrix)).astype(np.float32)
            self.matrix = self.centroids[np.arange(self.parts), self.codes].reshape(self.matrix.shape)
            if self.projection:
                self.matrix = self.matrix @ self.rotation.T
            if self.norms:
                self.matrix = self.matrix * self.lengths[:, None]

    def ngram_rows(self, word: str) -> list[int]:
        text = f"<{word}>"
        rows = []
        for begin in range(len(text)):
            for size in range(self.max_chars, self.min_chars - 1, -1):
                ngram = text[begin : begin + size]
                if len(ngram) < size or self.kind == SIMPLE:
                    continue
                if self.kind == BUCKETS:
                    rows.append(fnv64(ngram) % 2**self.size)
                elif self.kind == FASTTEXT:
                    rows.append(fnv(ngram.encode()) % self.size)
                elif ngram in self.listed:
                    rows.append(self.listed[ngram])
        return rows

    def vector(self, word: str) -> npt.NDArray[np.float32]:
        """The word's row, or the sum of its n-grams' rows at length 1."""
        if word in WORDS:
            return self.matrix[WORDS.index(word)]
        total = np.zeros(self.dim, np.float32)
        for row in self.ngram_rows(word):
            total += self.matrix[len(WORDS) + row]
        length = np.linalg.norm(total)
        return total / length if length else total

    def to_bytes(self) -> bytes:
        storage = 4 if self.parts else 2
        kinds = [5, self.kind, storage, 6] if self.extra else [self.kind, storage]
        data = b"FiFu" + struct.pack(f"<II{len(kinds)}I", 0, len(kinds), *kinds)
        for kind in kinds:
            if kind == 5:
                data += self._chunk(5, b'name = "test"\n')
            elif kind == self.kind:
                data += self._chunk(kind, self._vocabulary())
            elif kind == 6:
                head = struct.pack("<QI", len(WORDS), 10)
                data += self._chunk(6, head + self._padding(data, head) + bytes(4 * len(WORDS)))
            else:
                head = self._quantised_head() if self.parts else struct.pack("<QII", *self.matrix.shape, 10)
                data += self._chunk(kind, head + self._padding(data, head) + self._storage())
        return data

    @staticmethod
    def _chunk(kind: int, content: bytes) -> bytes:
        return struct.pack("<IQ", kind, len(content)) + content

    @staticmethod
    def _padding(before: bytes, head: bytes) -> bytes:
        return bytes(4 - (len(before) + 12 + len(head)) % 4)

    def _vocabulary(self) -> bytes:
        words = b"".join(struct.pack("<I", len(word.encode())) + word.encode() for word in WORDS)
        if self.kind == SIMPLE:
            return struct.pack("<Q", len(WORDS)) + words
        if self.kind != LISTED:
            return struct.pack("<QIII", len(WORDS), self.min_chars, self.max_chars, self.size) + words
        ngrams = b"".join(
            struct.pack("<I", len(ngram.encode())) + ngram.encode() + struct.pack("<Q", row)
            for ngram, row in self.listed.items()
        )
        return struct.pack("<QQII", len(WORDS), len(self.listed), self.min_chars, self.max_chars) + words + ngrams

    def _quantised_head(self) -> bytes:
        counts = (self.parts, self.dim, 16, len(self.matrix))
        return struct.pack("<IIIIIQII", self.projection, self.norms, *counts, 1, 10)

    def _storage(self) -> bytes:
        if not self.parts:
            return self.matrix.tobytes()
        data = self.rotation.tobytes() if self.projection else b""
        data += self.centroids.tobytes()
        return data + (self.lengths.tobytes() if self.norms else b"") + self.codes.tobytes()


FILES = {
    "simple": File(),
    "simple with norms": File(extra=True),
    "buckets": File(BUCKETS),
    "fastText's buckets": File(FASTTEXT, min_chars=1, size=77),
    "listed": File(LISTED, min_chars=1),
    "quantised": File(parts=3),
    "quantised buckets": File(BUCKETS, parts=2, norms=True, extra=True),
    "quantised, projected": File(LISTED, min_chars=1, parts=6, projection=True, norms=True),
}
