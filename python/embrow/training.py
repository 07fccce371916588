"""Ids and labels to trained weights: the loop, its optimizers and its loss."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from embrow import _gpu, optim
from embrow._arguments import check_number, is_integer
from embrow._sparse_rows import SparseRows
from embrow._threads import resolve_num_threads
from embrow.model import POOLINGS, TextModel

OPTIMIZERS = ("adam", "sgd", "adagrad", "adamw")
# Epochs without a lower validation loss before early stopping ends the training.
PATIENCE = 3
# Below this many looked-up floats a step is over before its threads have met: on a busy machine, where threads wait for
# each other by spinning, two threads made steps of 57,600 floats up to 30 times slower than one.
_SHARED_STEP_FLOATS = 1 << 20
# Rows shuffled together into one contiguous block, of which batches are views.
_BLOCK_ROWS = 1 << 16
_PREDICT_ROWS = 1024
_MOST_STEPS = 2**63 - 1
_MOST_LR = float(np.finfo(np.float32).max)

History = dict[str, list[float]]


@dataclass(frozen=True)
class Rows:
    """Encoded texts with their labels.

    ids: int64 (rows, width); labels: int64 (rows,); weights: float32 (rows,), what a row counts in the loss; None is 1.
    """

    ids: Tensor
    labels: Tensor
    weights: Tensor | None = None

    def to(self, device: torch.device) -> Rows:
        """Return the same rows on `device`."""
        weights = None if self.weights is None else self.weights.to(device)
        return Rows(self.ids.to(device), self.labels.to(device), weights)


@dataclass(frozen=True)
class Settings:
    """How to train: what all arms of a comparison share."""

    pooling: str = "flatten"
    epochs: int = 10
    batch_size: int = 32
    lr: float = 1e-3
    optimizer: str = "adam"
    sparse: bool = True
    early_stopping: bool = False

    def check(self) -> None:
        """Raise ValueError, or TypeError for an lr that is no number, for a setting that no training can have."""
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if not is_integer(value) or value < 1:
                raise ValueError(f"{name} must be an integer of 1 or more, found {value!r}")
            if value > _MOST_STEPS:
                raise ValueError(f"{name} must be {_MOST_STEPS} or less, found {value!r}")
        check_number("lr", self.lr)
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, found {self.lr!r}")
        if self.lr == math.inf:
            raise ValueError("lr must be finite, found inf")
        if self.lr > _MOST_LR:
            raise ValueError(f"lr must be {_MOST_LR:.8g} or less, as a float32 is, found {self.lr!r}")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, found {self.pooling!r}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, found {self.optimizer!r}")


def fit_model(
    rows: Rows,
    settings: Settings,
    *,
    num_embeddings: int,
    embedding_dim: int,
    classes: int,
    padding_idx: int,
    seed: int,
    weight: np.ndarray[Any, Any] | None = None,
    freeze: bool = False,
    device: torch.device | None = None,
    num_threads: int | None = None,
    validation: Rows | None = None,
    on_epoch: Callable[[int, History], None] | None = None,
) -> tuple[TextModel, History]:
    """Build a model and train it, with one thread where `num_threads` is None and a step is small.

    Two calls with the same seed start from the same Linear layer and see the rows in the same order, whatever the
    table's weights are.
    """
    device = device or torch.device("cpu")
    served = device.type == "cpu" or _gpu.served(device) is not None
    settings = dataclasses.replace(settings, sparse=settings.sparse and served)
    # What is made in inference mode cannot be trained.
    with seeded(seed), torch.inference_mode(False):
        model = TextModel(
            num_embeddings,
            embedding_dim,
            1 if classes == 2 else classes,
            padding_idx=padding_idx,
            width=rows.ids.shape[1],
            pooling=settings.pooling,
            # A copy: training must not write to the matrix that other runs start from.
            weight=None if weight is None else torch.tensor(weight, dtype=torch.float32),
            freeze=freeze,
            sparse=settings.sparse,
        ).to(device)
    step_floats = settings.batch_size * rows.ids.shape[1] * embedding_dim
    if num_threads is None and step_floats < _SHARED_STEP_FLOATS:
        num_threads = 1
    # Torch's own optimizers build sparse tensors, and warn once where nobody has opted into or out of checking those.
    unchecked = torch.sparse.check_sparse_tensor_invariants(enable=False)  # type: ignore[no-untyped-call]
    with threads(num_threads), unchecked, torch.inference_mode(False), torch.enable_grad():
        history = train(
            model,
            rows.to(device),
            settings,
            seed=seed,
            validation=None if validation is None else validation.to(device),
            on_epoch=on_epoch,
        )
    return model, history


def make_optimizer(model: TextModel, settings: Settings) -> SparseRows:
    """Return the optimizer of every trained parameter of `model`.

    With sparse gradients its numbers are those of dense ones: a row goes on moving by its momentum, made up for when it
    is next read.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    makers: dict[str, Callable[..., SparseRows]] = {
        "adam": optim.Adam,
        "adamw": optim.AdamW,
        "sgd": optim.SGD,
        "adagrad": optim.Adagrad,
    }
    return makers[settings.optimizer](trained, lr=settings.lr, catch_up=settings.sparse)


def loss_of(scores: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean loss of a batch: binary cross-entropy for one column of scores, else cross-entropy."""
    if scores.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(scores.squeeze(1), labels.to(scores.dtype), weight=weights)
    if weights is None:
        return F.cross_entropy(scores, labels)
    return (F.cross_entropy(scores, labels, reduction="none") * weights).mean()


def train(
    model: TextModel,
    rows: Rows,
    settings: Settings,
    *,
    seed: int,
    validation: Rows | None = None,
    shuffle: bool = True,
    on_epoch: Callable[[int, History], None] | None = None,
) -> History:
    """Train `model` in place and return each epoch's mean loss, with validation figures where there are such rows."""
    optimizer = make_optimizer(model, settings)
    hooks = optimizer.attach(model.embedding) if settings.sparse and model.embedding.weight.requires_grad else []
    try:
        return _train(
            model, rows, settings, optimizer, seed=seed, validation=validation, shuffle=shuffle, on_epoch=on_epoch
        )
    finally:
        # The model is handed on without its optimizer, every row up to date.
        optimizer.catch_up()
        for hook in hooks:
            hook.remove()


def _train(
    model: TextModel,
    rows: Rows,
    settings: Settings,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    validation: Rows | None,
    shuffle: bool,
    on_epoch: Callable[[int, History], None] | None,
) -> History:
    order = torch.Generator().manual_seed(seed)
    count = len(rows.ids)
    history: History = {"loss": []}
    best: tuple[float, int, dict[str, Tensor]] | None = None
    model.train()
    for epoch in range(settings.epochs):
        permutation = torch.randperm(count, generator=order) if shuffle else torch.arange(count)
        # Summed on the device: reading the loss at every step would wait for it there.
        total = torch.zeros((), dtype=torch.float32, device=rows.ids.device)
        for ids, labels, weights in _batches(rows, permutation.to(rows.ids.device), settings.batch_size):
            loss = loss_of(model(ids), labels, weights)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach() * len(ids)
        history["loss"].append(total.item() / count)
        if validation is not None:
            scores = score_rows(model, validation.ids)
            val_loss = loss_of(scores, validation.labels, validation.weights).item()
            history.setdefault("val_loss", []).append(val_loss)
            hits = (labels_of(scores) == validation.labels).double().mean().item()
            history.setdefault("val_accuracy", []).append(hits)
            model.train()
        if on_epoch is not None:
            on_epoch(epoch, history)
        if settings.early_stopping and validation is not None:
            if best is None or val_loss < best[0]:
                best = (val_loss, epoch, copy.deepcopy(model.state_dict()))
            elif epoch - best[1] >= PATIENCE:
                break
    if best is not None:
        model.load_state_dict(best[2])
    model.eval()
    return history


def _batches(rows: Rows, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    block_rows = max(1, _BLOCK_ROWS // batch_size) * batch_size
    for block in torch.split(order, block_rows):
        ids = torch.split(rows.ids.index_select(0, block), batch_size)
        labels = torch.split(rows.labels.index_select(0, block), batch_size)
        if rows.weights is None:
            for i, j in zip(ids, labels, strict=True):
                yield i, j, None
        else:
            yield from zip(ids, labels, torch.split(rows.weights.index_select(0, block), batch_size), strict=True)


def score_rows(model: TextModel, ids: Tensor) -> Tensor:
    """Return the scores of all rows, on the model's device, a block at a time."""
    model.eval()
    weight = model.linear.weight
    with torch.no_grad():
        scores = [model(block.to(weight.device)) for block in torch.split(ids, _PREDICT_ROWS)]
    return torch.cat(scores) if scores else weight.new_empty((0, model.linear.out_features))


def labels_of(scores: Tensor) -> Tensor:
    """Return the index of the likelier class of each row, int64 (rows,)."""
    return (scores.squeeze(1) > 0).long() if scores.shape[1] == 1 else scores.argmax(1)


def probabilities_of(scores: Tensor) -> np.ndarray[Any, Any]:
    """Return the probability of each class, float32 (rows, classes), also of scores that autocast made narrower."""
    scores = scores.float()
    if scores.shape[1] == 1:
        likely = torch.sigmoid(scores.squeeze(1))
        return torch.stack([1 - likely, likely], 1).cpu().numpy()
    return torch.softmax(scores, 1).cpu().numpy()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's CPU generator as if seeded with `seed`, and leave the caller's state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextlib.contextmanager
def threads(num_threads: int | None) -> Iterator[None]:
    """Let torch use `num_threads` threads inside, and as many as before outside."""
    before = torch.get_num_threads()
    wanted = before if num_threads is None else resolve_num_threads(num_threads)
    if wanted == before:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
