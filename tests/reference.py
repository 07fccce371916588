"""One plain-Python loop per step: the definition of right. Imports nothing from the package."""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any


def split(row: str, tokenizer: str, lowercase: bool) -> list[str]:
    """Text -> tokens."""
    if lowercase:
        row = row.lower()
    return row.split() if tokenizer == "whitespace" else re.findall(r"\w+|[^\w\s]+", row)


def count(rows: Iterable[list[str]]) -> dict[str, int]:
    """Rows of tokens -> counts, first seen first."""
    counts: dict[str, int] = {}
    for row in rows:
        for token in row:
            counts[token] = counts.get(token, 0) + 1
    return counts


def vocabulary(
    counts: dict[str, int], *, specials: Sequence[str], min_freq: int, max_size: int | None, ties: str
) -> list[str]:
    """Counts -> tokens in id order, specials first."""
    ranked = sorted(counts) if ties == "token" else list(counts)
    ranked.sort(key=lambda token: -counts[token])
    kept = [token for token in ranked if counts[token] >= min_freq and token not in specials]
    return (list(specials) + kept)[:max_size]


def encode(row: list[str], ids: dict[str, int], unk: int) -> list[int]:
    """Tokens -> ids."""
    return [ids.get(token, unk) for token in row]


def pad(
    rows: Sequence[Sequence[int]],
    *,
    max_length: int | None,
    padding_side: str,
    truncation_side: str,
    value: int,
    multiple: int = 1,
    bos: Sequence[int] = (),
    eos: Sequence[int] = (),
) -> list[list[int]]:
    """Ragged ids -> batch."""
    framed = []
    for row in rows:
        kept = list(row)
        if max_length is not None:
            room = max_length - len(bos) - len(eos)
            kept = kept[:room] if truncation_side == "right" else kept[max(0, len(kept) - room) :]
        framed.append([*bos, *kept, *eos])
    width = max_length if max_length is not None else max(map(len, framed), default=0)
    width = (width + multiple - 1) // multiple * multiple
    batch = []
    for row in framed:
        padding = [value] * (width - len(row))
        batch.append(row + padding if padding_side == "right" else padding + row)
    return batch


def gather(table: Sequence[Sequence[float]], ids: Sequence[int]) -> list[list[float]]:
    """Ids, table -> rows."""
    rows = []
    for position, id in enumerate(ids):
        if not 0 <= id < len(table):
            raise IndexError(f"position {position} of the ids is {id}")
        rows.append(list(table[id]))
    return rows


def pool(
    table: Sequence[Sequence[float]],
    bags: Sequence[Sequence[int]],
    mode: str,
    *,
    weights: Sequence[Sequence[float]] | None = None,
    padding_idx: int | None = None,
) -> list[list[float]]:
    """Bags of ids, table -> one row per bag."""
    rows = []
    for b, bag in enumerate(bags):
        kept = [(1.0 if weights is None else weights[b][i], table[id]) for i, id in enumerate(bag) if id != padding_idx]
        columns = [[weight * row[j] for weight, row in kept] for j in range(len(table[0]))]
        if mode == "max":
            rows.append([max(column, default=0.0) for column in columns])
        else:
            rows.append([math.fsum(column) / (len(kept) if kept and mode == "mean" else 1) for column in columns])
    return rows


def gradients_of_bags(
    table: Sequence[Sequence[float]],
    bags: Sequence[Sequence[int]],
    grads: Sequence[Sequence[float]],
    mode: str,
    *,
    weights: Sequence[Sequence[float]] | None = None,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> tuple[list[list[float]], list[list[float]]]:
    """Row gradients of bags -> gradients of the table and of the weights."""
    total = [[0.0] * len(table[0]) for _ in table]
    shares = [[0.0] * len(bag) for bag in bags]
    counts = Counter(id for bag in bags for id in bag)
    for b, bag in enumerate(bags):
        kept = [i for i, id in enumerate(bag) if id != padding_idx]
        for j in range(len(table[0])):
            winner = max(kept, key=lambda i: table[bag[i]][j], default=None)
            for i in kept:
                share = grads[b][j] * (1.0 if weights is None else weights[b][i])
                if mode == "mean":
                    share /= len(kept)
                if mode == "max" and i != winner:
                    continue
                total[bag[i]][j] += share / counts[bag[i]] if scale_grad_by_freq else share
                shares[b][i] += grads[b][j] * table[bag[i]][j]
    return total, shares


def sum_in_blocks(terms: Sequence[Any]) -> Any:
    """Terms -> their sum, in the order that decides its bits: 64 terms to a block, 64 blocks to a super block."""
    parts = terms
    for _ in range(2):
        parts = [reduce(operator.add, parts[begin : begin + 64], 0.0) for begin in range(0, len(parts), 64)]
    return reduce(operator.add, parts, 0.0)


def scatter(
    ids: Sequence[int],
    grads: Sequence[Sequence[float]],
    rows: int,
    dim: int,
    *,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> list[list[float]]:
    """Ids, row gradients -> table gradient."""
    table = [[0.0] * dim for _ in range(rows)]
    for position, id in enumerate(ids):
        if id == padding_idx:
            continue
        for column in range(dim):
            term = grads[position][column]
            table[id][column] += term / list(ids).count(id) if scale_grad_by_freq else term
    return table


def update(
    rule: str,
    ids: Sequence[int],
    grads: Sequence[Sequence[float]],
    table: list[list[float]],
    first: list[list[float]],
    second: list[list[float]],
    greatest: list[list[float]],
    *,
    scale: float,
    size: float,
    direct: float,
    eps: float,
    beta1: float,
    beta2: float,
    gain: float,
    decay: float,
    shrink: float,
) -> None:
    """Row gradients -> table: one step of an optimizer for the rows of `ids`, in place."""
    for row in sorted(set(ids)):
        p, m, v, most = table[row], first[row], second[row], greatest[row]
        total = [scale * sum(grads[i][j] for i, id in enumerate(ids) if id == row) for j in range(len(p))]
        total = [g + decay * p[j] for j, g in enumerate(total)]
        if rule == "rowwise_adagrad":
            v[0] += sum(g * g for g in total) / len(p)
        for j, g in enumerate(total):
            p[j] *= shrink
            if rule == "sgd":
                p[j] -= direct * g
            elif rule == "momentum":
                m[j] = beta1 * m[j] + gain * g
                p[j] -= size * m[j] + direct * g
            elif rule == "adagrad":
                v[j] += g * g
                p[j] -= size * g / (v[j] ** 0.5 + eps)
            elif rule == "rowwise_adagrad":
                p[j] -= size * g / (v[0] ** 0.5 + eps)
            else:
                m[j] += (1 - beta1) * (g - m[j])
                v[j] = beta2 * v[j] + (1 - beta2) * g * g
                if rule == "amsgrad":
                    most[j] = max(most[j], v[j])
                p[j] -= size * m[j] / ((most[j] if rule == "amsgrad" else v[j]) ** 0.5 + eps)


def philox(counter: Sequence[int], key: int) -> list[int]:
    """Counter of four 32-bit words, key of 64 bits -> four random words: Philox4x32-10."""
    a, b, c, d = counter
    low, high = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        even, odd = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = odd >> 32 ^ b ^ low, odd & 0xFFFFFFFF, even >> 32 ^ d ^ high, even & 0xFFFFFFFF
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    return [a, b, c, d]


def random_word(seed: int, step: int, tensor: int, row: int, column: int) -> int:
    """Return the 32 random bits of one element."""
    return philox([column // 32 * 8 + column % 8, row, step, tensor], seed)[column // 8 % 4]


def round_stochastically(number: float, word: int, fraction_bits: int, least_exponent: int) -> float:
    """Finite number, random word -> the multiple below or above of its last place.

    A number has `fraction_bits` after the leading one, those below 2**least_exponent as many as there.
    """
    exponent = max(math.frexp(number)[1] - 1, least_exponent) - fraction_bits
    places = abs(number) / 2.0**exponent
    whole = math.floor(places)
    # As many random bits as float32 has to spare, of 24 below the least exponent.
    bits = 23 - fraction_bits if abs(number) >= 2.0**least_exponent else 24
    draw = (word >> (32 - bits)) / 2.0**bits
    above = draw >= 1 - (places - whole) if bits < 24 else draw < places - whole
    return math.copysign((whole + above) * 2.0**exponent, number)
