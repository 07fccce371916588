"""Text to ids: an immutable vocabulary."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from embrow import _core
from embrow._arguments import check_token, choice, in_id_order, refuse_masked
from embrow._encoding import pad_arguments, padded_on_gpu, text_arguments
from embrow._files import StrPath, written_atomically
from embrow._tensors import check_device, device_of, is_cpu, lies_on_gpu, result_of, target_of
from embrow._text import Tokenizer
from embrow._vocab_file import OPTIONS, pack_vocab, unpack_vocab
from embrow.ragged import Ragged

if TYPE_CHECKING:
    from typing import Self

    import torch

PAD, UNK = "<pad>", "<unk>"


def distinct_specials(specials: Iterable[str]) -> list[str]:
    """Return each special once, in order."""
    if isinstance(specials, str):
        raise TypeError(f"specials is one str, {specials!r}; pass a sequence of them")
    if not isinstance(specials, Iterable):
        raise TypeError(f"specials is {specials!r}; pass a sequence of str")
    named = list(specials)
    for position, token in enumerate(named):
        if not isinstance(token, str):
            raise TypeError(f"specials has {token!r} at position {position}; specials are str")
    return list(dict.fromkeys(named))


class Vocab:
    """Tokens and their ids, and the encoding of text with them.

    Parameters
    ----------
    tokens : iterable of str, or dict of str to int
        Every token in id order, specials where they stand; or a dict token -> id with the ids 0 to n - 1, each once.
    specials : sequence of str
        Which of the tokens are specials, left out by ``decode``. The defaults may be absent from `tokens`.
    pad_token, unk_token : str or None
        The padding, and what unknown tokens become. Left at their default but absent from `tokens` they are None.
    tokenizer : "whitespace", "words" or callable
        "whitespace" is ``str.split()``; "words" is ``re.findall(r"\\w+|[^\\w\\s]+", text)``; a callable from str to a
        list of str is called for each row, which is slow.
    lowercase : bool
        Lower each row as ``str.lower()`` does before it is split; of rows that are lists, each token.

    Attributes
    ----------
    pad_id, unk_id : int or None
        Ids of the pad and the unk token.
    specials : tuple of str
        Those that are among the tokens.

    Raises
    ------
    ValueError
        A token occurs twice, the ids of a dict have gaps, or a special, pad or unk token is not among the tokens.
    TypeError
        A token is no str, or `tokens` is a set, which has no order.

    Notes
    -----
    A Vocab does not change: it may be used from many threads at once and in forked processes. Tokens are hashed with a
    random seed, so that text cannot be crafted to make lookups slow; ids do not depend on it.

    Examples
    --------
    >>> vocab = Vocab(["<pad>", "<unk>", "to", "code"])
    >>> vocab.encode(["to code", "to", "to run"]).tolist()
    [[2, 3], [2, 0], [2, 1]]
    """

    __slots__ = (
        "__weakref__",
        "_counts",
        "_device",
        "_table",
        "lowercase",
        "pad_id",
        "pad_token",
        "specials",
        "tokenizer",
        "unk_id",
        "unk_token",
    )

    pad_id: int | None
    pad_token: str | None
    unk_id: int | None
    unk_token: str | None
    specials: tuple[str, ...]
    tokenizer: Tokenizer
    lowercase: bool
    _table: _core.VocabTable
    _counts: npt.NDArray[np.int64] | None
    _device: torch.device | None

    def __init__(
        self,
        tokens: Iterable[str] | Mapping[str, int],
        *,
        specials: Iterable[str] = (PAD, UNK),
        pad_token: str | None = PAD,
        unk_token: str | None = UNK,
        tokenizer: Tokenizer = "whitespace",
        lowercase: bool = False,
    ) -> None:
        if isinstance(tokens, Mapping):
            tokens = in_id_order("Vocab", tokens)
        elif isinstance(tokens, set | frozenset):
            raise TypeError(f"Vocab: tokens is a {type(tokens).__name__}, which has no order; pass a sequence of str")
        self._set_up(_core.VocabTable(tokens), None, specials, pad_token, unk_token, tokenizer, lowercase)

    @classmethod
    def _made(cls, table: _core.VocabTable, *rest: Any) -> Self:
        made = cls.__new__(cls)
        made._set_up(table, *rest)
        return made

    def _set_up(
        self,
        table: _core.VocabTable,
        counts: npt.NDArray[np.int64] | None,
        specials: Iterable[str],
        pad_token: str | None,
        unk_token: str | None,
        tokenizer: Tokenizer,
        lowercase: bool,
    ) -> None:
        specials = distinct_specials(specials)
        if not callable(tokenizer):
            choice("tokenizer", tokenizer, ("whitespace", "words"))

        def id_of(role: str, token: str | None, default: str | None) -> int | None:
            check_token(role, token)
            found = -1 if token is None else table.find(token)
            if found < 0 and token is not None and token != default:
                raise ValueError(f"{role} {token!r} is not among the tokens")
            return None if found < 0 else found

        set_once = functools.partial(object.__setattr__, self)
        pad_id, unk_id = id_of("pad_token", pad_token, PAD), id_of("unk_token", unk_token, UNK)
        set_once("_table", table)
        set_once("_device", None)
        if counts is not None:
            counts = counts.copy()
            counts.flags.writeable = False
        set_once("_counts", counts)
        set_once("pad_id", pad_id)
        set_once("pad_token", None if pad_id is None else pad_token)
        set_once("unk_id", unk_id)
        set_once("unk_token", None if unk_id is None else unk_token)
        present = [s for s in specials if id_of("special", s, s if s in (PAD, UNK) else None) is not None]
        set_once("specials", tuple(present))
        set_once("tokenizer", tokenizer)
        set_once("lowercase", bool(lowercase))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Vocab does not change; make another to set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Vocab does not change; make another without {name}")

    @classmethod
    def build(
        cls,
        texts: Iterable[Any],
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Iterable[str] = (PAD, UNK),
        specials_first: bool = True,
        pad_token: str | None = PAD,
        unk_token: str | None = UNK,
        ties: Literal["first", "token"] = "first",
        tokenizer: Tokenizer = "whitespace",
        lowercase: bool = False,
        nulls: Literal["error", "empty"] = "error",
        num_threads: int | None = None,
    ) -> Vocab:
        """Count the tokens of `texts` and number them, most frequent first.

        Parameters
        ----------
        texts : as for ``encode``
            An iterator is read in batches and may be longer than memory.
        min_freq : int
            Tokens that occur less often are left out; specials are not.
        max_size : int, optional
            Tokens kept at most, specials among them.
        specials : sequence of str
            Each once. One that occurs in the text keeps its place here.
        specials_first : bool
            Whether specials stand before all others, or after them.
        pad_token, unk_token : str or None
            As of ``Vocab``.
        ties : "first" or "token"
            The order of tokens that occur equally often: as first seen, or by code point.
        tokenizer, lowercase
            As of ``Vocab``.
        nulls : "error" or "empty"
            What None is: a TypeError, or a row without tokens.
        num_threads : int, optional
            As for ``encode``.

        Returns
        -------
        Vocab

        Examples
        --------
        >>> Vocab.build(["b a", "c a"]).tokens
        ['<pad>', '<unk>', 'a', 'b', 'c']
        """
        from embrow.counter import TokenCounter  # it makes a Vocab, so it imports this module

        counter = TokenCounter(tokenizer=tokenizer, lowercase=lowercase)
        counter._update(texts, choice("nulls", nulls, ("error", "empty")) == "empty", num_threads, "Vocab.build")
        return counter.to_vocab(
            min_freq=min_freq,
            max_size=max_size,
            specials=specials,
            specials_first=specials_first,
            pad_token=pad_token,
            unk_token=unk_token,
            ties=ties,
        )

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and self._table.find(token) >= 0

    def __getitem__(self, token: str) -> int:
        """Return the id of `token`, of the unk token if it is unknown; KeyError if there is neither."""
        if not isinstance(token, str):
            raise TypeError(f"a token is str, found {type(token).__name__}")
        found = self._table.find(token)
        if found >= 0:
            return found
        if self.unk_id is None:
            raise KeyError(token)
        return self.unk_id

    def __repr__(self) -> str:
        options = f"tokenizer={self.tokenizer!r}, lowercase={self.lowercase}"
        return f"Vocab({len(self)} tokens, pad_token={self.pad_token!r}, unk_token={self.unk_token!r}, {options})"

    @property
    def tokens(self) -> list[str]:
        """Every token, in id order, as a list that is made anew each time."""
        return self._table.tokens()

    @property
    def counts(self) -> npt.NDArray[np.int64] | None:
        """How often each token occurred in the text that this was built from, int64, shape (len(vocab),), or None."""
        return self._counts

    def to_dict(self) -> dict[str, int]:
        """Return token -> id."""
        return {token: i for i, token in enumerate(self._table.tokens())}

    def encode(
        self,
        texts: Iterable[Any],
        *,
        max_length: int | None = None,
        padding_side: Literal["left", "right"] = "right",
        truncation_side: Literal["left", "right"] = "right",
        pad_to_multiple_of: int | None = None,
        bos_token: str | None = None,
        eos_token: str | None = None,
        dtype: Any = "int64",
        return_tensors: Literal["np", "pt"] = "np",
        return_lengths: bool = False,
        out: Any = None,
        device: Any = None,
        nulls: Literal["error", "empty"] = "error",
        num_threads: int | None = None,
    ) -> Any:
        """Turn text into one rectangle of ids.

        Parameters
        ----------
        texts : rows of text
            A list, tuple or iterator of str or bytes (UTF-8); lists of tokens; a NumPy array of str, bytes, objects or
            StringDType; anything with ``__arrow_c_array__`` or ``__arrow_c_stream__``; a pandas or polars Series. Text
            is read where it lies.
        max_length : int, optional
            Columns, bos and eos among them: longer rows are cut, shorter ones padded. Default: the longest row's.
        padding_side, truncation_side : "left" or "right"
            Where padding goes, and where a row that is too long loses tokens.
        pad_to_multiple_of : int, optional
            The width is rounded up to it.
        bos_token, eos_token : str, optional
            Put before and after each row.
        dtype : "int64" or "int32"
        return_tensors : "np" or "pt"
        return_lengths : bool
            Return also each row's number of ids without padding, int64, shape (rows,).
        out : array or tensor, shape (rows, width), optional
            Written to and returned; after an error it may hold some rows. Text is encoded where it lies.
        device : optional
            The device of the tensor that is returned; implies ``return_tensors="pt"``. Default: that of `out`, else of
            ``to``.
        nulls : "error" or "empty"
            What None, or what is masked in a masked array, is: a TypeError, or a row without tokens.
        num_threads : int, optional
            Threads to share the work, at most; beyond four to a CPU, or 64 if that is more, no more are started. Any
            number gives the same result. Default: torch's setting when torch is loaded, else the CPUs this process may
            use.

        Returns
        -------
        array or tensor of `dtype`, shape (rows, width); with `return_lengths` a pair of it and the lengths

        Raises
        ------
        TypeError
            A row is None or no text, or `texts` is a single str, a mapping or a table.
        ValueError
            A row has invalid UTF-8 or a lone surrogate; rows differ in length and there is no pad token; `out` does not
            fit.
        KeyError
            A token is unknown and there is no unk token.
        RuntimeError
            The list became longer or shorter before it was read.

        Notes
        -----
        A GPU encodes rows of text for itself where the tokenizer is "whitespace", `lowercase` is false, and embrow was
        built with CUDA: the text is copied there, not the ids. It is waited for only where there is no `max_length`, no
        pad token or no unk token. All else is encoded on the CPU, and the ids are copied.
        """
        out_on_gpu = lies_on_gpu(out)
        if device is None:
            device = out.device if out_on_gpu else self._device if out is None else None
        else:
            device = device_of(device)
            if out_on_gpu:
                check_device(out, device)
        if device is not None:
            return_tensors = "pt"
        choice("return_tensors", return_tensors, ("np", "pt"))
        arguments = text_arguments(
            self, texts, max_length, dtype, num_threads, "encode", nulls, bos_token, eos_token, truncation_side
        ) | pad_arguments(self, padding_side, pad_to_multiple_of)
        if device is not None and (out is None or out_on_gpu):
            found = padded_on_gpu(self, device, out, arguments)
            if found is not None:
                return found if return_lengths else found[0]
        ids, lengths = _core.encode_padded(
            self._table, **arguments, out=None if out_on_gpu else target_of(out), lengths=return_lengths
        )
        if out_on_gpu:
            from embrow import _gpu_encode

            result = _gpu_encode.copied(ids, out)
        else:
            result = result_of(ids, out, return_tensors, device)
        if lengths is None:
            return result
        return result, result_of(lengths, None, return_tensors, device)

    def encode_ragged(
        self,
        texts: Iterable[Any],
        *,
        max_length: int | None = None,
        truncation_side: Literal["left", "right"] = "right",
        bos_token: str | None = None,
        eos_token: str | None = None,
        dtype: Any = "int64",
        return_tensors: Literal["np", "pt"] = "np",
        device: Any = None,
        nulls: Literal["error", "empty"] = "error",
        num_threads: int | None = None,
    ) -> Ragged:
        """Turn text into ids without padding, on the CPU; parameters and errors as for ``encode``.

        Returns
        -------
        Ragged
            values of `dtype`, shape (ids,); offsets int64, shape (rows + 1,).

        Examples
        --------
        >>> values, offsets = Vocab(["to", "code"]).encode_ragged(["to code", "", "to"])
        >>> values.tolist(), offsets.tolist()
        ([0, 1, 0], [0, 2, 2, 3])
        """
        device = self._device if device is None else device_of(device)
        if device is not None:
            return_tensors = "pt"
        choice("return_tensors", return_tensors, ("np", "pt"))
        values, offsets = _core.encode_ragged(
            self._table,
            **text_arguments(
                self, texts, max_length, dtype, num_threads, "encode", nulls, bos_token, eos_token, truncation_side
            ),
        )
        return Ragged(result_of(values, None, return_tensors, device), result_of(offsets, None, return_tensors, device))

    def decode(self, ids: Any, skip_special_tokens: bool = True) -> list[str]:
        """Return the tokens of a sequence of ids.

        Parameters
        ----------
        ids : sequence, array or tensor of int, shape (n,)
        skip_special_tokens : bool
            Leave out the specials, padding and unknown among them.

        Raises
        ------
        IndexError
            An id is outside the vocabulary; the message names its position.
        """
        array = np.asarray(ids)
        if array.size == 0:
            return []
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise TypeError(f"decode: expected a sequence of int, found dtype {array.dtype} of shape {array.shape}")
        refuse_masked("decode: ids", ids)
        # What is beyond int64 must not wrap around.
        if array.dtype == np.uint64 and (beyond := np.flatnonzero(array >= len(self))).size:
            at = int(beyond[0])
            raise IndexError(f"decode: id {array[at]} at position {at} is outside a vocabulary of {len(self)}")
        skipped = [self[token] for token in self.specials] if skip_special_tokens else []
        return self._table.decode(array, skipped)

    def to(self, device: Any) -> Vocab:
        """Return a vocabulary whose table lies on `device`, and whose ``encode`` returns tensors there.

        On the CPU that is a plain one, as is what a pickle of one on a GPU holds.

        Raises
        ------
        RuntimeError
            embrow has no kernels for the device: it or PyTorch was built without, or there is no such device.
        """
        where = None
        if not is_cpu(device):
            device = device_of(device)
            from embrow import _gpu, _gpu_encode

            where = _gpu.served(device)
            if where is None:
                raise RuntimeError(
                    f"Vocab.to({str(device)!r}): embrow encodes on the CPU alone where it or PyTorch was built without "
                    "CUDA or there is no GPU"
                )
            _gpu_encode.table_on(self._table, where)
        if where == self._device:
            return self
        made = self._made(self._table, self._counts, *self._options())
        object.__setattr__(made, "_device", where)
        return made

    def save(self, path: StrPath) -> None:
        """Write one file, under a temporary name that is then renamed.

        The format is safetensors (any reader of it opens the file) with a checksum; the table is in it as it lies in
        memory, its hash seed included, so that loading hashes nothing.

        Raises
        ------
        ValueError
            The tokenizer is a callable, which a file cannot hold.
        """
        packed = pack_vocab(self)
        with written_atomically(path) as file:
            file.write(packed.data)

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read a file that ``save`` wrote.

        Raises
        ------
        ValueError
            The file is damaged or no vocabulary; the message names what is wrong.
        """
        with open(os.fspath(path), "rb") as file:
            packed = np.empty(os.fstat(file.fileno()).st_size, dtype=np.uint8)
            count = file.readinto(packed.data)
            rest = file.read()  # all of a pipe
        if rest or count < len(packed):
            packed = np.concatenate([packed[:count], np.frombuffer(rest, dtype=np.uint8)])
        return unpack_vocab(cls._made, packed, str(path))

    def __getstate__(self) -> tuple[Any, ...]:
        parts = {name: array.tobytes() for name, array in self._table.parts().items()}
        return parts, self._counts, *self._options()

    def _options(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in OPTIONS)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        parts, *rest = state
        arrays = {name: np.frombuffer(part, dtype=np.uint8) for name, part in parts.items()}
        self._set_up(_core.VocabTable.from_parts(**arrays), *rest)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
