"""What the CUDA kernels move, counted by the simulator: `python -m pytest benchmarks/bench_cuda_traffic.py -s`."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from embrow._folder import write_folder

STEP = "cuda_traffic"
TITLE = "Sectors of 32 bytes, each launch's accesses counted one by one, as if nothing were cached"
HEADS = ("step", "case", "loaded", "stored", "fewest", "ratio", "aim", "load bytes", "store bytes", "busiest address")
RULES = ("---", "---", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:")
# Where the scripts are that launch the kernels, and what counts for them.
LAUNCHES = Path(__file__).parents[1] / "tests" / "cuda"

Launch = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """What to launch, and what of it counts."""

    name: str
    script: str
    # One of these kernels ends the launches of a case.
    last: Collection[str]
    # How the kernels' names begin that count: without those that sort ids.
    counting: tuple[str, ...]
    # How many times the fewest sectors may be moved.
    aim: float
    # The script's argument, by what the case is called.
    cases: Mapping[str, str]


ENCODE = Step(
    "encode",
    "launch_encodings.py",
    {"write_ids"},
    ("",),
    # Of the text; ids are written once.
    2.0,
    {
        "1 row of 10,000 tokens, 20,000 columns": "1,10000,20000",
        "200 rows of 33 tokens, 64 columns": "200,33,64",
        "1 row of 10,000 tokens, 5 columns": "1,10000,5",
    },
)
STEPS = (
    Step(
        "gather",
        "launch_gathers.py",
        {"gather_short", "gather_long"},
        ("gather_",),
        1.05,
        {
            "999 rows of 64 bytes": "1000,999,64,64,0,0",
            "999 rows of 512 bytes": "1000,999,512,512,0,0",
            "999 rows of 512 bytes from byte 8": "1000,999,512,512,8,0",
            "999 rows of 1,200 bytes": "1000,999,1200,1200,0,0",
            "999 rows of 4,096 bytes, 4,112 apart": "1000,999,4096,4112,16,0",
            "999 rows of 100 bytes": "1000,999,100,100,0,0",
            "999 rows of 2,100 bytes, 2,104 apart": "1000,999,2100,2104,4,12",
            "999 rows of 254 bytes": "1000,999,254,254,0,0",
            "999 rows of 301 bytes, 303 apart": "1000,999,301,303,5,3",
        },
    ),
    Step(
        "pool",
        "launch_pools.py",
        {"pool_bags"},
        ("find_", "pool_"),
        1.05,
        {
            "sum, float32 x 16, 60 bags of about 20": "sum,float32,16,0,20,60",
            "sum, float32 x 128, 60 bags of about 20": "sum,float32,128,0,20,60",
            "sum, float32 x 128, 10 bags of about 300": "sum,float32,128,0,300,10",
            "mean, float32 x 300, 40 bags of about 20": "mean,float32,300,0,20,40",
            "sum, float64 x 64, 60 bags of about 20": "sum,float64,64,0,20,60",
            "max, bfloat16 x 64, 60 bags of about 20": "max,bfloat16,64,0,20,60",
            "sum, float16 x 1,024, 20 bags of about 20": "sum,float16,1024,8,20,20",
            "sum, float32 x 50, 60 bags of about 20": "sum,float32,50,0,20,60",
            "sum, bfloat16 x 300, 60 bags of about 20": "sum,bfloat16,300,0,20,60",
            "sum, float32 x 75, 60 bags of about 20": "sum,float32,75,0,20,60",
        },
    ),
    Step(
        "scatter",
        "launch_scatters.py",
        {"scatter_runs", "scatter_pieces"},
        ("sum_", "scatter_"),
        1.15,
        {
            "float32 x 16, 999 ids, distinct": "float32,1000,16,999,distinct,ordered",
            "float32 x 128, 999 ids, distinct": "float32,1000,128,999,distinct,ordered",
            "float32 x 128, 1,500 ids, zipf": "float32,1000,128,1500,zipf,ordered",
            "float32 x 128, 8,192 ids, equal": "float32,8,128,8192,equal,ordered",
            "float32 x 300, 999 ids, distinct": "float32,1000,300,999,distinct,ordered",
            "float64 x 32, 999 ids, distinct": "float64,1000,32,999,distinct,ordered",
            "bfloat16 x 64, 999 ids, distinct": "bfloat16,1000,64,999,distinct,ordered",
            "float32 x 128, 999 ids, distinct, atomic": "float32,1000,128,999,distinct,atomic",
            "float32 x 8, 3,000 ids, equal, atomic": "float32,4,8,3000,equal,atomic",
        },
    ),
    Step(
        "update",
        "launch_updates.py",
        {"update_tiles"},
        ("sum_", "update_"),
        1.15,
        {
            "SGD, float32 x 300, 2,000 ids": "sgd,float32,3000,2000,300",
            "RowwiseAdagrad, float32 x 128, 2,000 ids": "rowwise_adagrad,float32,3000,2000,128",
            "Adam, float32 x 64, 2,000 ids": "adam,float32,3000,2000,64",
            "Adam, float32 x 128, 2,000 ids": "adam,float32,3000,2000,128",
            "Adam, bfloat16 x 256, 2,000 ids": "adam,bfloat16,3000,2000,256",
        },
    ),
)


@dataclass(frozen=True)
class Row:
    """What one case moved, in sectors. Atomics count as stores."""

    step: str
    case: str
    loaded: float
    stored: float
    fewest: float
    aim: float | None
    load_widths: Sequence[int]
    store_widths: Sequence[int]
    busiest: int
    busiest_aim: int = 0

    def cells(self) -> list[str]:
        """Return what the columns show."""
        return [
            self.step,
            self.case,
            f"{self.loaded:,.0f}",
            f"{self.stored:,.0f}",
            f"{self.fewest:,.0f}",
            f"{(self.loaded + self.stored) / self.fewest:.2f}",
            "" if self.aim is None else f"{self.aim:g}",
            _range(self.load_widths),
            _range(self.store_widths),
            f"{self.busiest:,}" + (f" (aim {self.busiest_aim:,})" if self.busiest_aim else ""),
        ]


def _range(widths: Sequence[int]) -> str:
    return " to ".join(map(str, sorted({min(widths), max(widths)}))) if widths else ""


def markdown(rows: Sequence[Row]) -> str:
    """Return the table between the marks that README.md has."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (HEADS, RULES, *(row.cells() for row in rows))]
    return "\n".join([f"<!-- {STEP} -->", f"{TITLE}.", "", *lines, f"<!-- /{STEP} -->"]) + "\n"


def test_traffic(pytestconfig: pytest.Config) -> None:
    """Launch every case, whose results are asserted to be the CPU's, and count."""
    if not (LAUNCHES / "traffic.py").exists():
        pytest.skip("what it launches is not installed: it is in tests/cuda of the source tree")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(LAUNCHES))
        if reason := importlib.import_module("devices").uncounted():
            pytest.skip(reason)
        rows = list(counted_rows(importlib.import_module("traffic")))
    table = markdown(rows)
    print(f"\n{table}")
    if folder := pytestconfig.getoption("--report"):
        write_folder({f"{STEP}.md": table.encode()}, folder)


def counted_rows(traffic: ModuleType) -> Iterator[Row]:
    """Count the launches of all steps."""
    for case, job, launches in launched(traffic, ENCODE):
        yield from encode_rows(traffic, case, job, launches)
    for step in STEPS:
        for case, fewest, launches in launched(traffic, step):
            at_least = fewest["load"] + fewest["store"]
            # A warp adds up what its lanes have for one row before it adds that to the row.
            atomics = -(-fewest["most"] // 32) if case.endswith("atomic") else 0
            yield row_of(traffic, step.name, case, launches, at_least, step.aim, atomics)


def launched(traffic: ModuleType, step: Step) -> Iterator[tuple[str, Mapping[str, Any], list[Launch]]]:
    """Yield the cases of a step: what it is called, what its script printed, the launches that count."""
    counted = traffic.count_launches(step.script, list(step.cases.values()), step.last)
    for case, (printed, launches) in zip(step.cases, counted, strict=True):
        yield case, printed, [launch for launch in launches if launch["kernel"].startswith(step.counting)]


def encode_rows(traffic: ModuleType, case: str, job: Mapping[str, int], launches: Sequence[Launch]) -> Iterator[Row]:
    """Yield all that encoding moves, and the text and the ids in it."""
    text, ids = -(-job["text"] // traffic.SECTOR), -(-job["ids"] // traffic.SECTOR)
    # A token is looked up in a slot; a known one is compared with its key, 16 bytes of it.
    lookups = 2 * job["known"] + job["unknown"]
    yield row_of(traffic, ENCODE.name, case, launches, text + ids + lookups)
    pieces = sum(launch["global_load"]["widths"].get("16", 0) for launch in launches) - job["known"]
    yield Row(ENCODE.name, f"{case}: text", 16 * pieces / traffic.SECTOR, 0, text, ENCODE.aim, [16], [], 0)
    writing = [launch for launch in launches if launch["kernel"].startswith("write_")]
    stored = traffic.sectors(writing, "store")
    yield Row(ENCODE.name, f"{case}: ids", 0, stored, ids, 1.0, [], _widths(writing, "store"), 0)


def row_of(
    traffic: ModuleType,
    step: str,
    case: str,
    launches: Sequence[Launch],
    fewest: float,
    aim: float | None = None,
    busiest_aim: int = 0,
) -> Row:
    """Add up launches."""
    return Row(
        step,
        case,
        traffic.sectors(launches, "load"),
        traffic.sectors(launches, "store", "atomic"),
        fewest,
        aim,
        _widths(launches, "load"),
        _widths(launches, "store", "atomic"),
        max(launch["atomics_on_busiest_address"] for launch in launches),
        busiest_aim,
    )


def _widths(launches: Sequence[Launch], *kinds: str) -> list[int]:
    return sorted({int(width) for launch in launches for kind in kinds for width in launch[f"global_{kind}"]["widths"]})
