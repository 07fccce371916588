"""What the tests of the CUDA kernels need: the module, a device or its simulator, arrays on it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

import pytest


def _missing() -> str | None:
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


@pytest.fixture(scope="session")
def kernels() -> ModuleType:
    """The module of CUDA kernels; skips where it cannot run."""
    if reason := _missing():
        pytest.skip(reason)
    return importlib.import_module("embrow._cuda")


@pytest.fixture
def device(kernels: ModuleType) -> Iterator[ModuleType]:
    """Device arrays, the same on a GPU and on the simulator. Whatever a test leaves running must end well."""
    arrays = importlib.import_module("cudasim")
    yield arrays
    arrays.synchronize()
