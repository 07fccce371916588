"""From text to embedding rows, at memory speed."""

from embrow._core import __version__
from embrow.counter import TokenCounter
from embrow.padding import pad_sequences
from embrow.ragged import Ragged
from embrow.vocab import Vocab

__all__ = ["Ragged", "TokenCounter", "Vocab", "__version__", "pad_sequences"]
