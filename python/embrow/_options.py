"""Options that several commands of the command line share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from embrow.data import FORMATS
from embrow.vectors._matrix import POLICIES
from embrow.vectors._sniff import MAX_DIM

_Command = Callable[..., Any]


def _debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj["debug"] = True


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_debug, help="Show tracebacks."
)


def with_options(*options: _Command) -> Callable[[_Command], _Command]:
    """Return a decorator that gives a command these options, in this order."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class FiniteRange(click.FloatRange):
    """A range of finite floats, since NaN is in every range of click's."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


encoding_options = with_options(
    click.option("--encoding", default="utf-8", show_default=True, help="Encoding of the text files."),
    click.option(
        "--encoding-errors",
        type=click.Choice(["strict", "replace", "ignore"]),
        default="strict",
        show_default=True,
        help="What to do with bytes that are not in that encoding.",
    ),
)
data_options = with_options(
    click.option("--text-column", default="text", show_default=True, help="Column or key of the texts."),
    click.option("--label-column", default="label", show_default=True, help="Column or key of the labels."),
    click.option("--format", type=click.Choice(["auto", *FORMATS]), default="auto", show_default=True),
    encoding_options,
)
vocab_options = with_options(
    click.option(
        "--min-freq", type=click.IntRange(min=1), default=1, show_default=True, help="Rarer tokens are unknown."
    ),
    click.option("--max-size", type=click.IntRange(min=1), help="Entries of the vocabulary."),
    click.option("--tokenizer", type=click.Choice(["whitespace", "words"]), default="whitespace", show_default=True),
    click.option("--lowercase", is_flag=True, help="Lower-case the texts first."),
)
model_options = with_options(
    click.option("--dim", "embedding_dim", type=click.IntRange(1, MAX_DIM), help="Columns of the table."),
    click.option("--pooling", type=click.Choice(["flatten", "mean", "max"]), default="flatten", show_default=True),
    click.option("--max-length", type=click.IntRange(min=1), help="Tokens read of a text; default: all."),
    click.option(
        "--oov",
        type=click.Choice(POLICIES),
        default="normal",
        show_default=True,
        help="Rows of tokens that the vectors lack.",
    ),
    click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True),
    click.option("--lr", type=FiniteRange(min=0, min_open=True), default=1e-3, show_default=True),
    click.option(
        "--optimizer", type=click.Choice(["adam", "sgd", "adagrad", "adamw"]), default="adam", show_default=True
    ),
    click.option(
        "--sparse/--dense", default=True, show_default=True, help="Update only the rows that a batch has seen."
    ),
    click.option("--device", default="auto", show_default=True),
    click.option(
        "--num-threads",
        type=click.IntRange(min=1),
        help="Default: PyTorch's setting, and one for small training steps.",
    ),
)
