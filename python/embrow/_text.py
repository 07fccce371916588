"""Text before the kernels see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from embrow._arguments import is_masked_array

Tokenizer = Literal["whitespace", "words"] | Callable[[str], list[str]]


def split_for_kernels(
    texts: Any, tokenizer: Tokenizer, lowercase: bool, doing: str, first_row: int = 0
) -> tuple[Any, str, bool]:
    """Return rows, and how the kernels are to split and whether to lower them; a callable has done both already."""
    if not callable(tokenizer):
        return texts, tokenizer, lowercase
    return _tokenize_rows(texts, tokenizer, lowercase, doing, first_row), "whitespace", False


def _tokenize_rows(
    texts: Iterable[Any], tokenizer: Callable[[str], list[str]], lowercase: bool, doing: str, first_row: int = 0
) -> list[Any]:
    """Split each row with a callable; rows that are tokens already, and nulls, pass as they are.

    Errors begin with `doing` and count rows from `first_row`. What the callable raises passes as it is.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"{doing}: expected rows of text, found one {type(texts).__name__}; pass [text]")
    refuse_mapping(texts, f"{doing}: ")
    if hasattr(texts, "columns"):
        raise TypeError(f"{doing}: expected rows of text, found one {type(texts).__name__}; pass one of its columns")
    rows: list[Any] = []
    for number, row in enumerate(_with_none(texts), first_row):
        if isinstance(row, bytes):
            try:
                row = row.decode()  # noqa: PLW2901
            except UnicodeDecodeError as error:
                raise ValueError(f"{doing}: row {number} is not valid UTF-8 at byte {error.start}") from error
        if isinstance(row, str):
            tokens = tokenizer(row.lower() if lowercase else row)
            # Neither the characters of a str nor the keys of a mapping are its tokens.
            if isinstance(tokens, str | bytes | Mapping) or not isinstance(tokens, Iterable):
                raise TypeError(
                    f"{doing}: row {number}: the tokenizer returned {type(tokens).__name__}; it returns a list of str"
                )
            rows.append(list(tokens))
        elif lowercase and isinstance(row, list | tuple):
            rows.append(list(map(_lowered, row)))
        else:
            rows.append(row)
    return rows


def _lowered(token: Any) -> Any:
    if isinstance(token, bytes):
        try:
            token = token.decode()
        except UnicodeDecodeError:
            return token  # the kernels say where
    return token.lower() if isinstance(token, str) else token


def refuse_mapping(texts: Any, doing: str = "") -> None:
    """Raise for what would be read as its keys."""
    if isinstance(texts, Mapping):
        raise TypeError(
            f"{doing}expected rows of text, found one {type(texts).__name__}; pass a list of its keys or of its values"
        )


def _with_none(texts: Any) -> Iterable[Any]:
    """Return the rows as Python's objects, None for each null."""
    if hasattr(texts, "__arrow_c_array__") and not isinstance(texts, Iterable):
        try:
            import pyarrow
        except ImportError:
            kind = type(texts).__name__
            raise ImportError(f"a callable tokenizer reads rows of {kind} with pip install pyarrow") from None
        texts = pyarrow.array(texts)
    # NumPy's StringDType, of which each null is the same object.
    null_row = getattr(getattr(texts, "dtype", None), "na_object", None)
    if is_masked_array(texts):
        texts = texts.tolist()  # None for what is masked
    # Arrow's scalars are no str.
    if hasattr(texts, "to_pylist"):
        rows: list[Any] = texts.to_pylist()
        return rows
    # A Series or Index of pandas, whose nulls are None, NaN or pd.NA.
    if hasattr(texts, "isna"):
        return [None if null else row for row, null in zip(texts, texts.isna(), strict=True)]
    return texts if null_row is None else [None if row is null_row else row for row in texts]
