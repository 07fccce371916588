"""Plain readers of vector files: the definition of right for tests/test_vectors.py."""

from __future__ import annotations

import struct

Rows = tuple[list[str], list[list[float]]]


def _first_of_each(rows: list[tuple[str, list[float]]]) -> Rows:
    kept: dict[str, list[float]] = {}
    for token, vector in rows:
        if token not in kept:
            kept[token] = vector
    return list(kept), list(kept.values())


def read_word2vec_binary(data: bytes, errors: str = "strict") -> Rows:
    header, _, rest = data.partition(b"\n")
    count, dim = map(int, header.split())
    rows = []
    for _ in range(count):
        token, _, rest = rest.lstrip(b"\n").partition(b" ")
        rows.append((token.decode(errors=errors), list(struct.unpack(f"<{dim}f", rest[: 4 * dim]))))
        rest = rest[4 * dim :]
    return _first_of_each(rows)


def read_word2vec_text(data: bytes, errors: str = "strict") -> Rows:
    header, *lines = data.split(b"\n")
    count, dim = map(int, header.split())
    return read_glove(b"\n".join(lines[:count]), dim, errors)


def read_glove(data: bytes, dim: int, errors: str = "strict") -> Rows:
    rows = []
    for line in data.split(b"\n"):
        fields = line.rstrip(b" \t\r").rsplit(b" ", dim)
        if len(fields) == dim + 1:
            rows.append((fields[0].decode(errors=errors), [float(field) for field in fields[1:]]))
    return _first_of_each(rows)
