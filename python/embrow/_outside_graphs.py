"""Functions whose work a graph of torch.compile cannot hold."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch._compile import _disable_dynamo

_P = ParamSpec("_P")
_R = TypeVar("_R")


def outside_graphs(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have `torch.compile` call the function as it is each time, instead of what it saw of one call.

    Alone PyTorch's decorator would load the compiler with the first call, compiled or not.
    """
    kept_out = _disable_dynamo(function)

    @functools.wraps(function)
    def either(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if torch.compiler.is_compiling():
            return kept_out(*args, **kwargs)
        return function(*args, **kwargs)

    return either
