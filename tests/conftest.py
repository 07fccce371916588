"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from embrow import _core


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--flips", type=int, default=500, help="damaged bytes in each file of the damage tests")


@pytest.fixture
def flips(pytestconfig: pytest.Config) -> int:
    count: int = pytestconfig.getoption("--flips")
    return count


@pytest.fixture(params=_core.available_variants())
def variant(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once with each kernel variant that this CPU can run."""
    _core.use_variant(request.param)
    yield request.param
    _core.use_variant("")


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test once with each of these numbers of threads."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def float64_reference() -> Iterator[None]:
    """Make tensors of Python's numbers, as reference.py returns them, float64."""
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def kernels_look_up_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave lookups of few rows to the kernels, too, which otherwise PyTorch's operator serves."""
    monkeypatch.setattr("embrow._embedding.few_elements", 0)
    monkeypatch.setattr("embrow._embedding._brief_bytes", 0)
    monkeypatch.setattr("embrow._embedding._alone_bytes", 0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Opt out of checks of sparse tensors: PyTorch warns where nobody has chosen."""
    torch = pytest.importorskip("torch")
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        yield
