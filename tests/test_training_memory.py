"""What a step of training allocates: a child process trains a large table and measures its own peak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PEAK = Path("/proc/self/clear_refs")
pytestmark = pytest.mark.skipif(not PEAK.exists(), reason="the system cannot measure the peak of a moment")

# Fresh pages take no memory before they are written.
TRAIN = f"""
import mmap, sys
import torch
from embrow import optim
from embrow.nn import Embedding

def resident(what):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024

rows = int(sys.argv[2])
table = torch.frombuffer(mmap.mmap(-1, rows * 300 * 4), dtype=torch.float32).view(rows, 300)
layer = Embedding(rows, 300, sparse=True, _weight=table)
optimizer = getattr(optim, sys.argv[1])(layer.parameters(), lr=0.1)

def step():
    optimizer.zero_grad()
    layer(torch.randint(0, rows, (256,))).sum().backward()
    optimizer.step()

step()  # which makes the state
open("{PEAK}", "w").write("5")  # from here on the peak counts anew: see proc(5)
before = resident("VmRSS")
for _ in range(3):
    step()
print(resident("VmHWM") - before)
"""


@pytest.mark.parametrize(
    ("optimizer", "rows"),
    [("SGD", 3_000_000), ("RowwiseAdagrad", 3_000_000), ("Adagrad", 100_000), ("Adam", 100_000)],
)
def test_a_sparse_step_allocates_nothing_of_the_tables_size(optimizer: str, rows: int) -> None:
    arguments = [sys.executable, "-c", TRAIN, optimizer, str(rows)]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True)
    # The pages of the rows that the steps touch, and their gradients; the tables have 3.6 GB and 120 MB.
    assert int(found.stdout) < 24 << 20
