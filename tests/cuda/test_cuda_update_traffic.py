"""What the update moves once ids are sorted, counted by the simulator in sectors of 32 bytes, against the fewest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from traffic import SECTOR, Case, sectors

ROWS, COUNT = 3000, 2000
CASES = [("adam", "float32", 128), ("adam", "bfloat16", 256), ("adam", "float32", 64), ("sgd", "float32", 300)]


@pytest.fixture(scope="module")
def cases(counted: Callable[..., list[Case]]) -> list[Case]:
    """Of each case the sectors that it must move, and what the simulator counted of the update behind the sort."""
    arguments = [f"{rule},{dtype},{ROWS},{COUNT},{dim}" for rule, dtype, dim in CASES]
    return counted("launch_updates.py", arguments, {"update_tiles"})


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_few_sectors_in_wide_accesses(case: int, cases: list[Case]) -> None:
    fewest, launches = cases[case]
    (update,) = (launch for launch in launches if launch["kernel"] == "update_tiles")
    loads, stores = update["global_load"], update["global_store"]
    # A sector counts twice where two segments of a row meet in it.
    assert stores["sectors"] <= 1.03 * fewest["store"]
    assert sectors([update], "load", "store") <= 1.15 * (fewest["load"] + fewest["store"])
    assert set(stores["widths"]) == {"16"}
    rows_bytes = SECTOR * fewest["load"] - 4 * (COUNT + 2 * COUNT)
    assert loads["widths"]["16"] * 16 >= 0.98 * rows_bytes
    assert update["atomics_on_busiest_address"] == 0
