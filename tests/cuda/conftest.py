"""What the tests of the CUDA kernels need: the module, a device or its simulator, arrays on it."""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from devices import missing, uncounted
from traffic import Case, count_launches

if TYPE_CHECKING:
    import torch


@pytest.fixture(scope="session")
def kernels() -> ModuleType:
    """The module of CUDA kernels; skips where it cannot run."""
    if reason := missing():
        pytest.skip(reason)
    return importlib.import_module("embrow._cuda")


@pytest.fixture(scope="session")
def counted() -> Callable[..., list[Case]]:
    """Runs a script and counts what its kernels move; skips where nobody counts."""
    if reason := uncounted():
        pytest.skip(reason)
    return count_launches


@pytest.fixture
def device(kernels: ModuleType) -> Iterator[ModuleType]:
    """Device arrays, the same on a GPU and on the simulator. Whatever a test leaves running must end well."""
    arrays = importlib.import_module("cudasim")
    yield arrays
    arrays.synchronize()


@pytest.fixture(scope="module")
def gpu(kernels: ModuleType) -> Iterator[torch.device]:
    """Where tensors are to lie.

    Without a GPU the simulator runs the kernels, and the CPU's tensors stand for the device's: CUDASIM_CHECK=0 lets
    kernels reach any memory.
    """
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        yield torch.device("cuda", torch.cuda.current_device())
        return
    if os.environ.get("CUDASIM_CHECK") != "0":
        pytest.skip("the simulator lets kernels reach the CPU's tensors only with CUDASIM_CHECK=0")
    from embrow import _embedding, _gpu

    @contextmanager
    def current(device: torch.device) -> Iterator[int]:
        yield 0

    cudasim = importlib.import_module("cudasim")
    held = []

    def workspace(launch: _gpu.Launch, size: int) -> torch.Tensor:
        # What the runtime clears or copies must be memory of the device.
        memory = cudasim.empty(max(size, 1), np.uint8)
        held.append(memory)
        return torch.frombuffer((ctypes.c_ubyte * max(size, 1)).from_address(memory.ptr), dtype=torch.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_gpu.Launch, "workspace", workspace)
        stands = torch.device("cpu")
        patch.setattr(_gpu, "served", lambda device: stands if torch.device(device).type in ("cpu", "cuda") else None)
        patch.setattr(_gpu, "holds", lambda tensor: True)
        # PyTorch's operator is for few or brief rows on a CPU.
        patch.setattr(_embedding, "few_elements", 0)
        patch.setattr(_embedding, "_brief_bytes", 0)
        patch.setattr(_embedding, "_alone_bytes", 0)
        patch.setattr(_gpu, "_current", current)
        patch.setattr(_gpu, "synchronize", lambda device: None)
        patch.setattr(_gpu, "_pinned", lambda words: np.empty(words, np.int64))
        yield stands
