"""`embrow bench`: what it writes, how it fails, and the cards' cases on the CPU."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

for module in ("torch", "sklearn", "click", "rich", "matplotlib", "jinja2"):
    pytest.importorskip(module, reason=f"the command line needs {module}")

import torch  # noqa: E402

from embrow import bench  # noqa: E402
from embrow.cli import main  # noqa: E402


def python(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    # Processes of their own: the suite is pytest, which is running these tests here.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


def test_bench_writes_a_line_a_table_and_three_files(tmp_path: Path) -> None:
    done = python(
        *("-m", "embrow", "bench", "scatter", "--scale", 0.001, "--repeats", 1, "--threads", 1, "--report", "out"),
        folder=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    line, path = done.stdout.splitlines()
    assert line.startswith("scatter: 16 cases, at most ")
    assert "against torch " in line
    assert path == "Report: out/bench.html"
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["bench.html", "bench.json", "bench.md", "out"]
    report = json.loads((tmp_path / "out" / "bench.json").read_text(encoding="utf-8"))
    assert report["options"] == {"device": "cpu", "threads": 1, "repeats": 1, "budget-s": 15.0, "scale": 0.001}
    assert report["machine"]["copy_rate"] > 0
    assert report["versions"]["torch"] == importlib.metadata.version("torch")
    (table,) = report["tables"]
    assert table["summary"] == line
    cases = {row["case"] for row in table["rows"]}
    assert cases > {"10 x 100, 2 ids, uniform", "1,000 x 128, 20 ids, zipf, mean of 20"}
    assert all(row["ours_ms"] > 0 and (row["ratio"] or row["skipped"]) for row in table["rows"])
    markdown = (tmp_path / "out" / "bench.md").read_text(encoding="utf-8")
    assert "<!-- scatter -->" in markdown
    assert f"- {line}" in markdown
    html = (tmp_path / "out" / "bench.html").read_text(encoding="utf-8")
    assert html.count("<img ") == html.count("data:image/png;base64,") == 1
    assert html.count("<tr") == 1 + len(table["rows"])


CARDS = """
import sys
from embrow import bench
options = ["--device=cpu", "--scale=0.0001", "--repeats=1", "--threads=1", f"--report={sys.argv[1]}"]
# One kind of batch, but where it is cheap; one shape of what is slow.
options += ["-k", "not zipf and not 8000000 or dtype0"]
faults = bench.run(bench.steps("cuda").values(), options, verbose=False, on_line=print, on_progress=None)
sys.exit("\\n".join(faults) or None)
"""


def test_the_cards_cases_on_the_cpu(tmp_path: Path) -> None:
    """Build every case for a GPU at a tiny size, and check its results; only the clocks are others."""
    done = python("-c", CARDS, tmp_path / "out", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    tables = json.loads((tmp_path / "out" / "bench.json").read_text(encoding="utf-8"))["tables"]
    assert [table["step"] for table in tables] == [f"cuda_{step}" for step in bench.steps("cuda")]
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [table["step"] for table in tables]
    measured = {table["step"]: [row for row in table["rows"] if row["ratio"]] for table in tables}
    assert all(measured.values())
    for step in ("cuda_scatter", "cuda_update"):
        aims = [row["aim"] for row in measured[step] if row["peer"] == "embrow, uniform"]
        assert aims == pytest.approx([1 / 1.5] * len(aims))
        assert aims


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_bench_on_a_gpu_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = f"bench --device cuda needs a GPU, and torch {torch.__version__} finds none"
    assert run(capsys, "--device", "cuda", "--report", str(tmp_path / "out")) == (1, "", f"embrow: {message}\n")
    assert list(tmp_path.iterdir()) == []
    done = python("-m", "pytest", bench.steps("cpu")["pad"], "--device", "cuda", folder=tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--nothing",), "No such option"),
        (("--device", "tpu"), "'tpu' is not one of 'cpu', 'cuda'"),
        (("--scale", "0"), "0.0 is not in the range x>0"),
        (("sort",), "there is no step 'sort'; choose from cuda_traffic, encode, feed, gather, pad"),
    ],
)
def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("faults", "message"),
    [(["bench_pad.py::test_ragged: not equal"], "test_ragged: not equal"), (["a: b", "c", "d"], "a: b, and 2 more")],
)
def test_unequal_results_are_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, faults: list[str], message: str
) -> None:
    monkeypatch.setattr(bench, "run", lambda *_, **__: faults)
    code, out, err = run(capsys, "pad")
    assert (code, out) == (1, "")
    assert err.startswith("embrow: bench: ")
    assert err.endswith(f"{message}\n")
    assert err.count("\n") == 1


def test_report_that_cannot_be_written_is_told_before_measuring(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "run", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "pad", "--report", str(tmp_path / "file"))
    assert code == 1
    assert "the report needs a folder, and this is a file" in err


SUITES = {
    "bench_ends.py": """
import pytest
def test_works(): print("held back")
def test_differs(): assert [1, 2] == [1, 3], "rows differ\\nby much"
def test_left_out(): pytest.skip("no peer")
""",
    "bench_absent.py": "import no_such_package",
    "bench_stopped.py": "def test_stopped(): raise KeyboardInterrupt",
}
RUN = """
import sys
from pathlib import Path
from embrow import bench
report = lambda *what: print(*what)
faults = bench.run(map(Path, sys.argv[1:]), [], verbose=False, on_line=report, on_progress=report)
print("faults", *faults, sep="\\n")
"""


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    for name, text in SUITES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_run_goes_on_after_faults_and_returns_them(suites: Path) -> None:
    done = python("-c", RUN, suites / "bench_ends.py", suites / "bench_absent.py", folder=suites)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "0 3 bench_ends.py::test_works",
        "1 3 bench_ends.py::test_differs",
        "2 3 bench_ends.py::test_left_out",
        "bench_ends.py::test_left_out: Skipped: no peer",
        "faults",
        "bench_absent.py: ModuleNotFoundError: No module named 'no_such_package'",
        "bench_ends.py::test_differs: AssertionError: rows differ",
    ]


def test_interrupt_ends_the_run(suites: Path) -> None:
    done = python("-c", RUN, suites / "bench_stopped.py", folder=suites)
    assert done.stdout == "0 1 bench_stopped.py::test_stopped\n"
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(bench.steps("cpu")["pad"].parent))
    import table as module

    return module


def test_a_table_keeps_losses_and_absent_peers(table: ModuleType) -> None:
    machine = table.Machine("a CPU", 2, 1, "3.11", copy_rate=1e9, fill_rate=1e9, thread_gain=1.0)
    made = table.Table("sort", "Sorting", "ids", machine, 1, 1.0)
    assert made.summary() == "sort: nothing was measured"
    peers = [
        table.Peer("other 1.0 sort", None, aim=2),
        table.Peer("embrow, 1 thread", None),
        table.Peer("third sort", None, missing="not installed"),
    ]
    times = {table.OURS: 0.002, "other 1.0 sort": 0.001, "embrow, 1 thread": 0.001}
    made.add("down", times, peers, items=2000, moved=1_000_000, copy_aim=0.8)
    made.add("up", {**times, "other 1.0 sort": 0.016}, peers[:1], items=2000, moved=1_000_000)
    assert made.summary() == (
        "sort: 2 cases, at most 50% of the copy rate; against other 2.00 (least 0.50); slower in 1 of 2; "
        "skipped: third (not installed)"
    )
    assert [row.lost for row in made.rows] == [True, False, False, False]
    rows = [line for line in made.markdown().splitlines() if line.startswith("|")]
    assert rows[0] == "| case | embrow ms | M ids/s | GB/s | of copy rate | peer | peer ms | ratio | aim |"
    assert rows[2] == "| down | 2.000 | 1.00 | 0.50 | 50.0% (aim 80%) | other 1.0 sort | 1.000 | 0.50 | 2 |"
    assert rows[4].endswith("| third sort (skipped: not installed) |  |  |  |")


def test_compare_refuses_unequal_results_and_uses_the_clock(table: ModuleType) -> None:
    machine = table.Machine("a CPU", 2, 1, "3.11", copy_rate=1e9, fill_rate=1e9, thread_gain=1.0)
    made = table.Table("sort", "Sorting", "ids", machine, 3, 1.0, clock=lambda call: call())

    def same(ours: float, theirs: float) -> None:
        assert ours * 2 == theirs

    made.compare("down", lambda: 0.25, [table.Peer("other", lambda: 0.5, same)], items=1, moved=1)
    made.compare("other clock", lambda: 0.25, items=1, moved=1, clock=lambda call: 2 * call())
    assert [(row.case, row.ours_ms, row.ratio) for row in made.rows] == [("down", 250, 2), ("other clock", 500, None)]
    with pytest.raises(AssertionError):
        made.compare("up", lambda: 0.25, [table.Peer("other", lambda: 0.75, same)], items=1, moved=1)
    assert len(made.rows) == 2


def test_a_turn_is_as_many_calls_as_take_its_time(table: ModuleType) -> None:
    machine = table.Machine("a CPU", 2, 1, "3.11", copy_rate=1e9, fill_rate=1e9, thread_gain=1.0)
    made = table.Table("sort", "Sorting", "ids", machine, 2, 60.0, clock=lambda call: call())
    called: list[str] = []

    def ours() -> float:
        called.append("a")
        return 0.0625

    def theirs() -> float:
        called.append("b")
        return 0.25

    made.compare("loop", ours, [table.Peer("other", theirs)], items=1, moved=1, turn_s=0.25)
    # Untimed: ours for the results to be compared with, each to warm up, and the first once more.
    assert "".join(called) == "a" + "ab" + "a" + "aaaab" + "baaaa"
    assert made.rows[0].ratio == 4
