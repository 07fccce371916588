"""The interfaces of other libraries over embrow, for moving over from them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embrow.compat import torchtext

__all__ = ["torchtext"]


def __getattr__(name: str) -> Any:
    if name == "torchtext":
        return importlib.import_module("embrow.compat.torchtext")
    raise AttributeError(f"module 'embrow.compat' has no attribute {name!r}")
