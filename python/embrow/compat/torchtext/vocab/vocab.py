"""Tokens to indices: torchtext's module over embrow's table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from torch import nn

from embrow.compat.torchtext import _torchtext


class Vocab(nn.Module):
    """Maps tokens to indices and back; ``vocab`` and ``build_vocab_from_iterator`` make one.

    Parameters
    ----------
    vocab : embrow.compat.torchtext._torchtext.Vocab

    Notes
    -----
    Until a default index is set, an unknown token is a ``RuntimeError``. Any int may be the default, also one that is
    no token's, such as -1; it stays what it is when tokens are inserted before it. Looking up after inserting makes the
    table anew, so add all tokens first.

    Examples
    --------
    >>> from embrow.compat.torchtext.vocab import build_vocab_from_iterator
    >>> vocab = build_vocab_from_iterator([["to", "code"], ["to", "run"]], specials=["<unk>"])
    >>> vocab.set_default_index(vocab["<unk>"])
    >>> vocab(["run", "to", "sleep"])
    [3, 1, 0]
    """

    def __init__(self, vocab: _torchtext.Vocab) -> None:
        super().__init__()
        self.vocab = vocab

    @property
    def is_jitable(self) -> bool:
        """Always false, as a vocabulary cannot be scripted here."""
        return False

    def forward(self, tokens: list[str]) -> list[int]:
        """Return the indices of a list of tokens, as ``lookup_indices`` does."""
        return self.vocab.lookup_indices(tokens)

    def __len__(self) -> int:
        return len(self.vocab)

    def __contains__(self, token: str) -> bool:
        return token in self.vocab

    def __getitem__(self, token: str) -> int:
        return self.vocab[token]

    def set_default_index(self, index: int | None) -> None:
        """Set what unknown tokens become; with None they are an error again."""
        self.vocab.set_default_index(index)

    def get_default_index(self) -> int | None:
        """Return what unknown tokens become, or None."""
        return self.vocab.get_default_index()

    def insert_token(self, token: str, index: int) -> None:
        """Give `token` this index; the tokens from there on move up by one.

        Raises
        ------
        RuntimeError
            `index` is not 0 to ``len(vocab)``, or the token is there already.
        """
        self.vocab.insert_token(token, index)

    def append_token(self, token: str) -> None:
        """Give `token` the next index.

        Raises
        ------
        RuntimeError
            The token is there already.
        """
        self.vocab.append_token(token)

    def lookup_token(self, index: int) -> str:
        """Return the token at `index`.

        Raises
        ------
        RuntimeError
            `index` is outside the vocabulary.
        """
        return self.vocab.lookup_token(index)

    def lookup_tokens(self, indices: Iterable[int]) -> list[str]:
        """Return the tokens at `indices`.

        Raises
        ------
        RuntimeError
            One is outside the vocabulary; the message names its position.
        """
        return self.vocab.lookup_tokens(indices)

    def lookup_indices(self, tokens: list[str]) -> list[int]:
        """Return the indices of a list of tokens.

        Raises
        ------
        RuntimeError
            A token is unknown and no default index is set.
        TypeError
            `tokens` is not a list of str.
        """
        return self.vocab.lookup_indices(tokens)

    def get_stoi(self) -> dict[str, int]:
        """Return token -> index."""
        return self.vocab.get_stoi()

    def get_itos(self) -> list[str]:
        """Return the tokens in order of their indices."""
        return self.vocab.get_itos()

    def __prepare_scriptable__(self) -> NoReturn:
        raise RuntimeError(
            "embrow.compat.torchtext: a Vocab cannot be scripted; look tokens up outside of the scripted module"
        )
