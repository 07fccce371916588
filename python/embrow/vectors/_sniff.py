"""The first bytes of a file -> which format it is in, and where its rows start."""

from __future__ import annotations

import math
import re
import struct
from codecs import BOM_UTF8
from collections import Counter
from dataclasses import dataclass

from embrow._compression import is_cut_short
from embrow.vectors._source import Window

READABLE = (
    "word2vec-binary",
    "word2vec-text",
    "glove",
    "safetensors",
    "npy",
    "gensim",
    "fasttext",
    "finalfusion",
)
# A row may take up to 64 MiB (vectors.h), a float32 four bytes.
MAX_DIM = (64 << 20) // 4
FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")
# Args::save in fastText's source.
FASTTEXT_ARGUMENTS = "12id"
FINALFUSION_MAGIC = b"FiFu"
# The format's own limit.
MAX_SAFETENSORS_HEADER_BYTES = 100_000_000
_SELF_DESCRIBING = ("safetensors", "npy", "gensim", "fasttext", "finalfusion")

_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*(\d+)[ \t]+(\d+)[ \t]*\r?\n")
_HEADER_CUT = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*\d+[ \t]*\d*[ \t]*\r?")
_MAX_ROWS = 2**62
_SAMPLE_LINES = 32
_SAMPLE_BYTES = 1 << 16
_SEPARATOR = re.compile(rb"[ \t]")
_TEXT_BYTES = frozenset(range(0x20, 0x7F)) | {9, 13}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Layout:
    """What is known of a file before its rows are read."""

    format: str
    dim: int
    declared: int | None
    start: int


def check_format(doing: str, name: str) -> None:
    if name != "auto" and name not in READABLE:
        raise ValueError(f"{doing}: format must be 'auto' or one of {', '.join(READABLE)}, found {name!r}")


def sniff(window: Window, name: str) -> Layout:
    """Tell the layout from a filled window. `name` is a format, or "auto"; of some formats only that is told."""
    head = window.peek()
    if not head:
        if not window.last:
            window.fill()
        raise EOFError("the file is empty: it ends at byte 0, before token 0")
    if window.last and is_cut_short(head):
        raise EOFError(f"the file ends at byte {len(head)}, inside the mark of a compressed file, before token 0")
    if not window.last and _HEADER_CUT.fullmatch(head):
        window.fill()
        head = window.peek()
    if name == "auto":
        name = _name(head)
    if name in _SELF_DESCRIBING:
        return Layout(name, 0, None, 0)
    if name == "glove":
        return Layout("glove", _text_dim(window), None, len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0)
    rows, dim, start = _header(head, window.last)
    if name == "word2vec":
        name = "word2vec-text" if _rows_are_text(head[start:], dim) else "word2vec-binary"
    return Layout(name, dim, rows, start)


def _name(head: bytes) -> str:
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(FINALFUSION_MAGIC):
        return "finalfusion"
    if head[:4] == FASTTEXT_MAGIC or _is_old_fasttext(head):
        return "fasttext"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "gensim"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_SAFETENSORS_HEADER_BYTES:
        return "safetensors"
    if _HEADER.match(head) or _HEADER_CUT.fullmatch(head):
        return "word2vec"
    return "glove"


def _is_old_fasttext(head: bytes) -> bool:
    """Whether a file starts as fastText's did before they had a magic number."""
    layout = "<" + FASTTEXT_ARGUMENTS + "3iq"
    if len(head) < struct.calcsize(layout):
        return False
    fields = struct.unpack_from(layout, head)
    dim, window, epochs, least, negative, word_ngrams, loss, model, buckets, min_chars, max_chars, rate = fields[:12]
    sampling, entries, words, labels, tokens = fields[12:]
    return (
        1 <= dim <= 1 << 16
        and all(0 <= value < 1 << 24 for value in (window, epochs, least, negative, word_ngrams, rate))
        and 1 <= loss <= 3
        and 1 <= model <= 3
        and buckets >= 0
        and 0 <= min_chars <= 1000
        and 0 <= max_chars <= 1000
        and math.isfinite(sampling)
        and 0 <= sampling <= 1
        and entries == words + labels
        and min(words, labels, tokens) >= 0
    )


def _header(head: bytes, complete: bool) -> tuple[int, int, int]:
    match = _HEADER.match(head)
    if match is None:
        if complete and _HEADER_CUT.fullmatch(head):
            raise EOFError(f"the file ends at byte {len(head)}, inside its header, before token 0")
        raise ValueError("byte 0: the header must be two whole numbers, rows and dimensions, on one line")
    if len(match[1]) > 19 or len(match[2]) > 19 or int(match[1]) > _MAX_ROWS:
        raise ValueError("byte 0: the header's numbers are too large to be true")
    rows, dim = int(match[1]), int(match[2])
    if not 1 <= dim <= MAX_DIM:
        raise ValueError(f"byte 0: the header declares vectors of {dim}; this version reads 1 to {MAX_DIM}")
    return rows, dim, match.end()


def _rows_are_text(rows: bytes, dim: int) -> bool:
    """Whether the first row is a line of text: what follows the token would else be dim float32."""
    line = rows.lstrip(b"\n").split(b"\n", 1)[0]
    separator = _SEPARATOR.search(line)
    if separator is None:
        # No float32 either: a line that text can explain.
        return True
    vector = line[separator.end() :]
    fields = vector.split()
    if len(fields) >= dim and all(map(is_number, fields[-dim:])):
        return True
    # A faulty line, or float32 whose first bytes look like one.
    vector = vector[: 4 * dim]
    return bool(vector) and _TEXT_BYTES.issuperset(vector) and not _CONTROL.search(rows, 0, _SAMPLE_BYTES)


def is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _text_dim(window: Window) -> int:
    """How many numbers end most of the first lines; a token before them may itself be a number, or many words."""
    while b"\n" not in window.peek() and not window.last and window.size < 64 << 20:
        window.fill()
    head = window.peek()
    lines = head.split(b"\n", _SAMPLE_LINES)
    if len(lines) > 1:
        lines.pop()
    counts: Counter[int] = Counter()
    for line in lines:
        fields = line.replace(b"\t", b" ").split()
        numbers = 0
        while numbers < len(fields) - 1 and is_number(fields[-1 - numbers]):
            numbers += 1
        counts[numbers] += bool(fields)
    most = max(counts.values(), default=0)
    dim = max((numbers for numbers, count in counts.items() if count == most), default=0)
    if dim == 0:
        raise ValueError(
            "byte 0: token 0 is not followed by numbers, so the format cannot be told from the file; "
            "name it with format="
        )
    return dim
