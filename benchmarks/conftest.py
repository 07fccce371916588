"""Options of the benchmarks, the machine or card they run on, and the report of all their tables."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from measure import Clocks, copy_rate, fill_rate, thread_gain
from peers import DISTRIBUTIONS
from table import Limit, Machine, Table

import embrow
from embrow.bench import check_device

TABLES = pytest.StashKey[list[Table]]()
FOLDER = Path(__file__).parent


class Hooks:
    """What the benchmarks tell a plugin."""

    def pytest_embrow_table(self, table: Table) -> None:
        """A module is done, and so is its table."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("embrow benchmarks")
    group.addoption("--device", choices=["cpu", "cuda"], default="cpu", help="where the steps run")
    group.addoption("--threads", type=int, default=2, help="threads of embrow and of peers that have any")
    group.addoption("--repeats", type=int, default=15, help="timed rounds of each case")
    group.addoption("--budget-s", type=float, default=15.0, help="a call that took this long sits out further rounds")
    group.addoption("--scale", type=float, default=1.0, help="share of the published sizes, such as 0.05 to try out")
    group.addoption("--report", type=Path, help="folder for bench.json, bench.md and bench.html")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLES] = []
    try:
        check_device(config.getoption("--device"))
    except RuntimeError as error:
        raise pytest.UsageError(str(error)) from error
    # Read when the peers' thread pools start.
    os.environ["RAYON_NUM_THREADS"] = str(config.getoption("--threads"))
    os.environ.setdefault("KERAS_BACKEND", "torch")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of a folder, collect what is for the device alone."""
    if collection_path.suffix != ".py":
        return None
    return _is_for_cards(collection_path) != (config.getoption("--device") == "cuda") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # The other way round is how the cards' cases are tested where there is no card.
        if config.getoption("--device") == "cuda" and not _is_for_cards(item.path):
            raise pytest.UsageError(f"{item.path.name} measures the CPU; what runs on --device cuda is in cuda/")
        if config.pluginmanager.has_plugin("timeout"):
            item.add_marker(pytest.mark.timeout(0))
        # Peers warn as they like.
        item.add_marker(pytest.mark.filterwarnings("ignore"))


def _is_for_cards(path: Path) -> bool:
    return path.parent == FOLDER / "cuda"


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
def device(pytestconfig: pytest.Config) -> torch.device:
    return torch.device(pytestconfig.getoption("--device"))


@pytest.fixture(scope="session")
def clocks(device: torch.device) -> Clocks:
    if device.type == "cpu":
        return Clocks()
    from card import StreamClock, kernel_seconds, whole_seconds

    return Clocks(StreamClock(), whole_seconds, kernel_seconds)


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config, threads: int, device: torch.device) -> Limit:
    if device.type == "cuda":
        from card import measured_card

        return measured_card()
    repeats = min(7, pytestconfig.getoption("--repeats"))
    rates = copy_rate(repeats), fill_rate(repeats), thread_gain(threads, 3 * repeats)
    return Machine(_cpu(), os.cpu_count() or 1, threads, platform.python_version(), *rates)


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest, machine: Limit, clocks: Clocks) -> Iterator[Table]:
    """Yield the module's table; its step is the module's name, its title and unit are TITLE and UNIT there."""
    module, option = request.module, request.config.getoption
    step = module.__name__.removeprefix("bench_")
    scale = option("--scale")
    title = module.TITLE if scale == 1 else f"{module.TITLE}; sizes times {scale:g}"
    made = Table(step, title, module.UNIT, machine, option("--repeats"), option("--budget-s"), clocks.stream)
    request.config.stash[TABLES].append(made)
    yield made
    request.config.hook.pytest_embrow_table(table=made)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    option, tables = session.config.getoption, session.config.stash[TABLES]
    if option("--report") is None or not tables or exitstatus == pytest.ExitCode.INTERRUPTED:
        return
    from report import write

    run = {name: option(f"--{name}") for name in ("device", "threads", "repeats", "budget-s", "scale")}
    write(option("--report"), run, _versions(), tables)


def _versions() -> dict[str, str]:
    """Return the versions of embrow, Python and the peers that are installed."""
    found = {"embrow": embrow.__version__, "python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
