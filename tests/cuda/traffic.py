"""What kernels move, counted by the simulator: per launch, in sectors of 32 bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SECTOR = 32

# What a script printed of a case, and the counts of each launch of it.
Case = tuple[dict[str, Any], list[dict[str, Any]]]


def spanned(starts: np.ndarray, size: int | np.ndarray) -> int:
    """Return how many sectors pieces of `size` bytes touch, each piece for itself."""
    return int(((starts + size - 1) // SECTOR - starts // SECTOR + 1).sum())


def count_launches(script: str, arguments: Sequence[str], last: Collection[str]) -> list[Case]:
    """Run a script of this folder and count what its kernels move.

    Parameters
    ----------
    script : str
        Prints a line of JSON for each argument. It gets a process of its own: what is counted is compiled for it.
    arguments : sequence of str
    last : collection of str
        Names of the kernels of which one, once, ends the launches of an argument.

    Returns
    -------
    list of (printed, launches)
        One for each argument. A launch's "kernel" is its bare name.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "counts.json")
        command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
        environment = os.environ | {"CUDASIM_STATS": str(file)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        counted = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    cases: list[list[dict[str, Any]]] = [[]]
    for launch in counted:
        launch["kernel"] = launch["kernel"].split("(")[0].split("<")[0].split("::")[-1]
        cases[-1].append(launch)
        if launch["kernel"] in last:
            cases.append([])
    rest = cases.pop()
    assert not rest, f"{script}: launches behind the last of {last}: {[launch['kernel'] for launch in rest]}"
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    return list(zip(printed, cases, strict=True))


def sectors(launches: Sequence[dict[str, Any]], *kinds: str) -> int:
    """Add up the sectors of all launches: of loads, stores or atomics, by the names given."""
    return sum(launch[f"global_{kind}"]["sectors"] for launch in launches for kind in kinds)
