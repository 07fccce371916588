"""What a bug report needs to know of this installation."""

from __future__ import annotations

import os
import platform
import sys

import numpy as np

from embrow import _core
from embrow._threads import resolve_num_threads


def show_config() -> None:
    """Print version, CPU features and chosen variant, threads, and what was found beside embrow.

    Examples
    --------
    >>> show_config()  # doctest: +ELLIPSIS
    embrow      ...
    """
    torch = sys.modules.get("torch")
    lines = {
        "embrow": _core.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "numpy": np.__version__,
        "torch": "not imported" if torch is None else torch.__version__,
        "unicode": _core.unicode_version,
        "variants": f"{', '.join(_core.available_variants())}; in use: {_core.active_variant()}",
        "threads": f"{resolve_num_threads(None)} of {os.cpu_count()} CPUs",
        "CUDA": "not built",
    }
    for name, value in lines.items():
        print(f"{name:<12}{value}")
