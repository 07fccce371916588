"""A run's tables -> bench.json, bench.md and bench.html."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from table import OURS, Table, cells_of, heads

from embrow._folder import write_folder
from embrow._page import inlined, open_box, png, rendered

TITLE = "embrow bench"


def write(folder: Path, run: Mapping[str, Any], versions: Mapping[str, str], tables: Sequence[Table]) -> list[Path]:
    """Write the three files; `run` holds the options, `versions` those of the peers."""
    machine = tables[0].machine
    record = {
        "options": dict(run),
        "machine": vars(machine),
        "versions": dict(versions),
        "tables": [table.record() for table in tables],
    }
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    summaries = [table.summary() for table in tables]
    opening = [f"# {TITLE}", f"{machine}.", f"Versions: {listed}.", "\n".join(f"- {one}" for one in summaries)]
    plots = {table.step: png(figure(table)) for table in tables if table.rows}
    page = rendered(
        Path(__file__).with_name("report.html.j2"),
        title=TITLE,
        machine=machine,
        listed=listed,
        tables=tables,
        heads=heads,
        cells_of=cells_of,
        images=inlined(plots),
    )
    contents = {
        "bench.json": json.dumps(record, indent=1, ensure_ascii=False) + "\n",
        "bench.md": "\n\n".join([*opening, *(table.markdown() for table in tables)]) + "\n",
    }
    return write_folder({**{name: text.encode() for name, text in contents.items()}, "bench.html": page}, folder)


def figure(table: Table) -> Figure:
    """Draw each case's share of the copy rate, and beside it its ratio to every peer; left of 1 the peer is faster."""
    cases = list(dict.fromkeys(row.case for row in table.rows))
    places = {case: place for place, case in enumerate(cases)}
    drawn = Figure(figsize=(11, 1.6 + 0.24 * len(cases)), dpi=110, layout="constrained")
    rates, ratios = drawn.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    shares = {row.case: row for row in table.rows}
    rates.barh(range(len(cases)), [100 * row.of_copy_rate for row in shares.values()], color="#1b9e77", label=OURS)
    aims = [(100 * row.copy_aim, places[case]) for case, row in shares.items() if row.copy_aim is not None]
    if aims:
        rates.scatter(*zip(*aims, strict=True), marker="|", color="black", s=90, label="aim")
        rates.legend()
    rates.set(xlabel="% of the copy rate", yticks=range(len(cases)), yticklabels=cases)
    rates.invert_yaxis()
    for peer in dict.fromkeys(row.peer for row in table.rows if row.ratio is not None):
        found = [(row.ratio, places[row.case]) for row in table.rows if row.peer == peer and row.ratio is not None]
        ratios.scatter(*zip(*found, strict=True), s=22, label=peer)
    ratios.axvline(1, color="black", linewidth=1)
    ratios.set(xscale="log", xlabel="times as fast as the peer")
    if ratios.get_legend_handles_labels()[0]:
        ratios.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in (rates, ratios):
        open_box(axes)
        axes.tick_params(axis="y", labelsize="small")
    return drawn
