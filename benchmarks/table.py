"""One step's measurements as a table: on the terminal while they are made, then as JSON and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from measure import Call, Clock, geometric_mean, interleaved, seconds

OURS = "embrow"


class Limit(Protocol):
    """What a table's rates stand beside: the machine or the card, whose str is the line above the table."""

    @property
    def copy_rate(self) -> float:
        """Bytes per second, read plus written."""


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
    # The share of the copy rate that is the goal.
    copy_aim: float | None = None

    @property
    def lost(self) -> bool:
        """Whether another library was faster."""
        return self.ratio is not None and self.ratio < 1 and not self.peer.startswith(OURS)


@dataclass
class Table:
    """The rows of one step."""

    step: str
    title: str
    # What `items` counts: tokens, ids, rows.
    unit: str
    machine: Limit
    repeats: int
    budget_s: float
    clock: Clock = seconds
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def compare(
        self,
        case: str,
        ours: Call,
        peers: Sequence[Peer] = (),
        *,
        items: int,
        moved: int,
        copy_aim: float | None = None,
        clock: Clock | None = None,
        turn_s: float = 0,
    ) -> None:
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
        copy_aim : float, optional
            The share of the copy rate that is the goal.
        clock : callable, optional
            Other than the table's.
        turn_s : float, optional
            Seconds that each library is called for, again and again, before it is the next one's turn. Default: a call.
        """
        present = [peer for peer in peers if peer.call is not None]
        # Called once for all of them: a training step changes what the next one finds.
        found = ours()
        for peer in present:
            if peer.same is not None:
                peer.same(found, peer.call())  # type: ignore[misc]
        del found
        calls = {OURS: ours, **{peer.name: peer.call for peer in present}}
        times = interleaved(calls, self.repeats, 1, self.budget_s, clock or self.clock, turn_s)  # type: ignore[arg-type]
        self.add(case, times, peers, items=items, moved=moved, copy_aim=copy_aim)

    def add(
        self,
        case: str,
        times: Mapping[str, float],
        peers: Sequence[Peer] = (),
        *,
        items: int,
        moved: int,
        copy_aim: float | None = None,
    ) -> None:
        """Add a row for each peer from the seconds of a call of ours, under OURS, and of the peers that were timed."""
        mine = times[OURS]
        rates = (mine * 1e3, items / mine, moved / mine / 1e9, moved / mine / self.machine.copy_rate)
        for peer in peers or [Peer("", None)]:
            if peer.name in times:
                theirs = times[peer.name]
                row = Row(case, *rates, peer.name, theirs * 1e3, theirs / mine, peer.aim, copy_aim=copy_aim)
            else:
                row = Row(case, *rates, peer.name, skipped=peer.missing, copy_aim=copy_aim)
            self._add(row)

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
            print(_line(heads(self.unit)))
        self.rows.append(row)
        print(_line(cells_of(row)), flush=True)

    def summary(self) -> str:
        """Return one line: how many cases, the ratios to each library, how near to the copy rate, how often slower."""
        if not self.rows:
            return f"{self.step}: nothing was measured"
        cases = len({row.case for row in self.rows})
        best = max(row.of_copy_rate for row in self.rows)
        parts = [f"{self.step}: {cases} case{'s' if cases > 1 else ''}, at most {best:.0%} of the copy rate"]
        ratios: dict[str, list[float]] = {}
        for row in self.rows:
            if row.ratio is not None and not row.peer.startswith(OURS):
                ratios.setdefault(_library(row.peer), []).append(row.ratio)
        for library, found in ratios.items():
            parts.append(f"against {library} {geometric_mean(found):.2f} (least {min(found):.2f})")
        if lost := sum(row.lost for row in self.rows):
            parts.append(f"slower in {lost} of {sum(map(len, ratios.values()))}")
        if absent := {_library(row.peer): row.skipped for row in self.rows if row.skipped}:
            parts.append("skipped: " + ", ".join(f"{library} ({reason})" for library, reason in absent.items()))
        return "; ".join(parts)

    def markdown(self) -> str:
        """Return the table between the markers that README.md has."""
        lines = [f"<!-- {self.step} -->", f"{self.title}. {self.machine}.", ""]
        lines += ["| " + " | ".join(cells) + " |" for cells in (heads(self.unit), _RULES, *map(cells_of, self.rows))]
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*lines, f"<!-- /{self.step} -->"])

    def record(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "step": self.step,
            "title": self.title,
            "unit": self.unit,
            "summary": self.summary(),
            "rows": [asdict(row) for row in self.rows],
            "notes": self.notes,
        }


def _library(peer: str) -> str:
    """Return the first word of a peer's name."""
    return peer.partition(" ")[0].rstrip(":,")


def heads(unit: str) -> list[str]:
    """Return the heads of a table's columns."""
    return [head.format(unit=unit) for head in _HEADS]


_HEADS = ("case", "embrow ms", "M {unit}/s", "GB/s", "of copy rate", "peer", "peer ms", "ratio", "aim")
_RULES = ("---", "--:", "--:", "--:", "--:", "---", "--:", "--:", "--:")
_WIDTHS = (44, 10, 10, 7, 12, 44, 11, 8, 6)


def cells_of(row: Row) -> list[str]:
    """Return what a row's columns show."""
    measured = row.ratio is not None
    return [
        row.case,
        f"{row.ours_ms:,.3f}",
        f"{row.items_per_s / 1e6:,.2f}",
        f"{row.gb_per_s:,.2f}",
        f"{row.of_copy_rate:.1%}" + ("" if row.copy_aim is None else f" (aim {row.copy_aim:.0%})"),
        f"{row.peer} (skipped: {row.skipped})" if row.skipped else row.peer,
        f"{row.peer_ms:,.3f}" if measured else "",
        f"{row.ratio:,.2f}" if measured else "",
        "" if row.aim is None else f"{row.aim:g}",
    ]


def _line(cells: Sequence[str]) -> str:
    """Align text left, numbers right."""
    pairs = zip(cells, _WIDTHS, _RULES, strict=True)
    return " ".join(cell.rjust(width) if rule == "--:" else cell.ljust(width) for cell, width, rule in pairs)
