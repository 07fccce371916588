"""gensim's own files -> rows: a pickle of KeyedVectors or of a model that holds some, large arrays in files beside it.

Layout: gensim/utils.py, SaveLoad, and gensim/models/keyedvectors.py of gensim 0.12 to 4.4.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embrow._compression import open_source
from embrow.vectors import _npy
from embrow.vectors._array import load_array
from embrow.vectors._choice import choose_rows
from embrow.vectors._request import Facts, Request
from embrow.vectors._sniff import Layout
from embrow.vectors._source import Window
from embrow.vectors._word_vectors import LoadReport, WordVectors

# Names by version, the newest first.
_HOLDERS = ("wv", "kv")
_ROWS = ("vectors", "syn0")
# NumPy's own limit.
_MAX_DIMS = 64
_TOKENS = ("index_to_key", "index2word", "index2entity")


def load(request: Request) -> WordVectors:
    if not request.allow_pickle:
        raise ValueError(
            "the format 'gensim' is a pickle, which may run code when it is read: pass allow_pickle=True for a file "
            "that you trust, or save it with save_word2vec_format"
        )
    state, prefix = _vectors_state(_unpickle(_read(request.window)).__dict__, os.fspath(request.path))
    tokens = _tokens(state)
    beside = state.get("__numpys")
    for name in _ROWS:
        if isinstance(beside, list | tuple | set) and name in beside:
            return _load_beside(request, prefix, name, tokens)
        if isinstance(state.get(name), _Array):
            return _load_array(request, state[name].read(), tokens)
    raise ValueError(f"the pickle holds no vectors: none of {', '.join(_ROWS)}")


def facts(request: Request) -> Facts:
    # Only reading the pickle would tell.
    return Facts(None, None, None)


def _load_array(request: Request, array: npt.NDArray[Any], tokens: list[str]) -> WordVectors:
    if len(tokens) != len(array):
        raise ValueError(f"there are {len(tokens)} tokens and {len(array)} rows")
    choice = choose_rows(tokens, request.wanted, request.limit)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities and any NaN are as good as others
        weight = np.ascontiguousarray(array[choice.rows], dtype=request.dtype)
    read = min(request.limit, len(array))
    report = LoadReport(read, len(array), len(choice.tokens), choice.duplicates, 0)
    return WordVectors(choice.tokens, weight, report)


def _load_beside(request: Request, prefix: str, name: str, tokens: list[str]) -> WordVectors:
    """Read rows that lie in a file of their own: `prefix` is that of its name."""
    # gensim goes by the name: of a compressed pickle the arrays are compressed too, each alone in a .npz.
    suffix = ".npz" if prefix.endswith((".gz", ".bz2")) else ".npy"
    path = Path(f"{prefix}.{name}{suffix}")
    if not path.is_file():
        raise FileNotFoundError(f"{os.fspath(request.path)}: its rows are in {path.name}, which is not beside it")
    with open_source(path) as source:
        window = Window(source, request.progress)
        beside = Request(
            path,
            source,
            window,
            Layout("npy", 0, None, 0),
            wanted=request.wanted,
            limit=request.limit,
            dtype=request.dtype,
            threads=request.threads,
            findings=request.findings,
        )
        choice = choose_rows(tokens, request.wanted, request.limit)
        try:
            return load_array(beside, _npy.read_header(window), choice)
        except (EOFError, ValueError) as error:
            raise type(error)(f"{path.name}: {error}") from None


def _vectors_state(state: dict[str, Any], prefix: str) -> tuple[dict[str, Any], str]:
    """Find the attributes of the KeyedVectors, and what the names of their files start with."""
    for name in _HOLDERS:
        if isinstance(state.get(name), _Object):
            return state[name].__dict__, f"{prefix}.{name}"
    return state, prefix


def _tokens(state: dict[str, Any]) -> list[str]:
    tokens = next((state[name] for name in _TOKENS if isinstance(state.get(name), list)), None)
    if tokens is None:
        raise ValueError(f"the pickle holds no words: none of {', '.join(_TOKENS)}")
    words: list[str] = []
    for number, token in enumerate(tokens):
        if not isinstance(token, str):
            raise ValueError(f"token {number} is of type {type(token).__name__}, not str")
        words.append(token)
    return words


def _read(window: Window) -> bytes:
    read = bytearray()
    while True:
        with window.view() as held:
            read += held
        if window.last:
            return bytes(read)
        window.use(window.size)
        window.fill("before token 0")


class _Object:
    """Stands for an object of any class: its attributes, and nothing else of it."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass


class _Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, name: str, *_: Any) -> None:
        self._name = name
        self._order = ""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = state[1]

    def read(self) -> np.dtype[Any]:
        if self._name not in ("f2", "f4", "f8") or self._order not in ("<", ">"):
            held = f"{self._name!r:.60}" if isinstance(self._name, str) else "others"
            raise ValueError(f"vectors must be float16, float32 or float64, the pickle holds {held}")
        return np.dtype(self._order + self._name)


class _Array:
    """Stands for numpy.ndarray."""

    def __init__(self, *_: Any) -> None:
        self._state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._state = state

    def read(self) -> npt.NDArray[Any]:
        if not isinstance(self._state, tuple) or len(self._state) != 5:
            raise ValueError("the pickle's array cannot be read")
        _, shape, dtype, fortran, data = self._state
        if isinstance(data, str):
            # Python 2's bytes.
            try:
                data = data.encode("latin1")
            except UnicodeEncodeError:
                raise ValueError("the pickle's array cannot be read") from None
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
            raise ValueError("vectors must be float16, float32 or float64, the pickle holds others")
        kind = dtype.read()
        if not _is_shape(shape):
            raise ValueError("vectors must be an array of two dimensions, the pickle's shape cannot be read")
        if len(shape) != 2:
            raise ValueError(f"vectors must be an array of two dimensions, the pickle holds {shape}")
        if math.prod(shape) * kind.itemsize != len(data):
            raise ValueError(f"the pickle's array of shape {shape} cannot take {len(data)} bytes")
        return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


def _is_shape(value: Any) -> bool:
    """Whether to multiply and print it takes no time: tuples of shared tuples may have endless text."""
    if not isinstance(value, tuple) or len(value) > _MAX_DIMS:
        return False
    return all(type(n) is int and 0 <= n < 2**62 for n in value)


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> _Array:
    """What pickle protocol 5 makes contiguous arrays of: numpy's _frombuffer."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _encode(text: str, *_: Any) -> bytes:
    """What Python 3 pickles bytes as for Python 2: _codecs.encode(text, "latin1")."""
    return text.encode("latin1")


_CLASSES: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy._core.numeric._frombuffer": _from_buffer,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": _Array,
    "_codecs.encode": _encode,
}


def _load_bytearray8(unpickler: Any) -> None:
    # Python's own allocates what damaged bytes name, before it reads.
    (size,) = struct.unpack("<Q", unpickler.read(8))
    unpickler.append(unpickler.read(size))


class _Unpickler(pickle._Unpickler):
    """Makes no object of a class of the file, and so runs no code of it.

    Python's own and not the compiled one, whose memo grows to any index that damaged bytes name.
    """

    def find_class(self, module: str, name: str) -> Any:
        return _CLASSES.get(f"{module}.{name}", _Object)

    dispatch = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_bytearray8}  # noqa: RUF012


def _unpickle(data: bytes) -> _Object:
    file = io.BytesIO(data)
    try:
        found = _Unpickler(file, encoding="latin1").load()
    except Exception as error:
        if file.tell() == len(data) and not data.endswith(pickle.STOP):
            raise EOFError(f"the file ends at byte {len(data)}, inside its pickle, before its last token") from None
        raise ValueError(
            f"the pickle is damaged near byte {file.tell()} ({type(error).__name__}: {error!s:.80})"
        ) from None
    if not isinstance(found, _Object):
        raise ValueError(f"the pickle holds {type(found).__name__}, not KeyedVectors or a model of gensim")
    return found
