"""What commands show on a terminal: bars while they work, and the table of a comparison."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table


@contextmanager
def step_progress(*, ticking: bool = True) -> Iterator[Callable[[int, int, str], None] | None]:
    """Yield what shows progress on standard error, or None where that is no terminal; `ticking` in between, too."""
    if not Console(stderr=True).is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A file of its own: pytest, which runs the benchmarks, points standard error elsewhere for a while.
    with (
        os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as terminal,
        Progress(
            *columns,
            console=Console(file=terminal),
            transient=True,
            auto_refresh=ticking,
            # What is printed meanwhile goes above the bar, but only if it would go to the same terminal.
            redirect_stdout=sys.stdout.isatty(),
        ) as bar,
    ):
        task = bar.add_task("", total=None)
        yield lambda done, total, what: bar.update(
            task, completed=done, total=total, description=what, refresh=not ticking
        )


@contextmanager
def bytes_progress(what: str) -> Iterator[Callable[[int], None] | None]:
    """Yield what shows the bytes of text read so far, or None where standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn(what), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda read: bar.update(task, completed=read)


def show_report(report: dict[str, Any]) -> None:
    """Print the table of a comparison."""
    from embrow.report import interval

    table = Table("arm", "accuracy [95 % interval]", "macro-F1", "last loss", "train, s")
    for arm, figures in report["arms"].items():
        last = sum(loss[-1] for loss in figures["loss"]) / len(figures["loss"])
        table.add_row(
            arm.replace("_", ", "),
            interval(figures["accuracy"]),
            interval(figures["macro_f1"]),
            f"{last:.4f}",
            f"{figures['seconds']['train']:.2f}",
        )
    table.add_row("largest class", f"{report['baseline']['majority']:.4f}")
    # Rich takes 80 columns where there is no terminal, which would break the figures.
    console = Console() if sys.stdout.isatty() else Console(width=110)
    console.print(table)
    if report["learning_curve"]:
        curve = Table("labels per class", *(arm.replace("_", ", ") for arm in report["learning_curve"][0]["arms"]))
        for point in report["learning_curve"]:
            figures = (f"{arm['accuracy']['mean']:.4f}" for arm in point["arms"].values())
            curve.add_row(str(point["per_class"]), *figures)
        console.print(curve)
    coverage = ", ".join(f"{name} {value}" for name, value in report["coverage"].items())
    seconds = report["seconds"]
    console.print(f"coverage: {coverage}", highlight=False, soft_wrap=True)
    console.print(f"encode {seconds['encode']:.2f} s, load vectors {seconds['load_vectors']:.2f} s", highlight=False)
