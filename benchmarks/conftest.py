"""Options of the benchmarks, the machine they run on, and the report of all their tables."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from measure import copy_rate, fill_rate, thread_gain
from table import Machine, Table

TABLES = pytest.StashKey[list[Table]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("embrow benchmarks")
    group.addoption("--threads", type=int, default=2, help="threads of embrow and of peers that have any")
    group.addoption("--repeats", type=int, default=15, help="timed rounds of each case")
    group.addoption("--budget-s", type=float, default=15.0, help="a call that took this long sits out further rounds")
    group.addoption("--scale", type=float, default=1.0, help="share of the published sizes, such as 0.05 to try out")
    group.addoption("--report", type=Path, help="write all tables to this .json, and beside it as .md")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLES] = []
    # Read when the peers' thread pools start.
    os.environ["RAYON_NUM_THREADS"] = str(config.getoption("--threads"))
    os.environ.setdefault("KERAS_BACKEND", "torch")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(0))
        # Peers warn as they like.
        item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def threads(pytestconfig: pytest.Config) -> int:
    count: int = pytestconfig.getoption("--threads")
    # Setting even the same number makes OpenMP start over.
    if count != torch.get_num_threads():
        torch.set_num_threads(count)
    return count


@pytest.fixture(scope="session")
def scaled(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """Turn a published size into this run's."""
    return lambda size: max(1, int(size * pytestconfig.getoption("--scale")))


@pytest.fixture(scope="session")
def machine(threads: int) -> Machine:
    cores, python = os.cpu_count() or 1, platform.python_version()
    return Machine(_cpu(), cores, threads, python, copy_rate(), fill_rate(), thread_gain(threads))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest, machine: Machine) -> Table:
    """Return the module's table; its step is the module's name, its title and unit are TITLE and UNIT there."""
    module, option = request.module, request.config.getoption
    step = module.__name__.removeprefix("bench_")
    scale = option("--scale")
    title = module.TITLE if scale == 1 else f"{module.TITLE}; sizes times {scale:g}"
    made = Table(step, title, module.UNIT, machine, option("--repeats"), option("--budget-s"))
    request.config.stash[TABLES].append(made)
    return made


def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("--report")
    tables = session.config.stash[TABLES]
    if path is None or not tables:
        return
    record: dict[str, Any] = {
        "machine": vars(tables[0].machine),
        "scale": session.config.getoption("--scale"),
        "tables": [table.record() for table in tables],
    }
    _write(path, json.dumps(record, indent=1, ensure_ascii=False))
    _write(path.with_suffix(".md"), "\n\n".join(table.markdown() for table in tables))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
