"""Several processes that train one model: each check of `check_*.py`, in worlds of 4, 2 and 1 processes."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
dist = torch.distributed
if not dist.is_available() or not dist.is_gloo_available():
    pytest.skip("this build of PyTorch has no gloo", allow_module_level=True)
from torch.distributed.tensor import distribute_tensor  # noqa: E402

if "src_data_rank" not in inspect.signature(distribute_tensor).parameters:
    pytest.skip("PyTorch 2.6 has no fully_shard on CPUs, and splits tables of process 0 alone", allow_module_level=True)

from run_checks import MODULES, checks  # noqa: E402

SCRIPT = Path(__file__).with_name("run_checks.py")
LONGEST = 90  # seconds, of a world; all of them stay within the limit of a test
NAMES = {size: list(checks(size)) for size in MODULES}
Outcome = Callable[[int, str], None]


def run(backend: str, size: int, folder: Path, names: list[str]) -> str:
    """Run checks in a world; return what it printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
    command += [str(SCRIPT), backend, str(folder), *names]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        printed, _ = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        # Told so, torchrun ends its processes.
        process.terminate()
        printed, _ = process.communicate()
        printed += f"\nended after {LONGEST} seconds"
    return printed


def tell(folder: Path, size: int, name: str, printed: str) -> None:
    """Fail with what any process found wrong in a check."""
    reports = []
    for rank in range(size):
        path = folder / f"{size}-{rank}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        reports.append({line["check"]: line["error"] for line in map(json.loads, lines)})
    errors = [f"process {rank} of {size}:\n{done[name]}" for rank, done in enumerate(reports) if done.get(name)]
    if errors:
        pytest.fail("\n".join(errors), pytrace=False)
    if not all(name in done for done in reports):
        failed = sorted({check for done in reports for check, error in done.items() if error})
        why = f"it was not reached, as {failed[0]} had failed" if failed else f"a process ended:\n{printed[-4000:]}"
        pytest.fail(f"world of {size}: {why}", pytrace=False)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Fails with what a check found wrong in a world; all worlds have run all checks."""
    folder = tmp_path_factory.mktemp("worlds")
    printed = {size: run("gloo", size, folder, names) for size, names in NAMES.items()}
    return lambda size, name: tell(folder, size, name, printed[size])


@pytest.mark.parametrize(("size", "name"), [(size, name) for size, names in NAMES.items() for name in names])
def test_world(outcome: Outcome, size: int, name: str) -> None:
    outcome(size, name)


def test_wrappers_in_a_world_of_gpus(tmp_path: Path) -> None:
    """The checks of sharding hold their batches on the CPU."""
    size = next((size for size in NAMES if 1 < size <= torch.cuda.device_count()), 0)
    if not size or not dist.is_nccl_available():
        pytest.skip("needs two GPUs, and nccl")
    names = [name for name in NAMES[size] if name.startswith("check_wrappers.")]
    printed = run("nccl", size, tmp_path, names)
    for name in names:
        tell(tmp_path, size, name, printed)
