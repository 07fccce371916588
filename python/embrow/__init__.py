"""From text to embedding rows, at memory speed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# The first of all, as it may refuse.
from embrow import _interpreter  # noqa: F401  # isort: skip
from embrow._config import show_config
from embrow._core import __version__
from embrow._prefetch import prefetch
from embrow.counter import TokenCounter
from embrow.padding import pad_sequences
from embrow.ragged import Ragged
from embrow.vectors import EmbeddingMatrix, WordVectors, embedding_matrix, load_vectors
from embrow.vocab import Vocab

if TYPE_CHECKING:
    from embrow import compat, cuda, distributed, functional, nn, optim
    from embrow._collate import collate
    from embrow._patch import patch
    from embrow.classifier import TextClassifier

__all__ = [
    "EmbeddingMatrix",
    "Ragged",
    "TextClassifier",
    "TokenCounter",
    "Vocab",
    "WordVectors",
    "__version__",
    "collate",
    "compat",
    "cuda",
    "distributed",
    "embedding_matrix",
    "functional",
    "load_vectors",
    "nn",
    "optim",
    "pad_sequences",
    "patch",
    "prefetch",
    "show_config",
]

# Imported when they are asked for: these need PyTorch, which `import embrow` does not.
_MODULES = ("compat", "cuda", "distributed", "functional", "nn", "optim")
_HOMES = {"TextClassifier": "embrow.classifier", "collate": "embrow._collate", "patch": "embrow._patch"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"embrow.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'embrow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
