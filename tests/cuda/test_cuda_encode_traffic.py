"""What encoding moves, counted by the simulator, against the text, the ids and the tokens that are looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from traffic import SECTOR, Case

# rows, tokens in each, max_length
CASES = [(1, 10_000, 20_000), (200, 33, 64), (1, 10_000, 5)]

Encoding = tuple[dict[str, int], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def encodings(counted: Callable[..., list[Case]]) -> list[Encoding]:
    """Of each case what it had to do, and what the simulator counted of each kernel."""
    found = counted("launch_encodings.py", [",".join(map(str, case)) for case in CASES], {"write_ids"})
    return [(job, {launch["kernel"]: launch for launch in launches}) for job, launches in found]


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_text_is_read_twice_at_most(case: int, encodings: list[Encoding]) -> None:
    # Of all that is read in pieces of 16 bytes, the rest is keys of the table.
    job, kernels = encodings[case]
    pieces = sum(launch["global_load"]["widths"].get("16", 0) for launch in kernels.values())
    assert 16 * (pieces - job["known"]) <= 2.01 * job["text"]


@pytest.mark.parametrize("case", [0, 1], ids=lambda case: "-".join(map(str, CASES[case])))
def test_a_token_costs_a_slot_and_a_key_if_it_is_known(case: int, encodings: list[Encoding]) -> None:
    job, kernels = encodings[case]
    text = 1.05 * job["text"] / SECTOR
    assert kernels["count_tokens"]["global_load"]["sectors"] <= 1.5 * text
    # Slots are half full, so that some tokens meet another's before theirs; and there is what says where an id goes.
    lookups = 2 * job["known"] + job["unknown"]
    assert kernels["write_ids"]["global_load"]["sectors"] - text <= 1.75 * lookups


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_every_id_is_written_once(case: int, encodings: list[Encoding]) -> None:
    job, kernels = encodings[case]
    stored = [kernels[kernel]["global_store"] for kernel in ("write_frames", "write_ids")]
    assert sum(store["bytes"] for store in stored) == job["ids"]
    assert sum(store["sectors"] for store in stored) <= 1.2 * job["ids"] / SECTOR + 2


def test_text_that_rows_do_not_keep_is_read_once(encodings: list[Encoding]) -> None:
    _, kernels = encodings[2]
    widths = kernels["write_ids"]["global_load"]["widths"]
    assert 16 * widths["16"] <= 2 * 2048
