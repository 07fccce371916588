"""What the documentation shows, run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import embrow

README = Path(__file__).parents[1] / "README.md"
MODULES = [name for _, name, _ in pkgutil.walk_packages(embrow.__path__, "embrow.") if not name.endswith("__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_the_example_in_the_readme() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})


def test_every_public_name_is_there() -> None:
    for name in embrow.__all__:
        assert getattr(embrow, name) is not None
    assert dir(embrow) == embrow.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = embrow.nothing


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
