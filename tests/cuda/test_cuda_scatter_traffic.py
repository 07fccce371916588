"""What the scatter moves once ids are sorted, counted by the simulator in sectors of 32 bytes; how much is parallel."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from traffic import Case, sectors

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
# What the kernels behind the sort are called.
BEHIND = ("sum_", "scatter_")


@pytest.fixture(scope="module")
def cases(counted: Callable[..., list[Case]]) -> dict[str, Case]:
    """Of each case the fewest sectors, and what the simulator counted of each launch behind the sort."""
    found = counted("launch_scatters.py", CASES, {"scatter_runs", "scatter_pieces"})
    behind = [(fewest, [one for one in launches if one["kernel"].startswith(BEHIND)]) for fewest, launches in found]
    return dict(zip(CASES, behind, strict=True))


@pytest.mark.parametrize("case", CASES[:-1])
def test_few_sectors_in_wide_accesses(case: str, cases: dict[str, Case]) -> None:
    fewest, found = cases[case]
    assert sectors(found, "load", "store", "atomic") <= 1.15 * (fewest["load"] + fewest["store"])
    for launch in found:
        # 4 bytes: where rows are, not what is in them.
        assert set(launch["global_store"]["widths"]) <= {"16"}
        assert set(launch["global_load"]["widths"]) <= {"4", "16"}
        assert launch["global_atomic"]["accesses"] == 0
    assert sectors(found[-1:], "store") <= 1.05 * fewest["store"]


def test_one_hot_row_is_the_work_of_many(cases: dict[str, Case]) -> None:
    fewest, (blocks, super_blocks, rows) = cases[HOT]
    # A warp for each 64 terms; then what is left to one is short: 64 sums, twice, and one row.
    assert blocks["grid"][0] * blocks["block"][0] == 32 * fewest["most"] // 64
    assert sectors([super_blocks], "load") <= 1.1 * 16 * (fewest["most"] // 64)
    assert sectors([rows], "load") <= 100


def test_few_atomics_meet(cases: dict[str, Case]) -> None:
    fewest, (pieces,) = cases[ATOMIC]
    assert pieces["atomics_on_busiest_address"] <= -(-fewest["most"] // 32)
