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


@pytest.fixture
def kernels_look_up_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave lookups of few rows to the kernels, too, which otherwise PyTorch's operator serves."""
    monkeypatch.setattr("embrow._embedding.few_elements", 0)
    monkeypatch.setattr("embrow._embedding._brief_bytes", 0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Opt out of checks of sparse tensors: PyTorch warns where nobody has chosen."""
    torch = pytest.importorskip("torch")
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        yield
