"""A comparison's figures to a folder: report.json, report.md, report.html and plots."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from embrow._files import StrPath
from embrow._folder import write_folder
from embrow._page import inlined, open_box, png, rendered

_COLORS = {
    "random_trained": "#d95f02",
    "pretrained_trained": "#1b9e77",
    "pretrained_frozen": "#7570b3",
    "random_frozen": "#999999",
}
_Report = dict[str, Any]


def write_report(report: _Report, folder: StrPath) -> list[Path]:
    """Write report.json, report.md, report.html and the plots into `folder`; return their paths."""
    return write_folder(_contents(report), folder)


def _contents(report: _Report) -> dict[str, bytes]:
    plots = {"loss.png": png(_loss_figure(report)), "confusion.png": png(_confusion_figure(report))}
    if report["learning_curve"]:
        plots["learning_curve.png"] = png(_curve_figure(report))
    contents = {"report.json": (json.dumps(_with_nulls(report), indent=1, allow_nan=False) + "\n").encode()}
    for ending in ("md", "html"):
        template = Path(__file__).with_name(f"report.{ending}.j2")
        contents[f"report.{ending}"] = rendered(template, report=report, images=inlined(plots), interval=interval)
    return contents | plots


def _with_nulls(value: Any) -> Any:
    """Return a part of the report with null for the numbers that JSON does not have, of training that diverged."""
    if isinstance(value, dict):
        return {key: _with_nulls(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_with_nulls, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def interval(figure: _Report) -> str:
    """Return `0.8540 [0.8500, 0.8580]`, or the mean alone where one value gives no interval."""
    low, high = figure["ci95"]
    return f"{figure['mean']:.4f}" + ("" if low is None else f" [{low:.4f}, {high:.4f}]")


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
    open_box(axes)
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
    open_box(axes)
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
            # As text: a class between two dollar signs is no formula.
            axes.set_xticks(range(len(classes)), classes, rotation=0 if len(classes) < 4 else 90, parse_math=False)
            axes.set_yticks(range(len(classes)), classes, parse_math=False)
        axes.set(title=arm.replace("_", ", "), xlabel="predicted", ylabel="true")
    figure.suptitle("Share of each true class, all seeds")
    return figure
