"""What pooling moves, counted by the simulator in sectors of 32 bytes, against what rows and ids span."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Mode, dtype, dim, gap between rows, ids of a bag, bags; and how many times the fewest sectors may be moved.
CASES = [
    ("sum", "float32", 16, 0, 20, 60, 1.05),
    ("sum", "float32", 20, 0, 20, 60, 1.05),
    ("sum", "float32", 128, 0, 20, 60, 1.05),
    ("mean", "float32", 300, 0, 20, 40, 1.05),
    ("sum", "float64", 64, 0, 20, 60, 1.05),
    ("max", "bfloat16", 64, 0, 20, 60, 1.05),
    ("sum", "float16", 1024, 8, 20, 20, 1.05),
    ("sum", "float32", 50, 0, 20, 60, 1.05),
    ("sum", "float32", 25, 0, 20, 60, 1.05),
    # Blocks of long bags are written once and read once, 1/64 of what their rows are.
    ("sum", "float32", 128, 0, 300, 10, 1.05),
    # Unaligned rows of more than 32 chunks: where segments meet, both read the sector, one of them from the cache.
    ("sum", "bfloat16", 300, 0, 20, 60, 1.13),
    ("sum", "float32", 75, 0, 20, 60, 1.26),
]


@pytest.fixture(scope="module")
def counts(kernels: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, list[dict[str, Any]]]]:
    """Of each case the fewest sectors, and what the simulator counted of its launches."""
    if not kernels.devices()[0].startswith("cudasim"):
        pytest.skip("a GPU does not count accesses; the simulator does")
    script = Path(__file__).with_name("launch_pools.py")
    file = tmp_path_factory.mktemp("traffic") / "counts.json"
    arguments = [",".join(map(str, case[:-1])) for case in CASES]
    command = [sys.executable, str(script), *arguments]
    environment = os.environ | {"CUDASIM_STATS": str(file)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    launches = [json.loads(line) for line in file.read_text().splitlines()]
    found: list[tuple[int, list[dict[str, Any]]]] = []
    for line in done.stdout.splitlines():
        of_case = [launches.pop(0)]
        while "pool_bags" not in of_case[-1]["kernel"]:
            of_case.append(launches.pop(0))
        found.append((int(line), of_case))
    assert not launches
    return found


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_few_sectors(case: int, counts: list[tuple[int, list[dict[str, Any]]]]) -> None:
    fewest, launches = counts[case]
    moved = sum(launch[f"global_{way}"]["sectors"] for launch in launches for way in ("load", "store"))
    assert moved <= CASES[case][-1] * fewest
    assert all(launch["atomics_on_busiest_address"] == 0 for launch in launches)


def test_rows_are_read_16_bytes_at_a_time_where_they_are_aligned(
    counts: list[tuple[int, list[dict[str, Any]]]],
) -> None:
    _, launches = counts[CASES.index(("sum", "float32", 128, 0, 300, 10, 1.05))]
    for launch in launches:
        if "pool_" in launch["kernel"]:
            assert set(launch["global_store"]["widths"]) <= {"16", "8"}  # tallies are 8
    assert set(launches[-1]["global_store"]["widths"]) == {"16"}
