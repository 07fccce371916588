"""Why the CUDA kernels cannot run here, or be counted."""

from __future__ import annotations

import importlib
import importlib.util


def missing() -> str | None:
    """Why nothing can run here; None where it can."""
    if importlib.util.find_spec("embrow._cuda") is None:
        return "embrow._cuda is not built: EMBROW_CUDA=ON builds it"
    if importlib.util.find_spec("cudasim") is None:
        return "cudasim.py, the device arrays of these tests, is not on PYTHONPATH"
    kernels = importlib.import_module("embrow._cuda")
    try:
        return None if kernels.devices() else "the CUDA driver offers no GPU"
    except RuntimeError as error:
        return f"neither a GPU nor the simulator: {error}"


def uncounted() -> str | None:
    """Why nobody counts what kernels move here; None where the simulator does."""
    if reason := missing():
        return reason
    kernels = importlib.import_module("embrow._cuda")
    simulated: bool = kernels.devices()[0].startswith("cudasim")
    return None if simulated else "a GPU does not count accesses; the simulator does"
