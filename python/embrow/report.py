"""A comparison's figures to a folder: report.json, report.md, report.html and plots."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLORS = {
    "random_trained": "#d95f02",
    "pretrained_trained": "#1b9e77",
    "pretrained_frozen": "#7570b3",
    "random_frozen": "#999999",
}
_Report = dict[str, Any]


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Raise OSError or ValueError if `folder` could not be written; leave nothing behind."""
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: the report needs a folder, and this is a file")
    parent = path if path.is_dir() else next(one for one in path.absolute().parents if one.exists())
    try:
        # Tried, not asked: permission bits say nothing of read-only file systems, nor of what root may do.
        os.rmdir(tempfile.mkdtemp(prefix=".embrow-", dir=parent))
    except OSError as error:
        raise ValueError(f"{path}: the report folder cannot be written: {error.strerror}") from error


def write_report(report: _Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Write report.json, report.md, report.html and the plots into `folder`; return their paths.

    The files are written elsewhere first and moved when all are whole.
    """
    path = Path(folder)
    contents = _contents(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".embrow-", dir=path if path.is_dir() else path.parent))
    try:
        for name, data in contents.items():
            (temporary / name).write_bytes(data)
        path.mkdir(exist_ok=True)
        for name in contents:
            os.replace(temporary / name, path / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [path / name for name in contents]


def _contents(report: _Report) -> dict[str, bytes]:
    plots = {"loss.png": _png(_loss_figure(report)), "confusion.png": _png(_confusion_figure(report))}
    if report["learning_curve"]:
        plots["learning_curve.png"] = _png(_curve_figure(report))
    contents = {"report.json": (json.dumps(report, indent=1) + "\n").encode()}
    images = {name: base64.b64encode(data).decode("ascii") for name, data in plots.items()}
    for ending in ("md", "html"):
        contents[f"report.{ending}"] = _render(f"report.{ending}.j2", report, images).encode()
    return contents | plots


def _render(template: str, report: _Report, images: dict[str, str]) -> str:
    environment = jinja2.Environment(
        autoescape=template.endswith(".html.j2"), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["interval"] = interval
    source = files("embrow").joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(source).render(report=report, images=images) + "\n"


def interval(figure: _Report) -> str:
    """Return `0.8540 [0.8500, 0.8580]`, or the mean alone where one value gives no interval."""
    low, high = figure["ci95"]
    return f"{figure['mean']:.4f}" + ("" if low is None else f" [{low:.4f}, {high:.4f}]")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _loss_figure(report: _Report) -> Figure:
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    for arm, figures in report["arms"].items():
        losses = np.array(figures["loss"])
        epochs = np.arange(1, losses.shape[1] + 1)
        axes.plot(epochs, losses.mean(0), marker="o", color=_COLORS[arm], label=arm.replace("_", ", "))
        axes.fill_between(epochs, losses.min(0), losses.max(0), color=_COLORS[arm], alpha=0.15, linewidth=0)
    axes.set(xlabel="epoch", ylabel="training loss (mean; band: all seeds)", title="Loss per epoch", xticks=epochs)
    axes.legend()
    _open_box(axes)
    return figure


def _curve_figure(report: _Report) -> Figure:
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    points = report["learning_curve"]
    names = [str(point["per_class"]) for point in points]
    for arm in points[0]["arms"]:
        figures = [point["arms"][arm]["accuracy"] for point in points]
        means = np.array([one["mean"] for one in figures])
        spread = np.array([0.0 if one["ci95"][0] is None else one["mean"] - one["ci95"][0] for one in figures])
        places = np.arange(len(points))
        axes.plot(places, means, marker="o", color=_COLORS[arm], label=arm.replace("_", ", "))
        axes.fill_between(places, means - spread, means + spread, color=_COLORS[arm], alpha=0.15, linewidth=0)
    axes.axhline(report["baseline"]["majority"], color="black", linestyle=":", label="largest class")
    axes.set(xlabel="labels per class", ylabel="test accuracy (band: 95 % interval)", title="Learning curve")
    axes.set_xticks(range(len(names)), names)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0.0), min(high, 1.0))
    axes.legend()
    _open_box(axes)
    return figure


def _confusion_figure(report: _Report) -> Figure:
    classes = report["config"]["classes"]
    figure = Figure(figsize=(8, 7.4), dpi=120, layout="constrained")
    grid = figure.subplots(2, 2)
    for axes, (arm, figures) in zip(grid.flat, report["arms"].items(), strict=True):
        counts = np.array(figures["confusion"])
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if len(classes) <= 12:
            for row, column in np.ndindex(counts.shape):
                shade = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{shares[row, column]:.3f}", ha="center", va="center", color=shade)
            axes.set_xticks(range(len(classes)), classes, rotation=0 if len(classes) < 4 else 90)
            axes.set_yticks(range(len(classes)), classes)
        axes.set(title=arm.replace("_", ", "), xlabel="predicted", ylabel="true")
    figure.suptitle("Share of each true class, all seeds")
    return figure


def _open_box(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
