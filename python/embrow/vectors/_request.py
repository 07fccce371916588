"""What a caller wants of a file of vectors, and the file, opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from embrow._compression import Source
from embrow._progress import Progress
from embrow.vectors._sniff import Layout
from embrow.vectors._source import Window

NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of load_vectors, checked, and where in the file its window stands: before the first byte."""

    path: str | os.PathLike[str]
    source: Source
    window: Window
    layout: Layout
    wanted: list[str] | None = None
    # Tokens that get a vector made of subwords if they have no row.
    unseen: Sequence[str] = ()
    limit: int = NO_LIMIT
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    unicode_errors: str = "strict"
    tokens: Sequence[str] | str | os.PathLike[str] | None = None
    allow_pickle: bool = False
    threads: int = 1
    # For what is read from another file.
    progress: Progress | None = None
    # What to warn of once the file is read.
    findings: list[str] = field(default_factory=list)

    def note_more(self, offset: int, declared: int) -> None:
        """Note that bytes follow the last row."""
        self.findings.append(f"the header declares {declared} rows; more bytes follow at {offset} and are not read")


class Facts(NamedTuple):
    """What the head of a file tells; None where it does not."""

    rows: int | None
    dim: int | None
    dtype: str | None
