"""What a bug report needs to know of this installation."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys

import numpy as np

from embrow import _core
from embrow._threads import resolve_num_threads


def _cuda() -> str:
    if importlib.util.find_spec("embrow._cuda") is None:
        return "not built"
    try:
        module = importlib.import_module("embrow._cuda")
        devices = "; ".join(module.devices()) or "no GPU"
    except (ImportError, RuntimeError) as error:
        return f"built, but cannot run: {error}"
    architectures = ", ".join(f"sm_{architecture}" for architecture in module.architectures())
    return f"runtime {module.runtime_version()} for {architectures}; devices: {devices}"


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
        "CUDA": _cuda(),
    }
    for name, value in lines.items():
        print(f"{name:<12}{value}")
