"""What each step is measured against: the usual Python, and the libraries people use, made ready outside the clock."""

from __future__ import annotations

import collections
import importlib
import importlib.metadata
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from measure import Call
from table import Peer
from torch import Tensor

Ids = npt.NDArray[np.int64]
Split = Callable[[str], list[str]]
# What reports give the versions of.
DISTRIBUTIONS = (
    "numpy",
    "torch",
    "tokenizers",
    "pyarrow",
    "polars",
    "pandas",
    "scikit-learn",
    "keras",
    "gensim",
    "safetensors",
    "zlib-ng",
    "isal",
    "fbgemm-gpu-cpu",
    "fbgemm-gpu",
    "cudf-cu12",
    "cudf-cu13",
)
Same = Callable[[Any, Any], object]

split_words: Split = re.compile(r"\w+|[^\w\s]+").findall


def library(
    package: str,
    what: str,
    make: Callable[[Any], Call],
    same: Same | None = None,
    aim: float | None = None,
    distribution: str = "",
) -> Peer:
    """Make a peer of an imported package, or one that says why it is missing."""
    name = distribution or package.partition(".")[0]
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        return Peer(f"{name} {what}", None, aim=aim, missing=str(error))
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # Wheels for a version of CUDA have it in their name, as cudf-cu13 has.
        version = importlib.import_module(package.partition(".")[0]).__version__
    return Peer(f"{name} {version} {what}", make(module), same, aim)


# text -> ids


def python_encode(
    texts: Sequence[Any], ids: dict[str, int], split: Split = str.split, max_length: int | None = None
) -> Ids:
    """Split, look up and pad as most code does; the pad id is 0, the unknown 1."""
    find = ids.get
    rows = [[find(token, 1) for token in split(text)[:max_length]] for text in texts]
    padded = np.zeros((len(rows), max_length or max(map(len, rows), default=0)), np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def pyarrow_encode(texts: Sequence[str], tokens: Sequence[str], pattern: str | None, aim: float | None = None) -> Peer:
    """Split and look up arrays that are Arrow's already; ids without padding, unknown ones null."""

    def make(pyarrow: Any) -> Call:
        from pyarrow import compute

        rows, known = pyarrow.array(texts), pyarrow.array(tokens)
        if pattern is None:
            return lambda: compute.index_in(compute.utf8_split_whitespace(rows).flatten(), known)
        return lambda: compute.index_in(compute.split_pattern(rows, pattern).flatten(), known)

    def same(ours: Ids, theirs: Any) -> None:
        assert np.array_equal(ours[ours != 0], theirs.fill_null(1).to_numpy())

    split = "utf8_split_whitespace" if pattern is None else "split_pattern"
    return library("pyarrow", f"{split} + index_in", make, same, aim)


def huggingface_encode(texts: Sequence[str], tokens: Sequence[str], aim: float | None = None) -> Peer:
    """Encode with WordLevel, without padding."""

    def make(tokenizers: Any) -> Call:
        ids = {token: number for number, token in enumerate(tokens)}
        tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="<unk>"))
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
        return lambda: tokenizer.encode_batch_fast(texts)

    def same(ours: Ids, theirs: Any) -> None:
        for row, encoding in zip(ours, theirs, strict=True):
            assert row[row != 0].tolist() == encoding.ids

    return library("tokenizers", "WordLevel", make, same, aim)


# text -> vocabulary


def python_build(texts: Sequence[str], split: Split = str.split) -> list[str]:
    """Count, then sort, most frequent first."""
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        counts.update(split(text))
    return sorted(counts, key=counts.__getitem__, reverse=True)


def huggingface_build(texts: Sequence[str], size: int, same: Same) -> Peer:
    """Train WordLevel on all tokens."""

    def make(tokenizers: Any) -> Call:
        def train() -> Any:
            tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="<unk>"))
            tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
            trainer = tokenizers.trainers.WordLevelTrainer(
                vocab_size=size, special_tokens=["<pad>", "<unk>"], show_progress=False
            )
            tokenizer.train_from_iterator(texts, trainer)
            return tokenizer

        return train

    return library("tokenizers", "WordLevelTrainer", make, same)


def sklearn_build(texts: Sequence[str], same: Same) -> Peer:
    """Fit a CountVectorizer that splits at white space."""

    def make(text: Any) -> Call:
        return lambda: text.CountVectorizer(analyzer=str.split).fit(texts)

    package = "sklearn.feature_extraction.text"
    return library(package, "CountVectorizer", make, same, distribution="scikit-learn")


# ids -> batch


def numpy_pad(rows: Sequence[Any], lengths: Ids) -> Ids:
    """Copy row after row."""
    padded = np.zeros((len(rows), lengths.max(initial=0)), np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def numpy_mask(values: Ids, lengths: Ids) -> Ids:
    """Write all ids at once where a mask has room for them."""
    columns = np.arange(lengths.max(initial=0))
    padded = np.zeros((len(lengths), len(columns)), np.int64)
    padded[columns < lengths[:, None]] = values
    return padded


# batch -> rows, and row gradients -> table


def _fbgemm_layer(fbgemm: Any, weight: Tensor, pooling: str, name: str = "SGD", lr: float = 0.0) -> Any:
    """Make a table of the values and on the device of `weight`, whose backward pass updates it."""
    package = f"{fbgemm.__name__}.split_table_batched_embeddings_ops_"
    common = importlib.import_module(package + "common")
    training = importlib.import_module(package + "training")
    optimizers = importlib.import_module(f"{fbgemm.__name__}.split_embedding_configs").EmbOptimType
    place = (common.EmbeddingLocation.HOST, training.ComputeDevice.CPU)
    if weight.is_cuda:
        place = (common.EmbeddingLocation.DEVICE, training.ComputeDevice.CUDA)
    layer = training.SplitTableBatchedEmbeddingBagsCodegen(
        [(*weight.shape, *place)],
        optimizer=optimizers.EXACT_SGD if name == "SGD" else optimizers.EXACT_ROWWISE_ADAGRAD,
        learning_rate=lr,
        eps=1e-10,
        pooling_mode=getattr(common.PoolingMode, pooling),
        # A pass of its own over the ids, left out in its favour.
        bounds_check_mode=training.BoundsCheckMode.NONE,
    )
    (held,) = layer.split_embedding_weights()
    held.copy_(weight)
    return layer


def _fbgemm(
    weight: Tensor, pooling: str, make: Callable[[Any], Call], same: Same, aim: float | None = None, bag: int = 1
) -> Peer:
    bags = "no pooling" if pooling == "NONE" else "one-id bags" if bag == 1 else f"{pooling.lower()} of {bag}"
    distribution = "fbgemm-gpu" if weight.is_cuda else "fbgemm-gpu-cpu"
    return library("fbgemm_gpu", f"TBE, {bags}", make, same, aim, distribution)


def fbgemm_step(
    name: str, weight: Tensor, ids: Tensor, grads: Tensor, lr: float, pooling: str, same: Same, aim: float
) -> Peer:
    """Train a table whose backward pass updates it, without bags or with bags of one id."""

    def make(fbgemm: Any) -> Call:
        layer = _fbgemm_layer(fbgemm, weight, pooling, name, lr)
        offsets = torch.arange(len(ids) + 1)

        def step() -> Any:
            layer(ids, offsets).backward(grads)
            return layer.split_embedding_weights()[0]

        return step

    return _fbgemm(weight, pooling, make, same, aim)


def fbgemm_backward(
    name: str, weight: Tensor, batches: Sequence[Tensor], grads: Tensor, lr: float, pooling: str, same: Same
) -> Peer:
    """Update a table from the gradients of rows that were looked up before, a batch after the other."""

    def make(fbgemm: Any) -> Call:
        layer = _fbgemm_layer(fbgemm, weight, pooling, name, lr)
        offsets = torch.arange(len(grads) + 1, device=weight.device)
        rows = itertools.cycle([layer(ids, offsets) for ids in batches])

        def step() -> Any:
            next(rows).backward(grads, retain_graph=True)
            return layer.split_embedding_weights()[0]

        return step

    return _fbgemm(weight, pooling, make, same)


def fbgemm_lookup(weight: Tensor, batches: Sequence[Tensor], bag: int, pooling: str, same: Same) -> Peer:
    """Look up, or pool bags of `bag` ids, a batch after the other."""

    def make(fbgemm: Any) -> Call:
        layer = _fbgemm_layer(fbgemm, weight, pooling)
        offsets = torch.arange(0, len(batches[0]) + 1, bag, device=weight.device)
        turn = itertools.cycle(batches)
        return lambda: layer(next(turn), offsets)

    return _fbgemm(weight, pooling, make, same, bag=bag)
