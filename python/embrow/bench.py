"""The benchmark suite as one call: pytest on the files that are installed with the package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

try:
    import pytest
except ModuleNotFoundError as error:
    raise ImportError('embrow.bench needs pytest: pip install "embrow[bench]"') from error
import embrow

_FOLDER = "_benchmarks"


def check_device(device: str) -> None:
    """Raise RuntimeError if the suite for `device`, "cpu" or "cuda", cannot run here."""
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(f"bench --device {device} needs a GPU, and torch {torch.__version__} finds none")
    try:
        from embrow import _cuda  # noqa: F401
    except ImportError as error:
        raise RuntimeError(f"bench --device {device} needs embrow's CUDA kernels: {error}") from error


def steps(device: str) -> dict[str, Path]:
    """Return the suite's files by the steps they measure."""
    found = [Path(place) / _FOLDER for place in embrow.__path__ if (Path(place) / _FOLDER).is_dir()]
    if not found:
        raise FileNotFoundError(f"embrow was installed without its benchmarks: no {_FOLDER} in {embrow.__path__[0]}")
    folder, begin = (found[0] / "cuda", "bench_cuda_") if device == "cuda" else (found[0], "bench_")
    return {path.stem.removeprefix(begin): path for path in sorted(folder.glob(f"{begin}*.py"))}


def run(
    files: Iterable[Path],
    options: Iterable[str],
    *,
    verbose: bool,
    on_line: Callable[[str], object],
    on_progress: Callable[[int, int, str], object] | None,
) -> list[str]:
    """Run benchmark files.

    Parameters
    ----------
    files : iterable of Path
    options : iterable of str
        Those of `conftest.py` there.
    verbose : bool
        Print each row when it has been measured.
    on_line : callable
        Gets a line for each table that is done, and for each benchmark that was left out.
    on_progress : callable, optional
        Gets how many benchmarks are done, how many there are, and the name of the next.

    Returns
    -------
    list of str
        What went wrong, one line each.
    """
    # No plugin of others has a say: some print, some need the terminal's, which is left out.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    paths = [str(path) for path in files]
    watcher = _Watcher(on_line, on_progress)
    own = ["-c", os.devnull, f"--rootdir={Path(paths[0]).parent}", "-p", "no:terminal", "-p", "no:cacheprovider"]
    own += ["--continue-on-collection-errors", *(["-s"] if verbose else [])]
    status = pytest.main([*own, *options, *paths], plugins=[watcher])
    if status == pytest.ExitCode.INTERRUPTED and not watcher.faults:
        raise KeyboardInterrupt
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not watcher.faults:
        raise RuntimeError(f"the benchmarks did not run: pytest ended with status {int(status)}")
    return watcher.faults


class _Watcher:
    """A pytest plugin: tells what is done, and keeps what went wrong."""

    def __init__(self, on_line: Callable[[str], object], on_progress: Callable[[int, int, str], object] | None) -> None:
        self.faults: list[str] = []
        self._on_line, self._on_progress = on_line, on_progress
        self._lines: list[str] = []
        self._done, self._all = 0, 0

    def pytest_collection_finish(self, session: Any) -> None:
        self._all = len(session.items)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.faults.append(f"{report.nodeid}: {report.longreprtext.splitlines()[-1].removeprefix('E').strip()}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_embrow_table(self, table: Any) -> None:
        # Within a test's teardown, whose output pytest holds back.
        self._lines.append(table.summary())

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self._on_progress is not None:
            self._on_progress(self._done, self._all, nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.faults.append(f"{report.nodeid}: {report.longrepr.reprcrash.message.splitlines()[0]}")
        elif report.skipped:
            self._lines.append(f"{report.nodeid}: {report.longrepr[2]}")

    def pytest_runtest_logfinish(self) -> None:
        self._done += 1
        for line in self._lines:
            self._on_line(line)
        self._lines.clear()
