"""What the documentation shows, run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import embrow

README = Path(__file__).parents[1] / "README.md"
BENCHMARKS = README.parent / "benchmarks"
TRAFFIC = BENCHMARKS / "bench_cuda_traffic.py"
DOCS = README.parent / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if ">>> " in page.read_text(encoding="utf-8")]
API = "\n".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("api/*.rst")))
MODULES = [name for _, name, _ in pkgutil.walk_packages(embrow.__path__, "embrow.") if not name.endswith("__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_the_example_in_the_readme() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_examples_in_pages(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what they write
    # A fence must not be taken for what an example prints.
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize(
    "name",
    [f"embrow{module}" for module in ("", ".nn", ".functional", ".optim", ".distributed", ".cuda", ".vectors")],
)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    module = importlib.import_module(name)
    names = [public for public in module.__all__ if not isinstance(getattr(module, public), ModuleType | str)]
    listed = re.findall(r"^\.\. auto(?:class|function):: ([\w.]+)$", API, re.MULTILINE)
    assert sorted(set(names) - {entry.rpartition(".")[2] for entry in listed}) == []


@pytest.fixture
def readme(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("readme")


@pytest.fixture
def figures() -> str:
    return (BENCHMARKS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(set(BENCHMARKS.glob("bench_*.py")) - {TRAFFIC}), ids=lambda path: path.name)
def test_every_benchmark_has_its_table(readme: ModuleType, figures: str, path: Path) -> None:
    pytest.importorskip("torch", reason="the benchmarks need PyTorch")
    heads = importlib.import_module("table").heads
    source = path.read_text(encoding="utf-8")
    (unit,) = re.findall(r'^UNIT = "(\w+)"$', source, re.MULTILINE)
    first, *rows = readme.rows_of(figures, path.stem.removeprefix("bench_"))
    assert first == heads(unit)
    assert rows
    assert {len(row) for row in rows} == {len(first)}
    assert f"\n### {path.name}: " in figures


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("cuda/bench_*.py")), ids=lambda path: path.name)
def test_every_benchmark_of_cards_says_what_must_be_moved(figures: str, path: Path) -> None:
    assert re.search(rf"^ +\| {path.stem.removeprefix('bench_cuda_')}\b.* \| .+ \| ", figures, re.MULTILINE)


def test_what_the_cuda_kernels_move_has_its_table(readme: ModuleType, figures: str) -> None:
    traffic = importlib.import_module(TRAFFIC.stem)
    first, *rows = readme.rows_of(figures, traffic.STEP)
    assert first == list(traffic.HEADS)
    for step in (traffic.ENCODE, *traffic.STEPS):
        cases = [cells[1] for cells in rows if cells[0] == step.name]
        assert [case for case in cases if not case.endswith((": text", ": ids"))] == list(step.cases)
    for cells in rows:
        loaded, stored, fewest, ratio = (float(cell.replace(",", "")) for cell in cells[2:6])
        assert ratio == pytest.approx((loaded + stored) / fewest, abs=0.006)
    assert f"\n### {TRAFFIC.name}: " in figures


def test_the_summary_in_the_readme_is_that_of_the_tables(readme: ModuleType, figures: str) -> None:
    front = README.read_text(encoding="utf-8")
    assert readme.with_summary(front, figures) == front, "run python benchmarks/readme.py"


def test_the_estimate_for_a_cluster_is_made_of_the_tables(readme: ModuleType, figures: str) -> None:
    quoted = re.findall(r"4\.2e6 / ([\d.]+)e-3", (DOCS / "scale.md").read_text(encoding="utf-8"))
    found = []
    for step, case in (("vocab", "build"), ("encode", "3,000,000 words")):
        head, *rows = readme.rows_of(figures, step)
        peer, ms = head.index("peer"), head.index("peer ms")
        found += [row[ms] for row in rows if row[0] == case and row[peer] == "embrow, 1 thread"]
    assert quoted == [f"{float(ms):.3g}" for ms in found]


def test_a_reports_tables_take_their_places(readme: ModuleType) -> None:
    figures = "a\n<!-- pad -->\nold\n<!-- /pad -->\nb\n<!-- vocab -->\nkept\n<!-- /vocab -->\n"
    assert readme.with_tables(figures, "x\n<!-- pad -->\nnew\n<!-- /pad -->\n") == figures.replace("old", "new")
    with pytest.raises(ValueError, match="<!-- sort --> and <!-- /sort --> must each be there once"):
        readme.with_tables(figures, "<!-- sort -->\nnew\n<!-- /sort -->\n")
    with pytest.raises(ValueError, match="the table of vocab has no row of 'build' against 'Python'"):
        readme.summary_of((BENCHMARKS / "README.md").read_text(encoding="utf-8").replace("| build |", "| made |"))


def test_every_public_name_is_there() -> None:
    for name in embrow.__all__:
        assert getattr(embrow, name) is not None
    assert dir(embrow) == embrow.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = embrow.nothing


@pytest.mark.parametrize("use", ["cuda.allow_atomic_gradients(False)", "compat.torchtext.vocab.Vocab"])
def test_a_module_needs_no_import_of_its_own(use: str) -> None:
    code = f"import embrow; embrow.{use}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_embrow_needs_numpy_alone() -> None:
    code = """
import sys
for absent in ("torch", "sklearn", "matplotlib", "click", "rich", "jinja2", "pandas", "pyarrow", "polars", "gensim"):
    sys.modules[absent] = None
import embrow
embrow.show_config()
assert embrow.Vocab.build(["a b"]).encode(["b a"]).tolist() == [[3, 2]]
try:
    embrow.nn
except ImportError as error:
    assert 'pip install "embrow[torch]"' in str(error), error
else:
    raise SystemExit("embrow.nn was imported without torch")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "CUDA" in done.stdout
