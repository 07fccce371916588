"""The pool's threads, as the system sees them."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Fields 19 and 41 of proc(5)'s stat are the nice value and the policy.
CHILD = """
import os
from pathlib import Path
from embrow import Vocab
before = set(os.listdir("/proc/self/task"))  # NumPy's
nice = os.nice(5)
os.sched_setscheduler(0, {policy}, os.sched_param(0))
Vocab.build(["a b c d"] * 100_000, num_threads=3)
for stat in Path("/proc/self/task").glob("*/stat"):
    if stat.parent.name not in before:
        fields = stat.read_text().rpartition(")")[2].split()
        print(int(fields[16]) - nice, fields[38])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("policy", ["os.SCHED_OTHER", "os.SCHED_BATCH"])
def test_threads_keep_the_priority_of_the_process(policy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(policy=policy)], capture_output=True, text=True, check=True
    )
    threads = done.stdout.split("\n")[:-1]
    assert len(threads) == 2
    assert set(threads) == {f"0 {0 if policy == 'os.SCHED_OTHER' else 3}"}
