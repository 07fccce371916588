"""Threads where the system has a say: their priority, and forks, which leave them behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from embrow import _core

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

TABLES_AFTER_A_FORK = """
import os, sys, numpy, torch
import embrow.functional as F
torch.set_num_threads(4)
table = torch.from_numpy(numpy.random.default_rng(0).random((40_000, 31)))
every_id = torch.from_numpy(numpy.arange(40_000))
def use():
    with torch.no_grad():
        for count in (1, 1000, 1057, 1058, 40_000):
            ids = every_id[:count]
            assert torch.equal(F.embedding(ids, table)[-1], table[count - 1])
    for rows, dim in ((1000, 8), (1000, 100), (2000, 8), (2000, 100)):
        small = torch.from_numpy(numpy.ones((rows, dim), numpy.float32)).requires_grad_()
        F.embedding(every_id[:64], small).sum().backward()
        assert small.grad.numpy().sum() == 64 * dim
use()
child = os.fork()
if child == 0:
    use()
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""

IMPORTED_AFTER_A_FORK = """
import os, sys, numpy, torch
torch.set_num_threads(2)
torch.zeros(10**6).add_(1)
child = os.fork()
if child == 0:
    import embrow.functional as F
    table = torch.from_numpy(numpy.ones((300, 128), numpy.float32))
    assert F.embedding(torch.arange(1000) % 300, table).shape == (1000, 128)
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


# The text is long enough that the counter is still held when the process is forked.
COUNTING_AT_A_FORK = """
import os, pickle, signal, sys, threading, time
from embrow import TokenCounter
busy, idle = TokenCounter(), TokenCounter()
idle.update(["a b"])
rows = ["a " * 5_000_000] * 200
counting = threading.Thread(target=busy.update, args=(rows,), kwargs={"num_threads": 1})
counting.start()
clock = time.pthread_getcpuclockid(counting.ident)
while time.clock_gettime(clock) < 0.05:
    time.sleep(0.01)
child = os.fork()
if child == 0:
    signal.alarm(60)
    idle.update(["b"])
    assert idle.most_common() == [("b", 2), ("a", 1)]
    for use in (
        lambda: len(busy),
        lambda: busy.update(["c"]),
        lambda: busy.most_common(),
        lambda: busy.merge(idle),
        lambda: idle.merge(busy),
        lambda: busy.to_vocab(),
        lambda: pickle.dumps(busy),
    ):
        try:
            use()
        except RuntimeError as error:
            assert str(error).startswith("TokenCounter: another thread was at work on it when this process was forked")
        else:
            os._exit(1)
    os._exit(0)
assert counting.is_alive()
status = os.waitpid(child, 0)[1]
counting.join()
assert busy.most_common() == [("a", 1_000_000_000)]
sys.exit(status)
"""

ANY_NUMBER_OF_THREADS = """
import os
import numpy as np
from embrow import TokenCounter, Vocab, _core, pad_sequences
rows = [f"a b{i % 7} c{i % 5}" for i in range(100_000)]
vocab = Vocab.build(rows, num_threads=1)
ids = vocab.encode_ragged(rows, num_threads=1)
padded = vocab.encode(rows, num_threads=1)
before = len(os.listdir("/proc/self/task"))
for most in (10**6, 2**31 - 1, 2**31, 10**30):
    assert Vocab.build(rows, num_threads=most).tokens == vocab.tokens
    assert np.array_equal(vocab.encode(rows, num_threads=most), padded)
    assert np.array_equal(vocab.encode_ragged(rows, num_threads=most).values, ids.values)
    assert np.array_equal(pad_sequences(ids, num_threads=most), padded)
started = len(os.listdir("/proc/self/task")) - before
assert started < _core.most_threads() <= max(64, 4 * os.cpu_count()), started
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_tables_are_used_after_a_fork() -> None:
    """OpenMP's threads, which PyTorch's larger operations start, are not there in the child."""
    pytest.importorskip("torch")
    subprocess.run([sys.executable, "-c", TABLES_AFTER_A_FORK], check=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_tables_are_used_where_embrow_is_imported_after_a_fork() -> None:
    pytest.importorskip("torch")
    subprocess.run([sys.executable, "-c", IMPORTED_AFTER_A_FORK], check=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and asks for a thread's processor time")
def test_a_counter_in_use_at_a_fork_is_refused_in_the_child() -> None:
    subprocess.run([sys.executable, "-c", COUNTING_AT_A_FORK], check=True, timeout=300)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_any_number_of_threads_starts_few() -> None:
    subprocess.run([sys.executable, "-c", ANY_NUMBER_OF_THREADS], check=True, timeout=300)


def test_any_number_of_threads_trains() -> None:
    torch = pytest.importorskip("torch")
    training = pytest.importorskip("embrow.training")
    before = torch.get_num_threads()
    with training.threads(10**6):
        assert torch.get_num_threads() == _core.most_threads()
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError, match="num_threads must be 1 or more, found 0"), training.threads(0):
        pass
