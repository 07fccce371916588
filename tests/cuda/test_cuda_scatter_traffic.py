"""What the scatter moves once ids are sorted, counted by the simulator in sectors of 32 bytes; how much is parallel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CASES = [
    "float32,1000,128,999,distinct,ordered",
    "float32,1000,128,1500,zipf,ordered",
    "float32,1000,300,999,distinct,ordered",
    "float32,1000,16,999,distinct,ordered",
    "float64,1000,32,999,distinct,ordered",
    "bfloat16,1000,64,999,distinct,ordered",
    "float32,8,128,8192,equal,ordered",
    "float32,4,8,3000,equal,atomic",
]
HOT, ATOMIC = CASES[-2:]

Launches = dict[str, tuple[dict[str, int], list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def launches(kernels: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Launches:
    """Of each case the fewest sectors, and what the simulator counted of each launch behind the sort."""
    if not kernels.devices()[0].startswith("cudasim"):
        pytest.skip("a GPU does not count accesses; the simulator does")
    script = Path(__file__).with_name("launch_scatters.py")
    counts = tmp_path_factory.mktemp("traffic") / "counts.json"
    command = [sys.executable, str(script), *CASES]
    environment = os.environ | {"CUDASIM_STATS": str(counts)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[dict[str, Any]]] = []
    for line in counts.read_text().splitlines():
        launch = json.loads(line)
        name = launch["kernel"]
        if "make_terms" in name:
            found.append([])
        elif "sum_" in name or "scatter_" in name:
            found[-1].append(launch)
    fewest = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(CASES, zip(fewest, found, strict=True), strict=True))


def sectors(launch: dict[str, Any], kind: str) -> int:
    return int(launch[f"global_{kind}"]["sectors"])


@pytest.mark.parametrize("case", CASES[:-1])
def test_few_sectors_in_wide_accesses(case: str, launches: Launches) -> None:
    fewest, found = launches[case]
    moved = sum(sectors(launch, kind) for launch in found for kind in ("load", "store", "atomic"))
    assert moved <= 1.15 * (fewest["grads"] + fewest["out"] + fewest["index"])
    for launch in found:
        # 4 bytes: where rows are, not what is in them.
        assert set(launch["global_store"]["widths"]) <= {"16"}
        assert set(launch["global_load"]["widths"]) <= {"4", "16"}
        assert launch["global_atomic"]["accesses"] == 0
    assert sectors(found[-1], "store") <= 1.05 * fewest["out"]


def test_one_hot_row_is_the_work_of_many(launches: Launches) -> None:
    fewest, (blocks, super_blocks, rows) = launches[HOT]
    # A warp for each 64 terms; then what is left to one is short: 64 sums, twice, and one row.
    assert blocks["grid"][0] * blocks["block"][0] == 32 * fewest["most"] // 64
    assert sectors(super_blocks, "load") <= 1.1 * 16 * (fewest["most"] // 64)
    assert sectors(rows, "load") <= 100


def test_few_atomics_meet(launches: Launches) -> None:
    fewest, (pieces,) = launches[ATOMIC]
    assert pieces["atomics_on_busiest_address"] <= -(-fewest["most"] // 32)
