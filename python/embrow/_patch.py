"""Lets code that names PyTorch's layers build embrow's."""

from __future__ import annotations

from types import TracebackType

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError('embrow.patch needs PyTorch: pip install "embrow[torch]"') from error

from embrow import nn

__all__ = ["patch"]

_names = ("Embedding", "EmbeddingBag")


class patch:
    """Make the names `torch.nn.Embedding` and `torch.nn.EmbeddingBag` mean embrow's layers.

    A plain call lasts; as a context manager it lasts for the block, after which the names mean what they did before.
    The same one may serve several blocks, one after another or nested.

    Notes
    -----
    Layers that exist, in memory or as pickles, stay what they are, as do the classes in `torch.nn.modules.sparse` and
    names that other modules have imported already. Meanwhile `isinstance(layer, torch.nn.Embedding)` is true for
    PyTorch's layers, too. The names are those of the process: patching is not for one thread alone.

    Examples
    --------
    >>> with patch():
    ...     model = torch.nn.Sequential(torch.nn.Embedding(8, 3), torch.nn.Linear(3, 2))
    >>> type(model[0])
    <class 'embrow.nn.Embedding'>
    >>> type(torch.nn.Embedding(8, 3))
    <class 'torch.nn.modules.sparse.Embedding'>
    """

    def __init__(self) -> None:
        self._before = [_set_names()]
        self._has_entered = False

    def __enter__(self) -> None:
        before = _set_names()
        # The first block goes back to what was before the call.
        if self._has_entered:
            self._before.append(before)
        self._has_entered = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name, layer in self._before.pop().items():
            setattr(torch.nn, name, layer)


def _set_names() -> dict[str, type]:
    """Make the names mean embrow's layers; return what they meant."""
    before = {name: getattr(torch.nn, name) for name in _names}
    for name in _names:
        setattr(torch.nn, name, getattr(nn, name))
    return before
