"""Small fastText models for the tests, written from the format's description, and read back by plain loops."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

MAGIC = struct.pack("<i", 793712314)
WORDS = ["</s>", "the", "naïve", "日本", "x" * 300, "a", "-", "🙂", "a.b", "new_york", "end"]
UNSEEN = ["unseen", "", "<", ">", "日本語", "q", "__label__b", "übermorgen", "y" * 700, "🙂🙂"]


@dataclass
class Model:
    """What a model file holds. `kept` maps buckets to rows, `part` is the size of quantised parts."""

    words: list[bytes] = field(default_factory=lambda: [word.encode() for word in WORDS])
    labels: list[bytes] = field(default_factory=list)
    dim: int = 6
    buckets: int = 50
    min_chars: int = 2
    max_chars: int = 4
    supervised: bool = False
    version: int = 12  # 0 for files without magic
    part: int | None = None
    norms: bool = False
    quantised_output: bool = False
    kept: dict[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        ngram_rows = self.buckets if self.kept is None else len(self.kept)
        self.rows = len(self.words) + ngram_rows
        self.matrix = rng.standard_normal((self.rows, self.dim)).astype(np.float32)
        self.matrix[1, 0] = -0.0
        self.output = rng.standard_normal((len(self.labels) or len(self.words), self.dim)).astype(np.float32)
        if self.part is not None:
            self.parts = -(-self.dim // self.part)
            self.codes = rng.integers(0, 256, (self.rows, self.parts)).astype(np.uint8)
            self.centroids = rng.standard_normal(256 * self.dim).astype(np.float32)
            self.norm_codes = rng.integers(0, 256, self.rows).astype(np.uint8)
            self.norm_centroids = rng.random(256).astype(np.float32)

    @property
    def subwords(self) -> bool:
        old_supervised = self.supervised and self.version < 12
        return self.max_chars > 0 and self.buckets > 0 and not old_supervised and self.kept != {}

    def row(self, row: int) -> npt.NDArray[np.float32]:
        if self.part is None:
            return self.matrix[row]
        vector = []
        for m in range(self.parts):
            size = self.part if m < self.parts - 1 else self.dim - self.part * (self.parts - 1)
            begin = 256 * self.part * m + int(self.codes[row, m]) * size
            vector.extend(self.centroids[begin : begin + size])
        norm = self.norm_centroids[self.norm_codes[row]] if self.norms else np.float32(1)
        return np.array([norm * value for value in vector], np.float32)

    def ngram_rows(self, word: bytes) -> list[int]:
        if not self.subwords or (word == b"</s>" and self.version > 0):
            return []
        # Characters are runs of bytes that start with one that does not continue a character.
        characters: list[bytes] = []
        for byte in b"<" + word + b">":
            if byte & 0xC0 == 0x80 and characters:
                characters[-1] += bytes([byte])
            else:
                characters.append(bytes([byte]))
        rows = []
        for begin in range(len(characters)):
            for size in range(1, self.max_chars + 1):
                end = begin + size
                if size < self.min_chars or end > len(characters):
                    continue
                if size == 1 and (begin == 0 or end == len(characters)):
                    continue
                bucket = fnv(b"".join(characters[begin:end])) % self.buckets
                if self.kept is None:
                    rows.append(len(self.words) + bucket)
                elif bucket in self.kept:
                    rows.append(len(self.words) + self.kept[bucket])
        return rows

    def vector(self, word: bytes) -> npt.NDArray[np.float32]:
        """The sum of the rows from zeros on, in order, in float32, times 1 / count in float32."""
        rows = self.ngram_rows(word)
        if word in self.words:
            rows.insert(0, self.words.index(word))
        total = np.zeros(self.dim, np.float32)
        for row in rows:
            total = total + self.row(row)
        return total * np.float32(1 / len(rows)) if rows else total

    def to_bytes(self) -> bytes:
        entries = [(word, 0) for word in self.words] + [(label, 1) for label in self.labels]
        arguments = (5, 5, 1, 5, 1, 1, 3 if self.supervised else 2, self.buckets, self.min_chars, self.max_chars, 100)
        data = (MAGIC + struct.pack("<i", self.version)) if self.version else b""
        data += struct.pack("<12id", self.dim, *arguments, 1e-4)
        data += struct.pack("<3iq", len(entries), len(self.words), len(self.labels), 1000)
        if self.version:
            data += struct.pack("<q", -1 if self.kept is None else len(self.kept))
        data += b"".join(word + b"\0" + struct.pack("<qb", 9, kind) for word, kind in entries)
        data += b"".join(struct.pack("<2i", *pair) for pair in (self.kept or {}).items())
        quantised = self.part is not None
        if self.version:
            data += struct.pack("<?", quantised)
        data += self._quantised() if quantised else self._dense(self.matrix)
        if self.version:
            data += struct.pack("<?", self.quantised_output)
        if self.quantised_output:
            return data + self._quantised()
        return data + self._dense(self.output)

    @staticmethod
    def _dense(matrix: npt.NDArray[np.float32]) -> bytes:
        return struct.pack("<2q", *matrix.shape) + matrix.tobytes()

    def _quantised(self) -> bytes:
        assert self.part is not None
        last = self.dim - self.part * (self.parts - 1)
        data = struct.pack("<?2qi", self.norms, self.rows, self.dim, self.codes.size) + self.codes.tobytes()
        data += struct.pack("<4i", self.dim, self.parts, self.part, last) + self.centroids.tobytes()
        if self.norms:
            data += self.norm_codes.tobytes() + struct.pack("<4i", 1, 1, 1, 1) + self.norm_centroids.tobytes()
        return data


def fnv(ngram: bytes) -> int:
    """FNV-1a of 32 bits over bytes taken as signed."""
    value = 2166136261
    for byte in ngram:
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * 16777619 % 2**32
    return value


MODELS = {
    "words": Model(min_chars=0, max_chars=0, buckets=0),
    "subwords": Model(),
    "single": Model(min_chars=1, max_chars=3, buckets=7, dim=1),
    "long": Model(min_chars=3, max_chars=6, buckets=1000, dim=9),
    "old": Model(version=0),
    "old supervised": Model(version=0, supervised=True, labels=[b"__label__a", b"__label__b"]),
    "version 11": Model(version=11),
    "version 11 supervised": Model(version=11, supervised=True, labels=[b"__label__a"]),
    "supervised": Model(supervised=True, labels=[b"__label__a", b"__label__b"]),
    "quantised": Model(part=2, supervised=True, labels=[b"__label__a"]),
    "quantised, short last part": Model(part=4, norms=True, supervised=True, labels=[b"__label__a"]),
    "quantised, one part": Model(part=6, supervised=True, labels=[b"__label__a"]),
    "pruned": Model(
        part=2, norms=True, supervised=True, labels=[b"__label__a"], kept={b: i for i, b in enumerate(range(49, 0, -3))}
    ),
    "pruned to words": Model(part=2, supervised=True, labels=[b"__label__a"], kept={}),
    "quantised output": Model(
        part=2, norms=True, supervised=True, labels=[b"__label__a"], quantised_output=True, kept={7: 1, 3: 0}
    ),
}
