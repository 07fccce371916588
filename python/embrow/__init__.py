"""From text to embedding rows, at memory speed."""

from embrow._core import __version__

__all__ = ["__version__"]
