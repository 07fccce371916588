"""Memory that runs out: MemoryError wherever it happens, nothing lost and nothing leaked, and the next call works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "native/failing_allocations.cpp"
SCRIPT = Path(__file__).with_name("fail_allocations.py")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's C library and limits")


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that lets allocations fail."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    built = tmp_path_factory.mktemp("failing") / "failing_allocations.so"
    subprocess.run([compiler, "-std=c++20", "-O1", "-shared", "-fPIC", "-o", built, SOURCE], check=True)
    return built


@pytest.mark.parametrize("threads", [1, 2])
def test_every_allocation_may_fail(threads: int, failing: Path, tmp_path: Path) -> None:
    # What a thread keeps for its next allocations counts as in use.
    tunables = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    environment = {**os.environ, **tunables, "LD_PRELOAD": str(failing)}
    command = [sys.executable, SCRIPT, failing, str(threads), tmp_path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=200)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"does not end: {error.stderr}")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) > 10
    for call in told:
        assert call["failed"] > 0, call
        assert call["grown"] < 1 << 14, call


# What is asked for, and how many bytes that is: more than there are.
LIMITED = """
import resource, sys
import numpy as np
import torch
from embrow import Vocab, nn, pad_sequences, load_vectors
from embrow.vectors import WordVectors

vocab = Vocab(["<pad>", "<unk>", "a"])
WordVectors([f"w{i}" for i in range(90_000)], np.zeros((90_000, 300), np.float32)).save(sys.argv[1])
load_vectors(sys.argv[1], ["w1"], num_threads=2)
long = "é" * (40 << 20)
pooled = nn.EmbeddingBag(200_000, 128, mode="sum")(torch.randint(0, 3000, (200, 20)))
size = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20),) * 2)
for call in (
    lambda: vocab.encode(["a"] * 1000, max_length=100_000, num_threads=2),
    lambda: pad_sequences([[1]] * 1000, max_length=100_000, num_threads=2),
    lambda: load_vectors(sys.argv[1], num_threads=2),
    lambda: vocab.encode_ragged(["a " * 100_000] * 100, num_threads=2),
    lambda: pooled.sum().backward(),
    lambda: long in vocab,
):
    try:
        call()
    except MemoryError:
        print("MemoryError")
    assert vocab.encode(["a b"], num_threads=2).tolist() == [[2, 1]]
    assert len(load_vectors(sys.argv[1], ["w1", "w89999"], num_threads=2).tokens) == 2
"""


def test_what_fits_no_limit_is_a_memory_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, tmp_path / "v.bin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["MemoryError"] * 6


# Each thread's stack would take a GB, which the limit has no room for.
NO_THREADS = """
import os, resource
import numpy as np
from embrow import Vocab

vocab = Vocab(["<pad>", "<unk>", "a", "b"])
rows = ["a b c"] * 100_000
expected = vocab.encode(rows, num_threads=1)

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
size = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 20), resource.RLIM_INFINITY))
assert np.array_equal(vocab.encode(rows, num_threads=3), expected)
print(threads() - before)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
assert np.array_equal(vocab.encode(rows, num_threads=3), expected)
print(threads() - before)
"""


def test_a_call_takes_the_threads_it_can_have() -> None:
    if subprocess.run(["sh", "-c", "ulimit -s 1048576"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs large stacks")
    command = ["sh", "-c", 'ulimit -s 1048576; exec "$0" -c "$1"', sys.executable, NO_THREADS]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "2"]
