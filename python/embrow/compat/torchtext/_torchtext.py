"""What torchtext's `Vocab` module wraps: tokens in id order, their table and the default index."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._threads import resolve_num_threads

STATE_VERSION = "0.0.2"


class Vocab:
    """Tokens that can be added to, and their ids.

    Notes
    -----
    The compiled table does not change, so it is made anew when ids are looked up after tokens were inserted, or in
    lists after tokens were appended: add all tokens first, then look up.
    """

    def __init__(self, tokens: Iterable[str], default_index: int | None) -> None:
        self._tokens = list(tokens)
        for at, token in enumerate(self._tokens):
            if not isinstance(token, str):
                raise TypeError(f"Vocab: token {at} is {type(token).__name__}; tokens are str")
        self.set_default_index(default_index)
        try:
            self._rebuild()
        except ValueError as error:
            seen: set[str] = set()
            for token in self._tokens:
                if token in seen:
                    raise RuntimeError(f"Duplicate token found in tokens list: {token}") from error
                seen.add(token)
            raise

    def _rebuild(self) -> None:
        self._table = _core.VocabTable(self._tokens)
        # Tokens that the table does not have yet, and whether the ids of those it has are out of date.
        self._added: dict[str, int] = {}
        self._moved = False

    @property
    def itos_(self) -> list[str]:
        return self._tokens.copy()

    @property
    def default_index_(self) -> int | None:
        return self._default_index

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: str) -> bool:
        return self._table.find(token) >= 0 or token in self._added

    def __getitem__(self, token: str) -> int:
        if self._moved:
            self._rebuild()
        found = self._table.find(token)
        if found < 0:
            found = self._added.get(token, -1)
        return found if found >= 0 else self._default_for(token)

    def _default_for(self, token: str) -> int:
        if self._default_index is None:
            raise RuntimeError(f"Token {token} not found and default index is not set")
        return self._default_index

    def set_default_index(self, index: int | None) -> None:
        self._default_index = None if index is None else operator.index(index)

    def get_default_index(self) -> int | None:
        return self._default_index

    def insert_token(self, token: str, index: int) -> None:
        at = operator.index(index)
        self._check(at)
        if token in self:
            # torchtext says the opposite of what happened; its words stay for those who match them.
            raise RuntimeError(
                f"Token {token} not found in Vocab: so torchtext words it; the token is there already, "
                f"with index {self[token]}, and only a new one can be inserted"
            )
        _check_token("insert_token", token)
        self._moved = self._moved or at < len(self._tokens)
        self._tokens.insert(at, token)
        self._added[token] = at

    def append_token(self, token: str) -> None:
        if token in self:
            raise RuntimeError(f"Token {token} already exists in the Vocab with index: {self[token]}")
        _check_token("append_token", token)
        self._added[token] = len(self._tokens)
        self._tokens.append(token)

    def _check(self, index: int, last: int = 0, where: str = "") -> None:
        size = len(self._tokens)
        if not 0 <= index <= size - last:
            raise RuntimeError(f"Specified index {index}{where} is out of bounds for vocab of size {size}")

    def lookup_token(self, index: int) -> str:
        at = operator.index(index)
        self._check(at, 1)
        return self._tokens[at]

    def lookup_tokens(self, indices: Iterable[int]) -> list[str]:
        ids = [operator.index(index) for index in indices]
        for position, index in enumerate(ids):
            self._check(index, 1, f" at position {position}")
        return [self._tokens[index] for index in ids]

    def lookup_indices(self, tokens: list[str]) -> list[int]:
        if not isinstance(tokens, list):
            raise TypeError(f"lookup_indices: expected a list of str, found {type(tokens).__name__}")
        ids: list[int] = self._encode([tokens])[0].tolist()
        return ids

    def lookup_rows(self, rows: list[list[str]]) -> list[list[int]]:
        """Return the ids of each of many lists of tokens."""
        values, offsets = self._encode(rows)
        ids: list[int] = values.tolist()
        return [ids[begin:end] for begin, end in itertools.pairwise(offsets.tolist())]

    def _encode(self, rows: list[list[str]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        if self._moved or self._added:
            self._rebuild()
        default, size = self._default_index, len(self._tokens)
        # The table gives unknown tokens an int32 of 0 or more; any other default takes the place of an id beyond all.
        direct = default is not None and 0 <= default < 1 << 31
        values, offsets = _core.encode_ragged(
            self._table,
            rows,
            tokenizer="whitespace",
            lowercase=False,
            nulls_empty=False,
            unk_id=default if default is not None and direct else size,
            bos_id=-1,
            eos_id=-1,
            max_length=-1,
            truncate_left=False,
            wide=True,
            threads=resolve_num_threads(None),
        )
        if not direct and (unknown := values == size).any():
            first = int(unknown.argmax())
            row = int(offsets.searchsorted(first, side="right")) - 1
            values[unknown] = self._default_for(rows[row][first - int(offsets[row])])
        return values, offsets

    def get_stoi(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self._tokens)}

    def get_itos(self) -> list[str]:
        return self._tokens.copy()

    def __getstate__(self) -> tuple[str, list[int], list[str], list[Any]]:
        default = [] if self._default_index is None else [self._default_index]
        return STATE_VERSION, default, self._tokens.copy(), []

    def __setstate__(self, state: tuple[str, list[int], list[str], list[Any]]) -> None:
        if len(state) != 4:
            raise RuntimeError(f"Expected deserialized Vocab to have 4 states but found {len(state)} states")
        version, default, tokens, tensors = state
        if tensors:
            raise RuntimeError("Expected `tensors` states to be empty")
        if version < STATE_VERSION:
            raise RuntimeError(f"Found unexpected version for serialized Vocab: {version}")
        Vocab.__init__(self, tokens, default[0] if default else None)


def _check_token(doing: str, token: str) -> None:
    """Raise for what a table cannot hold, which would be found out only when it is made anew."""
    try:
        token.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{doing}: the token has a lone surrogate at character {error.start}, which UTF-8 cannot hold"
        ) from error
