"""A vocabulary <-> the bytes of its file.

The format is safetensors with a checksum: the arrays of the table as they lie in memory, its hash seed included, so
that loading hashes nothing; in the metadata the options, and the version of Unicode that splits and lowers text.
"""

from __future__ import annotations

import json
import unicodedata
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._container import pack_arrays, unpack_arrays

if TYPE_CHECKING:
    from embrow.vocab import Vocab

FORMAT = "embrow vocabulary 3"
OPTIONS = ("specials", "pad_token", "unk_token", "tokenizer", "lowercase")

V = TypeVar("V", bound="Vocab")


def pack_vocab(vocab: Vocab) -> npt.NDArray[np.uint8]:
    """Return the bytes of the file that ``Vocab.save`` writes."""
    if callable(vocab.tokenizer):
        raise ValueError("Vocab.save: the tokenizer is a callable, which a file cannot hold; pickle the Vocab instead")
    arrays: dict[str, Any] = dict(vocab._table.parts())
    if vocab.counts is not None:
        arrays["counts"] = vocab.counts
    options = dict(zip(OPTIONS, vocab._options(), strict=True))
    metadata = {"format": FORMAT, "options": json.dumps(options), "unicode": _core.unicode_version}
    return pack_arrays(arrays, metadata)


def unpack_vocab(make: Callable[..., V], packed: npt.NDArray[np.uint8], name: str) -> V:
    """Make a vocabulary of the bytes of a file, whose name is for errors; `make` takes table, counts and options."""
    arrays, metadata = unpack_arrays(packed, name, FORMAT)
    try:
        options = json.loads(metadata["options"])
        written_for = metadata["unicode"]
        counts = arrays.pop("counts", None)
        table = _core.VocabTable.from_parts(**arrays)
        if counts is not None and (counts.dtype != np.int64 or counts.shape != (len(table),)):
            raise ValueError(f"counts are {counts.dtype} of shape {counts.shape}")
        made = make(table, counts, *(options[option] for option in OPTIONS))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: no vocabulary: {error}") from error
    depends = made.lowercase or made.tokenizer == "words"
    if depends and written_for != _core.unicode_version:
        warnings.warn(
            f"{name} was written with Unicode {written_for}; this Python has {unicodedata.unidata_version}, "
            "which may split or lower some characters otherwise",
            stacklevel=3,
        )
    return made
