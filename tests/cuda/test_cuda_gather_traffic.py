"""What the gather moves, counted by the simulator in sectors of 32 bytes, against what the rows span."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Launch = tuple[dict[str, int], dict[str, Any]]

ROWS, COUNT = 1000, 999
# row_bytes, stride_bytes, table_offset, out_offset, and the widest access that they allow
CASES = [
    (64, 64, 0, 0, 16),
    (80, 80, 0, 0, 16),
    (128, 128, 0, 0, 16),
    (512, 512, 0, 0, 16),
    (1200, 1200, 0, 0, 16),
    (4096, 4112, 16, 0, 16),
    (200, 200, 0, 0, 8),
    (600, 600, 0, 0, 8),
    (512, 512, 8, 0, 8),
    (100, 100, 0, 0, 4),
    (508, 508, 0, 0, 4),
    (2100, 2104, 4, 12, 4),
    (254, 254, 0, 0, 2),
    (65, 65, 0, 0, 1),
    (301, 303, 5, 3, 1),
]


@pytest.fixture(scope="module")
def launches(kernels: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[Launch]:
    """Of each case the sectors that its rows span, and what the simulator counted."""
    if not kernels.devices()[0].startswith("cudasim"):
        pytest.skip("a GPU does not count accesses; the simulator does")
    script = Path(__file__).with_name("launch_gathers.py")
    counts = tmp_path_factory.mktemp("traffic") / "counts.json"
    arguments = [",".join(map(str, (ROWS, COUNT, *case[:-1]))) for case in CASES]
    command = [sys.executable, str(script), *arguments]
    environment = os.environ | {"CUDASIM_STATS": str(counts)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spans = [json.loads(line) for line in done.stdout.splitlines()]
    counted = [json.loads(line) for line in counts.read_text().splitlines()]
    return list(zip(spans, counted, strict=True))


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_few_sectors_in_wide_accesses(case: int, launches: list[Launch]) -> None:
    span, counted = launches[case]
    width = CASES[case][-1]
    loads, stores = counted["global_load"], counted["global_store"]
    assert stores["sectors"] <= 1.02 * span["store"]
    assert loads["sectors"] + stores["sectors"] <= 1.05 * (span["load"] + span["store"])
    assert set(stores["widths"]) == {str(width)}
    assert set(loads["widths"]) == {str(width), "8"}
    assert counted["atomics_on_busiest_address"] == 0
