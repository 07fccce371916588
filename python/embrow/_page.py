"""What a report's pages are made of: templates filled in, plots as PNG."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def rendered(template: Path, **context: Any) -> bytes:
    """Fill in a template, escaping what a .html.j2 shows."""
    environment = jinja2.Environment(
        autoescape=template.name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["as_markdown"] = as_markdown
    return (environment.from_string(template.read_text(encoding="utf-8")).render(context) + "\n").encode()


def as_markdown(text: str) -> str:
    """Return text on one line, in which Markdown sees no markup."""
    return re.sub(r"([\\`*_<\[\]|&])", r"\\\1", " ".join(text.split()))


def png(figure: Figure) -> bytes:
    """Draw a figure without a display."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def inlined(plots: Mapping[str, bytes]) -> dict[str, str]:
    """Return plots as the base64 that a page holds."""
    return {name: base64.b64encode(data).decode("ascii") for name, data in plots.items()}


def open_box(axes: Axes) -> None:
    """Leave the lines away that are no axis, and draw a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
