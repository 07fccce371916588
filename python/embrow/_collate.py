"""Samples of a dataset -> a batch of ids, for a DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

try:
    from torch.utils.data import default_collate
except ModuleNotFoundError as error:
    raise ImportError('embrow.collate needs PyTorch: pip install "embrow[torch]"') from error

from embrow.vocab import Vocab


def collate(
    vocab: Vocab,
    *,
    text_key: str = "text",
    max_length: int | None = None,
    padding_side: Literal["left", "right"] = "right",
    truncation_side: Literal["left", "right"] = "right",
    pad_to_multiple_of: int | None = None,
    bos_token: str | None = None,
    eos_token: str | None = None,
    dtype: Any = "int64",
    return_lengths: bool = False,
    nulls: Literal["error", "empty"] = "error",
    num_threads: int | None = None,
) -> Callable[[Sequence[Any]], Any]:
    """Make the `collate_fn` of a DataLoader whose samples hold text.

    Parameters
    ----------
    vocab : Vocab
    text_key : str
        Where samples that are mappings hold their text.
    max_length, padding_side, truncation_side, pad_to_multiple_of, bos_token, eos_token, dtype, return_lengths, nulls, \
num_threads
        As of ``Vocab.encode``. In a worker process one thread is used unless `num_threads` says otherwise, as PyTorch
        sets it there.

    Returns
    -------
    callable
        From a list of samples of one kind to a batch; it pickles. What a sample holds beside its text goes through
        ``torch.utils.data.default_collate``.

        - text (str, bytes, or a list of tokens) becomes ids, a tensor of `dtype`, shape (rows, width);
        - tuples ``(text, *rest)`` become ``(ids, *rest)``, named tuples one of the same type;
        - mappings become a dict with ids at `text_key`.

        With `return_lengths`, the lengths, int64, shape (rows,), come behind the ids, of mappings at "lengths"; named
        tuples, which have no place for them, become plain ones.

    Raises
    ------
    TypeError, ValueError, KeyError
        By the callable, naming the sample: samples of several kinds, tuples of several lengths, a mapping without
        `text_key`; and what ``Vocab.encode`` raises.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> samples = [("to code", 1), ("to", 0)]
    >>> vocab = Vocab(["<pad>", "to", "code"])
    >>> for ids, labels in DataLoader(samples, batch_size=2, collate_fn=collate(vocab)):
    ...     print(ids.tolist(), labels.tolist())
    [[1, 2], [1, 0]] [1, 0]
    """
    arguments = {
        "max_length": max_length,
        "padding_side": padding_side,
        "truncation_side": truncation_side,
        "pad_to_multiple_of": pad_to_multiple_of,
        "bos_token": bos_token,
        "eos_token": eos_token,
        "dtype": dtype,
        "return_lengths": return_lengths,
        "nulls": nulls,
        "num_threads": num_threads,
    }
    vocab.encode([], **arguments)  # a wrong argument is an error here, not in the middle of an epoch
    return _Collate(vocab, text_key, arguments)


@dataclass(frozen=True)
class _Collate:
    vocab: Vocab
    text_key: str
    arguments: dict[str, Any]

    def __call__(self, samples: Sequence[Any]) -> Any:
        kind = _kind_of(samples[0]) if samples else None
        for at, sample in enumerate(samples):
            if _kind_of(sample) is not kind:
                raise TypeError(
                    f"collate: sample {at} is of type {type(sample).__name__}, sample 0 of type "
                    f"{type(samples[0]).__name__}; a batch holds one kind"
                )
        if kind is tuple:
            return self._of_tuples(samples)
        if kind is Mapping:
            return self._of_mappings(samples)
        encoded = self._encode(samples)
        return encoded if self.arguments["return_lengths"] else encoded[0]

    def _encode(self, texts: Sequence[Any]) -> tuple[Any, ...]:
        encoded = self.vocab.encode(texts, return_tensors="pt", **self.arguments)
        return tuple(encoded) if self.arguments["return_lengths"] else (encoded,)

    def _of_tuples(self, samples: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        for at, sample in enumerate(samples):
            if len(sample) != len(samples[0]) or not sample:
                raise ValueError(
                    f"collate: sample {at} is a tuple of {len(sample)}, sample 0 of {len(samples[0])}; each is "
                    "(text, *rest), with as much in the rest"
                )
        texts, *rest = zip(*samples, strict=True)
        batch = (*self._encode(texts), *(default_collate(list(part)) for part in rest))
        make = getattr(samples[0], "_make", None)  # of named tuples
        return batch if make is None or self.arguments["return_lengths"] else make(batch)

    def _of_mappings(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        for at, sample in enumerate(samples):
            if self.text_key not in sample:
                raise KeyError(f"collate: sample {at} has no {self.text_key!r}; text_key= names where the text is")
        if self.arguments["return_lengths"] and "lengths" in samples[0]:
            raise ValueError('collate: samples have "lengths" already, where return_lengths puts the rows\' own')
        ids, *lengths = self._encode([sample[self.text_key] for sample in samples])
        rest = [{key: value for key, value in sample.items() if key != self.text_key} for sample in samples]
        batch: dict[str, Any] = {self.text_key: ids, **default_collate(rest)}
        return {**batch, "lengths": lengths[0]} if lengths else batch


def _kind_of(sample: Any) -> type:
    """Return tuple or Mapping for what holds text among other things, object for text."""
    return tuple if isinstance(sample, tuple) else Mapping if isinstance(sample, Mapping) else object
