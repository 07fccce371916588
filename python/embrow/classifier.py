"""Rows of text to labels: a scikit-learn estimator over the embedding model."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

try:
    import torch
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state, compute_class_weight
    from sklearn.utils.validation import check_is_fitted
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'embrow.TextClassifier needs {error.name}: pip install "embrow[torch]"', name=error.name
    ) from error

from embrow._arguments import check_number, is_integer, non_negative
from embrow._classifier_file import read_model, write_model
from embrow._encoding import padded_here, text_arguments
from embrow._labelled_rows import checked_texts, classes_of, taken
from embrow._tensors import device_of
from embrow._threads import resolve_num_threads
from embrow.counter import TokenCounter
from embrow.model import TextModel, tokens_read
from embrow.training import History, Rows, Settings, fit_model, labels_of, probabilities_of, score_rows, threads
from embrow.vectors import Coverage, WordVectors, embedding_matrix
from embrow.vectors._matrix import POLICIES
from embrow.vectors._sniff import MAX_DIM
from embrow.vocab import Vocab

if TYPE_CHECKING:
    from typing import Self

_Array = np.ndarray[Any, Any]


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify texts with an embedding table and one Linear layer.

    The model is Embedding -> pooling -> Linear. Two classes train with a sigmoid and binary cross-entropy, more with
    softmax and cross-entropy. Random and pretrained tables differ in nothing else: the Linear layer starts from the
    same numbers and the texts come in the same order.

    Parameters
    ----------
    vectors : path, name or WordVectors, optional
        Pretrained vectors that the table starts from. Default: N(0, 1).
    embedding_dim : int, optional
        Columns of the table. Default: the dim of `vectors`, else 100.
    freeze : bool
        Leave the table as it starts and train the Linear layer alone.
    pooling : {"flatten", "mean", "max"}
        How the rows of a text become one. "flatten" lays them side by side, so that position counts; "mean" and "max"
        leave padding out, and a text without tokens gives zeros.
    max_length : int, optional
        Tokens read of a text. Default: all; with "flatten" the longest training text, and longer ones are cut at it.
    min_freq, max_size, tokenizer, lowercase
        As in `Vocab.build`.
    oov : {"normal", "uniform", "zeros", "mean", "subword"}
        Rows of tokens that `vectors` lack, as in `embedding_matrix`.
    epochs, batch_size, lr
        Passes over the texts, texts a step, step size.
    optimizer : {"adam", "sgd", "adagrad", "adamw"}
        Those of `embrow.optim`.
    sparse : bool
        Give the table sparse gradients: a step then costs what the batch costs, with the numbers of dense training.
        On a GPU gradients are dense.
    validation_fraction : float
        Share of the texts, drawn by class, that is held out and measured after each epoch.
    early_stopping : bool
        Stop after 3 epochs without a lower validation loss and keep the best epoch's weights.
    class_weight : dict, "balanced", optional
        What a text of each class counts in the loss.
    device : str or torch.device
        "auto" is CUDA where there is one.
    num_threads : int, optional
        Threads of every step. Default: torch's setting, and one for training steps too small to be shared. Where steps
        are large other numbers may give other last bits: PyTorch shares the sums of the dense layer's gradient. Bounded
        as for ``Vocab.encode``.
    random_state : int, RandomState or None
        Start of the weights, order of the texts, validation split.
    verbose : int
        1 writes a line an epoch to standard error.

    Attributes
    ----------
    vocab_ : Vocab
    classes_ : array, shape (classes,)
    model_ : torch.nn.Module
    history_ : dict of lists
        "loss" per epoch; with validation also "val_loss" and "val_accuracy".
    coverage_ : Coverage or None
        How many tokens have a pretrained vector; None without `vectors`.

    Examples
    --------
    >>> from embrow import TextClassifier
    >>> texts = ["nice great best", "stop lies", "excellent work", "bad"]
    >>> model = TextClassifier(embedding_dim=8, epochs=30, lr=0.1).fit(texts, [1, 0, 1, 0])
    >>> model.predict(["great work", "bad lies"]).tolist()
    [1, 0]
    """

    def __init__(
        self,
        *,
        vectors: str | os.PathLike[str] | WordVectors | None = None,
        embedding_dim: int | None = None,
        freeze: bool = False,
        pooling: str = "flatten",
        max_length: int | None = None,
        min_freq: int = 1,
        max_size: int | None = None,
        tokenizer: Literal["whitespace", "words"] | Callable[[str], list[str]] = "whitespace",
        lowercase: bool = False,
        oov: str = "normal",
        epochs: int = 10,
        batch_size: int = 32,
        lr: float = 1e-3,
        optimizer: str = "adam",
        sparse: bool = True,
        validation_fraction: float = 0.0,
        early_stopping: bool = False,
        class_weight: Mapping[Any, float] | str | None = None,
        device: str | torch.device = "auto",
        num_threads: int | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.vectors = vectors
        self.embedding_dim = embedding_dim
        self.freeze = freeze
        self.pooling = pooling
        self.max_length = max_length
        self.min_freq = min_freq
        self.max_size = max_size
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.oov = oov
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.sparse = sparse
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.class_weight = class_weight
        self.device = device
        self.num_threads = num_threads
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Build the vocabulary of `X`, then the model, and train it.

        Parameters
        ----------
        X : rows of text, as in `Vocab.encode`
        y : labels, shape (rows,)
            Two or more different ones.

        Returns
        -------
        TextClassifier
            This object.

        Raises
        ------
        ValueError
            No texts, one class only, as many labels as there are not texts, a parameter out of its range, or an
            `embedding_dim` that is not the dim of `vectors`.
        TypeError
            A row that is no text, or a parameter that is no number.
        RuntimeError
            The device is not in this machine.
        """
        given, settings, device = self._checked()
        texts = checked_texts(X, "fit")
        classes, labels = classes_of(y, len(texts))
        seed = int(check_random_state(given.random_state).randint(np.iinfo(np.int32).max))

        kept, held = np.arange(len(texts)), np.empty(0, dtype=np.int64)
        if given.validation_fraction:
            try:
                kept, held = train_test_split(
                    kept, test_size=given.validation_fraction, stratify=labels, random_state=seed
                )
            except ValueError as error:
                raise ValueError(
                    f"fit: validation_fraction={given.validation_fraction} of {len(texts)} texts cannot be drawn by "
                    f"class: {error}"
                ) from None
            kept, held = np.sort(kept), np.sort(held)
        per_class = _class_weights(given.class_weight, classes, labels[kept])
        try:
            vocab, ids, held_ids = _encode_parts(given, texts, kept, held)
        except (TypeError, ValueError):
            if len(held):
                # What is wrong with a row of a part is wrong with one of X, whose number this tells.
                try:
                    _count(given, texts)
                except (TypeError, ValueError) as error:
                    raise error from None
            raise
        weight, coverage, dim = _table(given, vocab, seed)
        validation = _rows(held_ids, labels[held], per_class) if len(held) else None
        model, history = fit_model(
            _rows(ids, labels[kept], per_class),
            settings,
            num_embeddings=len(vocab),
            embedding_dim=dim,
            classes=len(classes),
            padding_idx=vocab["<pad>"],
            seed=seed,
            weight=weight,
            freeze=given.freeze,
            device=device,
            num_threads=given.num_threads,
            validation=validation,
            on_epoch=_print_epoch if given.verbose else None,
        )
        # All at once, since a fit that fails leaves the one before it.
        self.vocab_, self.classes_, self._width, self.coverage_ = vocab, classes, ids.shape[1], coverage
        self.model_, self.history_, self._max_length = model, history, given.max_length
        return self

    def predict(self, X: Any) -> _Array:
        """Return the likeliest label of each text, shape (rows,), of the dtype of the labels of `fit`."""
        labels = labels_of(self._scores(X, "predict")).cpu().numpy()
        chosen: _Array = self.classes_[labels]
        return chosen

    def predict_proba(self, X: Any) -> _Array:
        """Return the probability of each class, float32 (rows, classes), columns in the order of `classes_`."""
        return probabilities_of(self._scores(X, "predict_proba"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to one file, which holds no pickle.

        Raises
        ------
        ValueError
            The tokenizer is a function, the labels are neither text, numbers nor bools, or `model_` was made another
            dtype than float32, of which a file could not give the same predictions.
        """
        check_is_fitted(self, "model_")
        if callable(self.vocab_.tokenizer):
            raise ValueError("save: the tokenizer is a function, which a file cannot hold; use a named tokenizer")
        labels = self.classes_.tolist()
        if not all(isinstance(label, (str, int, float, bool)) for label in labels):
            raise ValueError("save: labels must be text, numbers or bools")
        meta = {
            "params": self._saved_params(),
            "classes": labels,
            "classes_dtype": self.classes_.dtype.str,
            "width": self._width,
            "history": self.history_,
            "coverage": None if self.coverage_ is None else dataclasses.asdict(self.coverage_),
        }
        state = self.model_.state_dict()
        for name, value in state.items():
            if value.dtype != torch.float32:
                raise ValueError(f"save: {name} of model_ is {value.dtype}; a file holds torch.float32: model_.float()")
        arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
        write_model(Path(path), meta, self.vocab_, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path
        device : str or torch.device, optional
            Takes the place of the `device` that the model was made with.

        Raises
        ------
        ValueError
            The file is damaged, or is not one of these; PyTorch does not know the device.
        RuntimeError
            The device is not in this machine.
        """
        if device is not None:
            resolve_device(device)
        meta, vocab, arrays = read_model(Path(path))
        try:
            model = cls(**meta["params"])
            if device is not None:
                model.device = device
            if isinstance(model.class_weight, list):
                model.class_weight = {label: weight for label, weight in model.class_weight}
            model.vocab_ = vocab
            model.classes_ = np.array(meta["classes"], dtype=np.dtype(meta["classes_dtype"]))
            model.history_, model._width, model._max_length = meta["history"], meta["width"], model.max_length
            model.coverage_ = None if meta["coverage"] is None else Coverage(**meta["coverage"])
            table = torch.from_numpy(arrays["embedding.weight"])
            model.model_ = TextModel(
                len(table),
                table.shape[1],
                len(arrays["linear.bias"]),
                padding_idx=vocab["<pad>"],
                width=model._width,
                pooling=model.pooling,
                weight=table,
                freeze=model.freeze,
                sparse=model.sparse,
            )
            model.model_.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
            raise ValueError(f"{path}: damaged embrow model: {error}") from error
        try:
            where = resolve_device(model.device)
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(
                f"{path}: the model is for {model.device}, which cannot be used: {error}; give load another, such as "
                'device="cpu"'
            ) from None
        model.model_.to(where).eval()
        return model

    def _given(self) -> SimpleNamespace:
        """Return the parameters with NumPy's numbers, bools and str as Python's, which JSON and torch ask for.

        The attributes stay what was given, as scikit-learn wants it.
        """
        params = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        if isinstance(self.class_weight, Mapping):
            params["class_weight"] = {_plain(label): _plain(weight) for label, weight in self.class_weight.items()}
        return SimpleNamespace(**params)

    def _checked(self) -> tuple[SimpleNamespace, Settings, torch.device]:
        """Return the parameters, the settings of training and the device, or raise for what no fit can have."""
        given = self._given()
        settings = Settings(
            pooling=given.pooling,
            epochs=given.epochs,
            batch_size=given.batch_size,
            lr=given.lr,
            optimizer=given.optimizer,
            sparse=bool(given.sparse),
            early_stopping=given.early_stopping,
        )
        settings.check()
        _check_parameters(given)
        return given, settings, resolve_device(given.device)

    def _scores(self, X: Any, action: str) -> torch.Tensor:
        check_is_fitted(self, "model_")
        # The next fit, or one that failed, may have been given others.
        length = tokens_read(self.model_.pooling, self._width, self._max_length)
        with threads(self.num_threads):
            ids = _ids(self.vocab_, checked_texts(X, action), length, self.num_threads, action)
            return score_rows(self.model_, torch.from_numpy(ids))

    def _saved_params(self) -> dict[str, Any]:
        params = vars(self._given())
        # These may have been changed for the next fit.
        params["pooling"], params["max_length"] = self.model_.pooling, self._max_length
        params["tokenizer"], params["lowercase"] = self.vocab_.tokenizer, self.vocab_.lowercase
        # The table itself is saved, so what it started from is a name at most.
        params["vectors"] = os.fspath(self.vectors) if isinstance(self.vectors, (str, os.PathLike)) else None
        params["random_state"] = params["random_state"] if isinstance(params["random_state"], int) else None
        params["device"] = str(self.device)
        if isinstance(self.class_weight, Mapping):
            params["class_weight"] = [list(pair) for pair in params["class_weight"].items()]
        return params


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _check_parameters(given: SimpleNamespace) -> None:
    check_number("validation_fraction", given.validation_fraction)
    if not 0 <= given.validation_fraction < 1:
        raise ValueError(f"validation_fraction must be from 0 to below 1, found {given.validation_fraction!r}")
    if given.early_stopping and not given.validation_fraction:
        raise ValueError("early_stopping=True needs a validation_fraction above 0")
    for name in ("max_length", "embedding_dim"):
        value = getattr(given, name)
        if value is not None and not is_integer(value):
            raise TypeError(f"{name} must be an integer, found {value!r:.60} of type {type(value).__name__}")
        if value is not None and value < 1:
            raise ValueError(f"{name} must be 1 or more, found {value!r}")
    if given.embedding_dim is not None and given.embedding_dim > MAX_DIM:
        raise ValueError(f"embedding_dim must be {MAX_DIM} or less, found {given.embedding_dim!r}")
    if given.oov not in POLICIES:
        raise ValueError(f"oov must be one of {', '.join(POLICIES)}, found {given.oov!r}")
    if given.vectors is not None and not isinstance(given.vectors, (str, bytes, os.PathLike, WordVectors)):
        raise TypeError(f"vectors must be a path, a name or WordVectors, found {type(given.vectors).__name__}")
    if isinstance(given.vectors, WordVectors):
        check_dim(given.embedding_dim, given.vectors.dim)
        if given.oov == "subword" and given.vectors._subwords is None:
            raise ValueError("oov='subword' needs vectors with subwords, and these have none")
    try:
        check_random_state(given.random_state)
    except ValueError:
        raise ValueError(
            "random_state must be an integer from 0 to 2**32 - 1, a numpy.random.RandomState or None, found "
            f"{given.random_state!r:.60}"
        ) from None
    TokenCounter(tokenizer=given.tokenizer)
    non_negative("min_freq", given.min_freq, default=1)
    non_negative("max_size", given.max_size, default=0)
    resolve_num_threads(given.num_threads)
    if isinstance(given.class_weight, Mapping):
        for label, weight in given.class_weight.items():
            check_number(f"class_weight[{label!r}]", weight)
            if not 0 <= weight < math.inf:
                raise ValueError(f"class_weight[{label!r}] must be finite and 0 or more, found {weight!r}")
    elif given.class_weight is not None and not (
        isinstance(given.class_weight, str) and given.class_weight == "balanced"
    ):
        raise ValueError(f"class_weight must be a dict, 'balanced' or None, found {given.class_weight!r}")


def _table(given: SimpleNamespace, vocab: Vocab, seed: int) -> tuple[_Array | None, Coverage | None, int]:
    if given.vectors is None:
        return None, None, 100 if given.embedding_dim is None else given.embedding_dim
    matrix = embedding_matrix(vocab, given.vectors, oov=given.oov, seed=seed)
    dim = matrix.weight.shape[1]
    check_dim(given.embedding_dim, dim)
    return matrix.weight, matrix.coverage, dim


def _class_weights(class_weight: Any, classes: _Array, labels: _Array) -> _Array | None:
    if class_weight is None:
        return None
    if isinstance(class_weight, Mapping):
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown:
            raise ValueError(f"class_weight: {unknown[0]!r} is not a label of the texts")
        return np.array([class_weight.get(label, 1.0) for label in classes.tolist()])
    weights: _Array = compute_class_weight(class_weight, classes=np.arange(len(classes)), y=labels)
    return weights


def check_dim(embedding_dim: int | None, vectors_dim: int) -> None:
    """Raise ValueError if an explicit `embedding_dim` is not the vectors' dim."""
    if embedding_dim is not None and embedding_dim != vectors_dim:
        raise ValueError(
            f"embedding_dim is {embedding_dim} but the vectors have dim {vectors_dim}; leave it out or make it the same"
        )


def _count(given: SimpleNamespace, texts: Any) -> TokenCounter:
    counter = TokenCounter(tokenizer=given.tokenizer, lowercase=given.lowercase)
    counter._update(texts, None, given.num_threads, "fit")
    return counter


def _encode_parts(given: SimpleNamespace, texts: Any, kept: _Array, held: _Array) -> tuple[Vocab, _Array, _Array]:
    """Return the vocabulary of the texts to train on, their ids, and those of the texts held out."""
    train_texts = taken(texts, kept) if len(held) else texts
    vocab = _count(given, train_texts).to_vocab(min_freq=given.min_freq, max_size=given.max_size)
    ids = _ids(vocab, train_texts, given.max_length, given.num_threads, "fit")
    if ids.shape[1] == 0:
        raise ValueError("fit: every text is empty; at least one must have a token")
    length = tokens_read(given.pooling, ids.shape[1], given.max_length)
    held_texts = taken(texts, held) if len(held) else []
    return vocab, ids, _ids(vocab, held_texts, length, given.num_threads, "fit")


def _ids(vocab: Vocab, texts: Any, length: int | None, num_threads: int | None, action: str) -> _Array:
    return padded_here(vocab, text_arguments(vocab, texts, length, np.int64, num_threads, action))[0]


def _rows(ids: _Array, labels: _Array, per_class: _Array | None) -> Rows:
    weights = None if per_class is None else torch.from_numpy(per_class[labels].astype(np.float32))
    return Rows(torch.from_numpy(ids), torch.from_numpy(labels.astype(np.int64, copy=False)), weights)


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that `device` names; "auto" is CUDA where there is one.

    Raises
    ------
    ValueError
        There is no such device.
    RuntimeError
        It is not in this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, (str, torch.device)):
        raise TypeError(f"device must be a str or a torch.device, found {type(device).__name__}")
    found = device_of(device, also='"auto", ')
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(f"device is {found}, and PyTorch has {torch.cuda.device_count()} CUDA devices here")
    return found


def _print_epoch(epoch: int, history: History) -> None:
    if sys.stderr is None:
        return  # closed: print would take None for standard output
    figures = ", ".join(f"{name} {values[-1]:.4f}" for name, values in history.items())
    print(f"epoch {epoch + 1}: {figures}", file=sys.stderr)
