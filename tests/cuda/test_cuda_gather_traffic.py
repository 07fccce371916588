"""What the gather moves, counted by the simulator in sectors of 32 bytes, against what the rows span."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from traffic import Case, sectors

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
def cases(counted: Callable[..., list[Case]]) -> list[Case]:
    """Of each case the sectors that its rows span, and what the simulator counted."""
    arguments = [",".join(map(str, (ROWS, COUNT, *case[:-1]))) for case in CASES]
    return counted("launch_gathers.py", arguments, {"gather_short", "gather_long"})


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_few_sectors_in_wide_accesses(case: int, cases: list[Case]) -> None:
    span, launches = cases[case]
    (launch,) = launches
    width = CASES[case][-1]
    loads, stores = launch["global_load"], launch["global_store"]
    assert stores["sectors"] <= 1.02 * span["store"]
    assert sectors(launches, "load", "store") <= 1.05 * (span["load"] + span["store"])
    assert set(stores["widths"]) == {str(width)}
    assert set(loads["widths"]) == {str(width), "8"}
    assert launch["atomics_on_busiest_address"] == 0
