"""One step's measurements as a table: on the terminal while they are made, then as JSON and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measure import Call, geometric_mean, interleaved

OURS = "embrow"


@dataclass(frozen=True)
class Machine:
    """What the figures of a run depend on; rates in bytes per second, `thread_gain` that of measure.py."""

    cpu: str
    cores: int
    threads: int
    python: str
    copy_rate: float
    fill_rate: float
    thread_gain: float

    def __str__(self) -> str:
        return (
            f"{self.cores} cores {self.cpu}, Python {self.python}, {self.threads} threads, which do "
            f"{self.thread_gain:.2f} times one's arithmetic; copies {self.copy_rate / 1e9:.1f} GB/s (read + written), "
            f"fills {self.fill_rate / 1e9:.1f} GB/s"
        )


@dataclass(frozen=True)
class Peer:
    """A call to measure against, how its result must agree with ours, and the ratio we aim at."""

    name: str
    call: Call | None
    same: Callable[[Any, Any], object] | None = None
    aim: float | None = None
    # Why there is no call.
    missing: str = ""


@dataclass(frozen=True)
class Row:
    """One case against one peer; without a peer or its package, times are None."""

    case: str
    ours_ms: float
    items_per_s: float
    gb_per_s: float
    of_copy_rate: float
    peer: str = ""
    peer_ms: float | None = None
    ratio: float | None = None
    aim: float | None = None
    skipped: str = ""


@dataclass
class Table:
    """The rows of one step."""

    step: str
    title: str
    # What `items` counts: tokens, ids, rows.
    unit: str
    machine: Machine
    repeats: int
    budget_s: float
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def compare(self, case: str, ours: Call, peers: Sequence[Peer] = (), *, items: int, moved: int) -> None:
        """Assert that the peers agree with us, time all in turn, add a row for each.

        Parameters
        ----------
        case : str
        ours : callable
        peers : sequence of Peer
        items : int
            What one call handles, in the table's unit.
        moved : int
            Bytes that one call cannot avoid reading and writing.
        """
        present = [peer for peer in peers if peer.call is not None]
        # Called once for all of them: a training step changes what the next one finds.
        found = ours()
        for peer in present:
            if peer.same is not None:
                peer.same(found, peer.call())  # type: ignore[misc]
        del found
        calls = {OURS: ours, **{peer.name: peer.call for peer in present}}
        times = interleaved(calls, self.repeats, 1, self.budget_s)  # type: ignore[arg-type]
        mine = times[OURS]
        rates = (mine * 1e3, items / mine, moved / mine / 1e9, moved / mine / self.machine.copy_rate)
        for peer in peers or [Peer("", None)]:
            if peer.name in times:
                theirs = times[peer.name]
                self._add(Row(case, *rates, peer.name, theirs * 1e3, theirs / mine, peer.aim))
            else:
                self._add(Row(case, *rates, peer.name, skipped=peer.missing))

    def note(self, text: str) -> None:
        """Add a line below the table."""
        self.notes.append(text)
        print(text, flush=True)

    def note_ratios(self, peer: str, case: str = "") -> None:
        """Sum up the ratios to the peers whose name starts with `peer`, in the cases that start with `case`."""
        rows = [row for row in self.rows if row.peer.startswith(peer) and row.case.startswith(case)]
        ratios = [row.ratio for row in rows if row.ratio is not None]
        if ratios:
            which = f"{case.rstrip(',')}, " if case else ""
            self.note(f"{which}against {peer}: geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}")

    def _add(self, row: Row) -> None:
        if not self.rows:
            print(f"\n{self.title}\n{self.machine}")
            print(_line(_HEADS, self.unit))
        self.rows.append(row)
        print(_line(_cells(row), ""), flush=True)

    def markdown(self) -> str:
        """Return the table between the markers that README.md has."""
        heads = [head.format(unit=self.unit) for head in _HEADS]
        lines = [f"<!-- {self.step} -->", f"{self.title}. {self.machine}.", ""]
        lines += ["| " + " | ".join(cells) + " |" for cells in (heads, _RULES, *map(_cells, self.rows))]
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*lines, f"<!-- /{self.step} -->"])

    def record(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        rows = [asdict(row) for row in self.rows]
        return {"step": self.step, "title": self.title, "unit": self.unit, "rows": rows, "notes": self.notes}


_HEADS = ("case", "embrow ms", "M {unit}/s", "GB/s", "of copy rate", "peer", "peer ms", "ratio", "aim")
_RULES = ("---", "--:", "--:", "--:", "--:", "---", "--:", "--:", "--:")
_WIDTHS = (44, 10, 10, 7, 12, 44, 11, 8, 6)


def _cells(row: Row) -> list[str]:
    measured = row.ratio is not None
    return [
        row.case,
        f"{row.ours_ms:,.3f}",
        f"{row.items_per_s / 1e6:,.2f}",
        f"{row.gb_per_s:,.2f}",
        f"{row.of_copy_rate:.1%}",
        f"{row.peer} (skipped: {row.skipped})" if row.skipped else row.peer,
        f"{row.peer_ms:,.3f}" if measured else "",
        f"{row.ratio:,.2f}" if measured else "",
        "" if row.aim is None else f"{row.aim:g}",
    ]


def _line(cells: Sequence[str], unit: str) -> str:
    """Align text left, numbers right."""
    pairs = zip(cells, _WIDTHS, _RULES, strict=True)
    return " ".join(
        cell.format(unit=unit).rjust(width) if rule == "--:" else cell.ljust(width) for cell, width, rule in pairs
    )
