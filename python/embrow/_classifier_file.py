"""A fitted classifier's numbers and settings -> one file, and back."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from embrow._files import written_atomically
from embrow._vocab_file import pack_vocab, unpack_vocab
from embrow.vocab import Vocab

_Array = np.ndarray[Any, Any]
_FORMAT = "embrow text classifier"
_VERSION = 1


def write_model(path: Path, meta: dict[str, Any], vocab: Vocab, arrays: dict[str, _Array]) -> None:
    """Write a zip archive of JSON, the vocabulary's own file, and .npy arrays; each member carries a CRC-32."""
    meta = {"format": _FORMAT, "version": _VERSION, **meta}
    with written_atomically(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.json", json.dumps(meta, indent=1))
        archive.writestr("vocab", pack_vocab(vocab).tobytes())
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", buffer.getbuffer())


def read_model(path: Path) -> tuple[dict[str, Any], Vocab, dict[str, _Array]]:
    """Read what `write_model` wrote; ValueError says what is wrong with a file that it did not."""
    with open(path, "rb") as file:
        return _read_archive(path, file)


def _read_archive(path: Path, file: BinaryIO) -> tuple[dict[str, Any], Vocab, dict[str, _Array]]:
    try:
        with zipfile.ZipFile(file) as archive:
            meta = json.loads(archive.read("model.json"))
            if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
                raise ValueError("it is not one")
            if meta["version"] != _VERSION:
                raise ValueError(f"its version is {meta['version']}, this release reads {_VERSION}")
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name.endswith(".npy")
            }
            vocab = unpack_vocab(Vocab._made, np.frombuffer(bytearray(archive.read("vocab")), dtype=np.uint8), "vocab")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: not a readable embrow model: {error}") from error
    return meta, vocab, arrays
