"""What pooling moves, counted by the simulator in sectors of 32 bytes, against what rows and ids span."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from traffic import Case, sectors

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
def cases(counted: Callable[..., list[Case]]) -> list[Case]:
    """Of each case the fewest sectors, and what the simulator counted of its launches."""
    return counted("launch_pools.py", [",".join(map(str, case[:-1])) for case in CASES], {"pool_bags"})


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_few_sectors(case: int, cases: list[Case]) -> None:
    fewest, launches = cases[case]
    assert sectors(launches, "load", "store") <= CASES[case][-1] * (fewest["load"] + fewest["store"])
    assert all(launch["atomics_on_busiest_address"] == 0 for launch in launches)


def test_rows_are_read_16_bytes_at_a_time_where_they_are_aligned(cases: list[Case]) -> None:
    _, launches = cases[CASES.index(("sum", "float32", 128, 0, 300, 10, 1.05))]
    for launch in launches:
        if "pool_" in launch["kernel"]:
            assert set(launch["global_store"]["widths"]) <= {"16", "8"}  # tallies are 8
    assert set(launches[-1]["global_store"]["widths"]) == {"16"}
