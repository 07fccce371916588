"""Our functions beside PyTorch's: what both return, or both raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

Layer = TypeVar("Layer", bound=torch.nn.Module)

# Settings of a lookup that are of other types than they are said to be.
OTHER_TYPES: list[dict[str, Any]] = [
    {"padding_idx": True},
    {"padding_idx": 1.0},
    {"padding_idx": np.int64(1)},
    {"padding_idx": "1"},
    {"sparse": 1},
    {"sparse": None},
    {"sparse": np.True_},
    {"scale_grad_by_freq": 1},
    {"scale_grad_by_freq": "no"},
]


def twins(kind: type[Layer], rows: int = 10, dim: int = 4, **settings: Any) -> tuple[Layer, Any]:
    """Return a layer of ours, and PyTorch's with the same weights."""
    ours, theirs = kind(rows, dim, **settings), kind.__base__(rows, dim, **settings)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def raises_as(theirs: Callable[[], Any], ours: Callable[[], Any]) -> str:
    """Assert that both raise the same; return the first line of PyTorch's message."""
    with pytest.raises(Exception) as expected:
        theirs()
    with pytest.raises(expected.type) as found:
        ours()
    message = str(expected.value).split("\n")[0]
    assert str(found.value).startswith(message)
    return message


def behaves_as(theirs: Callable[[], Tensor], ours: Callable[[], Tensor], weight: Tensor) -> None:
    """Assert that both return the same rows, with the same gradient of `weight` if it is trained, or raise the same."""
    try:
        expected = theirs()
    except Exception:
        raises_as(theirs, ours)
        return
    found = ours()
    assert torch.equal(found, expected)
    if weight.requires_grad:
        gradients = [torch.autograd.grad(out.sum(), weight)[0] for out in (found, expected)]
        assert gradients[0].layout is gradients[1].layout
        # Sums of ones are exact in any order.
        assert torch.equal(*[gradient.to_dense() for gradient in gradients])


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, *names: str) -> list[str]:
    """Return a list to which each call of these functions adds its name."""
    calls: list[str] = []
    for name in names:
        function = getattr(module, name)

        def count(*args: Any, function: Callable[..., Any] = function, name: str = name, **settings: Any) -> Any:
            calls.append(name)
            return function(*args, **settings)

        monkeypatch.setattr(module, name, count)
    return calls


class Watch(torch.utils._python_dispatch.TorchDispatchMode):
    """Keeps the names of the operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))
