"""Folders of reports: tried before the work, written whole after it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from embrow._files import StrPath


def check_folder(folder: StrPath) -> None:
    """Raise OSError or ValueError if `folder` could not be written; leave nothing behind."""
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: the report needs a folder, and this is a file")
    parent = path if path.is_dir() else next(one for one in _place(path).parents if one.exists())
    try:
        # Tried, not asked: permission bits say nothing of read-only file systems, nor of what root may do.
        os.rmdir(tempfile.mkdtemp(prefix=".embrow-", dir=parent))
    except OSError as error:
        raise ValueError(f"{path}: the report folder cannot be written: {error.strerror}") from error


def write_folder(contents: Mapping[str, bytes], folder: StrPath) -> list[Path]:
    """Write files by name into `folder`; return their paths.

    The files are written elsewhere first and moved when all are whole.
    """
    path = _place(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".embrow-", dir=path if path.is_dir() else path.parent))
    try:
        for name, data in contents.items():
            (temporary / name).write_bytes(data)
        path.mkdir(exist_ok=True)
        for name in contents:
            os.replace(temporary / name, path / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [Path(folder, name) for name in contents]


def _place(folder: StrPath) -> Path:
    """Return where a folder is, or would be made: of a link what it leads to."""
    return Path(os.path.realpath(folder))
