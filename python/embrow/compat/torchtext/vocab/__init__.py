"""Vocabularies as torchtext has them."""

from __future__ import annotations

from embrow.compat.torchtext.vocab.vocab import Vocab
from embrow.compat.torchtext.vocab.vocab_factory import build_vocab_from_iterator, vocab

__all__ = ["Vocab", "build_vocab_from_iterator", "vocab"]
