"""Checks of arguments that several calls take."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LARGEST = 2**40


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(repr, allowed))}")
    return value


def integer(name: str, value: Any) -> int:
    """Return `value` as an int, which neither a bool of Python's nor one of NumPy's is."""
    if isinstance(value, bool):
        raise TypeError(f"{name}: {value} is a bool; it is an integer")
    try:
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def non_negative(name: str, value: int | None, default: int) -> int:
    """Return `value` as an int of 0 or more, or `default` for None."""
    return default if value is None else _at_least(0, name, value)


def positive(name: str, value: int | None, default: int) -> int:
    """Return `value` as an int of 1 or more, or `default` for None."""
    return default if value is None else _at_least(1, name, value)


def _at_least(least: int, name: str, value: int) -> int:
    number = integer(name, value)
    if not least <= number <= LARGEST:
        most = f", at most {LARGEST}" if number > least else ""
        raise ValueError(f"{name} is {number}; it is {least} or more{most}")
    return number


def is_integer(value: object) -> bool:
    """Whether a parameter is an integer, which a bool is not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_number(name: str, value: object) -> None:
    """Raise TypeError for a parameter that is neither an integer nor a float."""
    if not is_integer(value) and not isinstance(value, (float, np.floating)):
        raise TypeError(f"{name} must be a number, found {value!r:.60} of type {type(value).__name__}")


def check_token(role: str, token: object) -> None:
    """Raise TypeError for what is neither a token nor none."""
    if not isinstance(token, str | None):
        raise TypeError(f"{role} is {token!r}; it is a str or None")


def is_masked_array(value: object) -> bool:
    """Whether a value is an array of numpy.ma, which is imported only for what may be one."""
    return isinstance(value, np.ndarray) and type(value) is not np.ndarray and isinstance(value, np.ma.MaskedArray)


def refuse_masked(what: str, array: Any) -> None:
    """Raise TypeError for an array of ids some of which are masked, as those of numpy.ma may be."""
    if is_masked_array(array) and array.mask.any():
        at = int(np.ma.getmaskarray(array).argmax())
        raise TypeError(f"{what} are masked at position {at}; give integers, none of them masked")


def int_dtype(dtype: Any) -> np.dtype[Any]:
    """Return int32 or int64 from a name, a NumPy dtype or a torch dtype."""
    try:
        name = str(dtype).removeprefix("torch.") if type(dtype).__module__ == "torch" else np.dtype(dtype).name
    except TypeError:
        raise TypeError(f"dtype is {dtype!r}, which NumPy does not know; ids are int32 or int64") from None
    if name not in ("int32", "int64"):
        raise ValueError(f"dtype is {name}; ids are int32 or int64")
    return np.dtype(name)


def in_id_order(doing: str, ids: Mapping[Any, int]) -> list[Any]:
    """Return the keys of a mapping token -> id, of the ids 0 to n - 1, each once. `doing` is what errors begin with."""
    ordered: list[Any] = [None] * len(ids)
    taken = bytearray(len(ids))
    for token, i in ids.items():
        try:
            at = operator.index(i)
        except TypeError:
            raise TypeError(f"{doing}: token {token!r} has id {i!r}; ids are int") from None
        if not 0 <= at < len(ids):
            raise ValueError(
                f"{doing}: token {token!r} has id {at}; the ids of {len(ids)} tokens are 0 to {len(ids) - 1}"
            )
        if taken[at]:
            raise ValueError(f"{doing}: tokens {ordered[at]!r} and {token!r} both have id {at}")
        ordered[at], taken[at] = token, True
    return ordered
