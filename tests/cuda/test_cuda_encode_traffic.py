"""What encoding moves, counted by the simulator, against the text, the ids and the tokens that are looked up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SECTOR = 32
# rows, tokens in each, max_length
CASES = [(1, 10_000, 20_000), (200, 33, 64), (1, 10_000, 5)]


class Launches:
    """One encoding: what it had to do, and the counts of each kernel."""

    def __init__(self, job: dict[str, int], counted: list[dict[str, Any]]) -> None:
        self.job = job
        self.counted = {line["kernel"].split("(")[0].split("<")[0].split("::")[-1]: line for line in counted}


@pytest.fixture(scope="module")
def launches(kernels: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[Launches]:
    if not kernels.devices()[0].startswith("cudasim"):
        pytest.skip("a GPU does not count accesses; the simulator does")
    script = Path(__file__).with_name("launch_encodings.py")
    found = []
    for case in CASES:
        counts = tmp_path_factory.mktemp("traffic") / "counts.json"
        command = [sys.executable, str(script), ",".join(map(str, case))]
        environment = os.environ | {"CUDASIM_STATS": str(counts)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        counted = [json.loads(line) for line in counts.read_text().splitlines()]
        found.append(Launches(json.loads(done.stdout), counted))
    return found


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_text_is_read_twice_at_most(case: int, launches: list[Launches]) -> None:
    # Of all that is read in pieces of 16 bytes, the rest is keys of the table.
    pieces = sum(line["global_load"]["widths"].get("16", 0) for line in launches[case].counted.values())
    assert 16 * (pieces - launches[case].job["known"]) <= 2.1 * launches[case].job["text"]


@pytest.mark.parametrize("case", [0, 1], ids=lambda case: "-".join(map(str, CASES[case])))
def test_a_token_costs_a_slot_and_a_key_if_it_is_known(case: int, launches: list[Launches]) -> None:
    job, counted = launches[case].job, launches[case].counted
    text = 1.05 * job["text"] / SECTOR
    assert counted["count_tokens"]["global_load"]["sectors"] <= 1.5 * text
    # Slots are half full, so that some tokens meet another's before theirs; and there is what says where an id goes.
    lookups = 2 * job["known"] + job["unknown"]
    assert counted["write_ids"]["global_load"]["sectors"] - text <= 1.75 * lookups


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "-".join(map(str, CASES[case])))
def test_every_id_is_written_once(case: int, launches: list[Launches]) -> None:
    job, counted = launches[case].job, launches[case].counted
    stored = [counted[kernel]["global_store"] for kernel in ("write_frames", "write_ids")]
    assert sum(store["bytes"] for store in stored) == job["ids"]
    assert sum(store["sectors"] for store in stored) <= 1.2 * job["ids"] / SECTOR + 2


def test_text_that_rows_do_not_keep_is_read_once(launches: list[Launches]) -> None:
    widths = launches[2].counted["write_ids"]["global_load"]["widths"]
    assert 16 * widths["16"] <= 2 * 2048
