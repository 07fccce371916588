"""Reports' tables -> the README here -> the summary in the project's: `python benchmarks/readme.py [BENCH.md ...]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path

FIGURES = Path(__file__).with_name("README.md")
FRONT = FIGURES.parents[1] / "README.md"
SUMMARY = "summary"


@dataclass(frozen=True)
class Line:
    """A case of the summary: where its figures stand, and what it and the peers are called there."""

    label: str
    what: str
    step: str
    case: str
    # How a peer's name begins in the table, and its name in the summary.
    peers: Sequence[tuple[str, str]]


LINES = (
    Line(
        "text to classifier",
        "18,512 tweets: vocabulary, encode, train 3 epochs of batches of 32",
        "pipeline",
        "18,512 tweets",
        [("torch", "the usual loop on `nn.Embedding` and Adam, equal accuracy")],
    ),
    Line(
        "encode",
        "200,000 sentences, 4.2 million tokens, strings to padded int64",
        "encode",
        "100,000 words",
        [
            ("Python", "Python: split, dict, NumPy"),
            ("tokenizers", "Hugging Face tokenizers, `encode_batch_fast`"),
            (r"pyarrow \S+ split_pattern", "pyarrow split and `index_in`"),
        ],
    ),
    Line("vocabulary", "the same text, counted and ranked", "vocab", "build", [("Python", "`Counter` and `sorted`")]),
    Line(
        "",
        "3,000,000 tokens loaded from a file",
        "vocab",
        "load 3,000,000 tokens",
        [("Python: json", "`json.load` of token to id")],
    ),
    Line(
        "pad",
        "200,000 ragged rows to a rectangle",
        "pad",
        "right",
        [(r"torch \S+ pad_sequence", "`torch.nn.utils.rnn.pad_sequence`")],
    ),
    Line(
        "gather",
        "1,000,000 x 128, 32,768 ids by Zipf's law, no_grad",
        "gather",
        "1,000,000 x 128, 32,768 ids, zipf",
        [("torch", "`F.embedding`")],
    ),
    Line(
        "",
        "10,000 x 100, 2,048 ids by Zipf's law, no_grad",
        "gather",
        "10,000 x 100, 2,048 ids, zipf",
        [("torch", "`F.embedding`")],
    ),
    Line(
        "train",
        "forward, backward, Adam step of 1,000,000 x 128, 32,768 ids",
        "update",
        "Adam that catches up, 1,000,000 x 128, 32,768 ids, uniform",
        [("torch", "dense fused Adam, equal numbers")],
    ),
    Line(
        "",
        "the same with a sparse Adam",
        "update",
        "Adam, 1,000,000 x 128, 32,768 ids, uniform",
        [("torch", "`SparseAdam`")],
    ),
    Line(
        "vectors",
        "word2vec binary, 200,000 x 300, whole",
        "vectors",
        "word2vec-binary",
        [("gensim", "gensim `load_word2vec_format`")],
    ),
    Line("", "the same, `.gz`", "vectors", "word2vec-binary.gz", [("gensim", "gensim")]),
    Line(
        "",
        "the same, saved as safetensors, mapped and not read",
        "vectors",
        "safetensors",
        [("safetensors", "safetensors `load_file`")],
    ),
)


def with_tables(figures: str, report: str) -> str:
    """Put each table of a report in the place of the one of its step.

    Raises
    ------
    ValueError
        A step has no place.
    """
    for step in re.findall(r"^<!-- (\w+) -->$", report, re.MULTILINE):
        figures = _replaced(figures, step, _between(report, step))
    return figures


def summary_of(figures: str) -> str:
    """Make the summary of the tables.

    Raises
    ------
    ValueError
        A table, or a row of it, is missing.
    """
    lines = ["| step | what is measured | embrow | against | times as fast |", "|---|---|--:|---|--:|"]
    for line in LINES:
        label, what, took = line.label, line.what, None
        for begin, name in line.peers:
            cells = _row(figures, line.step, line.case, begin)
            took = _time(cells[1]) if took is None else ""
            lines.append(f"| {label} | {what} | {took} | {name} | {_ratio(cells[7])} |".replace("|  ", "| "))
            label = what = ""
    return "\n".join(lines) + "\n"


def with_summary(front: str, figures: str) -> str:
    """Put the summary of the tables in its place."""
    return _replaced(front, SUMMARY, summary_of(figures))


def rows_of(figures: str, step: str) -> list[list[str]]:
    """Return the cells of a step's table, its heads first."""
    lines = [line for line in _between(figures, step).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if not line.startswith("| --")]


def _row(figures: str, step: str, case: str, peer: str) -> list[str]:
    for cells in rows_of(figures, step):
        if cells[0] == case and re.match(peer, cells[5]):
            return cells
    raise ValueError(f"the table of {step} has no row of {case!r} against {peer!r}")


def _time(cell: str) -> str:
    ms = float(cell.replace(",", ""))
    return f"{ms:.3g} ms" if ms < 999.5 else f"{ms / 1e3:.3g} s"


def _ratio(cell: str) -> str:
    """Keep two digits, or all before the point; a half goes up, as the reader expects."""
    exact = Decimal(cell.replace(",", ""))
    digits = max(2, exact.adjusted() + 1)
    return f"{Context(prec=digits, rounding=ROUND_HALF_UP).plus(exact):f}"


def _between(text: str, step: str) -> str:
    begin, end = _marks(text, step)
    return text[begin:end]


def _replaced(text: str, step: str, content: str) -> str:
    begin, end = _marks(text, step)
    return text[:begin] + content + text[end:]


def _marks(text: str, step: str) -> tuple[int, int]:
    begin, end = f"<!-- {step} -->\n", f"<!-- /{step} -->\n"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{begin.strip()} and {end.strip()} must each be there once")
    return text.index(begin) + len(begin), text.index(end)


def main(reports: Sequence[str]) -> None:
    figures = FIGURES.read_text(encoding="utf-8")
    for path in reports:
        figures = with_tables(figures, Path(path).read_text(encoding="utf-8"))
    front = with_summary(FRONT.read_text(encoding="utf-8"), figures)
    FIGURES.write_text(figures, encoding="utf-8")
    FRONT.write_text(front, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
