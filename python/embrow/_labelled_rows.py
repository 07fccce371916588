"""What is given to a classifier as texts and labels -> rows to encode and numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from embrow._arguments import is_masked_array
from embrow._text import refuse_mapping

_Array = np.ndarray[Any, Any]


def checked_texts(X: Any, action: str) -> Any:
    """Return rows of text that have a length; errors begin with `action`."""
    if isinstance(X, (str, bytes)):
        raise TypeError(f"{action}: one text was given where rows are expected; give [text]")
    refuse_mapping(X, f"{action}: ")
    if isinstance(X, set | frozenset):
        raise TypeError(f"{action}: the texts are a {type(X).__name__}, which has no order; give a list")
    texts = X if _lies_in_memory(X) else list(X)
    if action == "fit" and len(texts) == 0:
        raise ValueError("fit: no texts; at least one text of each of two classes is needed")
    return texts


def _lies_in_memory(X: Any) -> bool:
    """Whether rows are the same each time they are read; others may be there once only, though they have a length."""
    kinds = ("dtype", "__arrow_c_array__", "__arrow_c_stream__")
    return isinstance(X, Sequence) or (hasattr(X, "__len__") and any(hasattr(X, kind) for kind in kinds))


def taken(texts: Any, rows: _Array) -> Any:
    """Return some of the rows, in a container that encode takes."""
    if isinstance(texts, np.ndarray):
        return texts[rows]
    if hasattr(texts, "iloc"):
        return texts.iloc[rows]
    if hasattr(texts, "to_pylist"):
        texts = texts.to_pylist()
    texts = texts if isinstance(texts, Sequence) else list(texts)
    return [texts[row] for row in rows.tolist()]


def classes_of(y: Any, count: int) -> tuple[_Array, _Array]:
    """Return the different labels, sorted, and which of them each of `count` texts has."""
    if y is None:
        raise ValueError("fit: requires y to be passed, but the target y is None")
    # First, since NumPy makes text of a missing label among texts.
    missing = _missing_label(y)
    if missing is not None:
        raise ValueError(f"fit: the label of row {missing} is missing; drop the row or label it")
    # Else scikit-learn makes floats of pandas' own integers and bools.
    dtype = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if dtype is not None and dtype.kind in "biu":
        y = y.to_numpy(dtype=dtype)
    if isinstance(y, np.ndarray) and y.dtype.kind == "T":
        y = np.array(y.tolist())  # scikit-learn takes no StringDType
    labels = column_or_1d(y, warn=True)
    if len(labels) != count:
        raise ValueError(f"fit: {count} texts but {len(labels)} labels; there must be one label a text")
    check_classification_targets(labels)
    classes, indices = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"fit: only one class, {classes[0].item()!r}; texts of two or more classes are needed")
    return classes, indices


def _missing_label(y: Any) -> int | None:
    """Return the first row without a label."""
    if is_masked_array(y):
        y = y.tolist()  # None for what is masked
    if isinstance(y, np.ndarray) and y.dtype.kind in "biuSU":
        return None
    labels = np.asarray(y, dtype=object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    rows = labels.tolist() if labels.ndim == 1 else []
    return next((row for row, label in enumerate(rows) if _is_missing(label)), None)


def _is_missing(label: Any) -> bool:
    """Whether a label is None or, as NaN, NaT and pandas.NA, not equal to itself."""
    try:
        return label is None or not label == label  # noqa: PLR0124, SIM201
    except TypeError:
        return True  # pandas.NA, which is not unequal to itself either
    except ValueError:
        return False  # an array, which is no label
