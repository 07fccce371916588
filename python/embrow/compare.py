"""Labelled texts to the figures of four arms: random and pretrained tables, trained and frozen."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from embrow.classifier import check_dim, resolve_device
from embrow.data import LabelledTexts
from embrow.model import tokens_read
from embrow.training import Rows, Settings, fit_model, labels_of, score_rows
from embrow.vectors import embedding_matrix, load_vectors
from embrow.vocab import Vocab

# Arm -> (starts from the pretrained vectors, the table is frozen).
ARMS = {
    "random_trained": (False, False),
    "pretrained_trained": (True, False),
    "pretrained_frozen": (True, True),
    "random_frozen": (False, True),
}
# A point of the learning curve takes at least this many steps: three passes over 20 texts would measure nothing.
_CURVE_STEPS = 200

_Array = np.ndarray[Any, Any]
_Report = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What to compare and how; `settings` and the vocabulary's options hold for every arm."""

    vectors: str
    settings: Settings = field(default_factory=lambda: Settings(epochs=3))
    seeds: int = 5
    split_seed: int = 0
    test_fraction: float = 0.2
    embedding_dim: int | None = None
    oov: str = "normal"
    max_length: int | None = None
    min_freq: int = 1
    max_size: int | None = None
    tokenizer: Literal["whitespace", "words"] = "whitespace"
    lowercase: bool = False
    learning_curve: bool = False
    curve_seeds: int | None = None
    curve_arms: Sequence[str] = tuple(ARMS)
    device: str = "auto"
    num_threads: int | None = None

    def check(self) -> None:
        """Raise ValueError for an option out of its range, and RuntimeError for a device that is not here."""
        self.settings.check()
        for name in ("seeds", "curve_seeds", "max_length", "embedding_dim"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, found {value}")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction must be between 0 and 1, found {self.test_fraction}")
        resolve_device(self.device)

    def run(
        self,
        data: LabelledTexts,
        test: LabelledTexts | None = None,
        *,
        on_progress: Callable[[int, int, str], None] | None = None,
    ) -> _Report:
        """Train every arm with every seed and return the report.

        Parameters
        ----------
        data : LabelledTexts
            Texts to train on, and to test on where `test` is not given: a share of each class drawn by `split_seed`.
        test : LabelledTexts, optional
        on_progress : callable, optional
            Called with the runs done, all runs and what comes next.

        Returns
        -------
        dict
            What report.json holds.

        Raises
        ------
        ValueError
            One class only, a test label that training has not, an `embedding_dim` that is not the vectors'.
        """
        self.check()
        train, test = self._split(data, test)
        classes = sorted(set(train.labels))
        if len(classes) < 2:
            raise ValueError(f"{data.name}: only one class, {classes[0]!r}; texts of two or more are needed")
        test.check_labels(classes)
        return _Run(self, train, test, classes, on_progress).report()

    def _split(self, data: LabelledTexts, test: LabelledTexts | None) -> tuple[LabelledTexts, LabelledTexts]:
        if test is not None:
            return data, test
        order = np.random.default_rng(self.split_seed).permutation(len(data.texts))
        labels = np.array(data.labels)
        held = np.zeros(len(labels), dtype=bool)
        for label in np.unique(labels):
            rows = order[labels[order] == label]
            held[rows[: round(self.test_fraction * len(rows))]] = True
        if not held.any():
            raise ValueError(
                f"{data.name}: too few texts to hold out {self.test_fraction:.0%} of a class; give a test set"
            )
        if held.all():
            raise ValueError(
                f"{data.name}: too few texts to train on where {self.test_fraction:.0%} of a class are held out; hold "
                "out fewer or give a test set"
            )
        left = set(labels[~held].tolist())
        whole = next((label for label in data.labels if label not in left), None)
        if whole is not None:
            raise ValueError(
                f"{data.name}: no text of class {whole!r} is left to train on where {self.test_fraction:.0%} of a "
                "class are held out; lower the test fraction or give a test set"
            )
        return data.take(np.flatnonzero(~held).tolist()), data.take(np.flatnonzero(held).tolist())


class _Run:
    """One comparison: texts encoded once, vectors read once, shared by all arms and seeds."""

    def __init__(
        self,
        options: Comparison,
        train: LabelledTexts,
        test: LabelledTexts,
        classes: list[str],
        on_progress: Callable[[int, int, str], None] | None,
    ) -> None:
        self.options, self.classes, self.on_progress = options, classes, on_progress
        self.device = resolve_device(options.device)
        started = time.perf_counter()
        self.vocab = Vocab.build(
            train.texts,
            min_freq=options.min_freq,
            max_size=options.max_size,
            tokenizer=options.tokenizer,
            lowercase=options.lowercase,
            num_threads=options.num_threads,
        )
        ids = self.vocab.encode(train.texts, max_length=options.max_length, num_threads=options.num_threads)
        if ids.shape[1] == 0:
            raise ValueError(f"{train.name}: every text is empty; at least one must have a token")
        length = tokens_read(options.settings.pooling, ids.shape[1], options.max_length)
        test_ids = self.vocab.encode(test.texts, max_length=length, num_threads=options.num_threads)
        self.encode_seconds = time.perf_counter() - started
        self.train, self.test = self._rows(ids, train.labels), self._rows(test_ids, test.labels)

        started = time.perf_counter()
        vectors = load_vectors(options.vectors, self.vocab, num_threads=options.num_threads)
        check_dim(options.embedding_dim, vectors.dim)
        matrix = embedding_matrix(self.vocab, vectors, oov=options.oov, seed=options.split_seed)
        self.weight, self.coverage = matrix.weight, matrix.coverage
        self.load_seconds = time.perf_counter() - started

        self.sizes = self._curve_sizes() if options.learning_curve else []
        self.curve_seeds = min(options.curve_seeds or options.seeds, options.seeds)
        self.done = 0
        self.runs = len(ARMS) * options.seeds + len(self.sizes) * len(options.curve_arms) * self.curve_seeds

    def _rows(self, ids: _Array, labels: list[str]) -> Rows:
        index = {label: position for position, label in enumerate(self.classes)}
        labels_array = np.array([index[label] for label in labels], dtype=np.int64)
        return Rows(torch.from_numpy(ids), torch.from_numpy(labels_array)).to(self.device)

    def report(self) -> _Report:
        arms = {arm: self._arm(arm, self.train, self.options.settings, self.options.seeds) for arm in ARMS}
        counts = np.bincount(self.train.labels.cpu().numpy(), minlength=len(self.classes))
        majority = int(counts.argmax())
        report: _Report = {
            "arms": arms,
            "baseline": {"majority": float((self.test.labels == majority).double().mean())},
            "coverage": dataclasses.asdict(self.coverage),
            "seconds": {"encode": self.encode_seconds, "load_vectors": self.load_seconds},
            "learning_curve": self._learning_curve(arms),
            "config": self._config(),
        }
        return report

    def _arm(self, arm: str, rows: Rows, settings: Settings, seeds: int, *, curve_size: int | None = None) -> _Report:
        pretrained, freeze = ARMS[arm]
        classes = len(self.classes)
        accuracy, macro_f1, losses, seconds = [], [], [], []
        confusion = np.zeros((classes, classes), dtype=np.int64)
        for seed in range(seeds):
            self._progress(arm if curve_size is None else f"{arm}, {curve_size} a class")
            chosen = rows if curve_size is None else self._subset(rows, curve_size, seed)
            started = time.perf_counter()
            model, history = fit_model(
                chosen,
                settings if curve_size is None else _at_least(settings, len(chosen.ids)),
                num_embeddings=len(self.vocab),
                embedding_dim=self.weight.shape[1],
                classes=classes,
                padding_idx=self.vocab["<pad>"],
                seed=seed,
                weight=self.weight if pretrained else None,
                freeze=freeze,
                device=self.device,
                num_threads=self.options.num_threads,
            )
            seconds.append(time.perf_counter() - started)
            found = labels_of(score_rows(model, self.test.ids))
            one = confusion_matrix(self.test.labels.cpu().numpy(), found.cpu().numpy(), classes)
            confusion += one
            accuracy.append(float(one.trace() / one.sum()))
            macro_f1.append(macro_f1_of(one))
            losses.append(history["loss"])
            self.done += 1
        return {
            "accuracy": summary(accuracy),
            "macro_f1": summary(macro_f1),
            "loss": losses,
            "seconds": {"train": float(np.mean(seconds))},
            "confusion": confusion.tolist(),
        }

    def _subset(self, rows: Rows, per_class: int, seed: int) -> Rows:
        # The first rows of one permutation a seed: every size holds the smaller ones, and all arms see the same texts.
        order = np.random.default_rng([self.options.split_seed, seed]).permutation(len(rows.ids))
        labels = rows.labels.cpu().numpy()[order]
        first = [order[labels == label][:per_class] for label in range(len(self.classes))]
        chosen = torch.from_numpy(np.sort(np.concatenate(first))).to(self.device)
        return Rows(rows.ids.index_select(0, chosen), rows.labels.index_select(0, chosen))

    def _curve_sizes(self) -> list[int]:
        largest = int(np.bincount(self.train.labels.cpu().numpy()).max())
        sizes = (digit * 10**power for power in range(1, 10) for digit in (1, 3))
        return [size for size in sizes if size < largest]

    def _learning_curve(self, arms: _Report) -> list[_Report]:
        curve: list[_Report] = []
        if not self.options.learning_curve:
            return curve
        for size in self.sizes:
            found = {
                arm: self._arm(arm, self.train, self.options.settings, self.curve_seeds, curve_size=size)
                for arm in self.options.curve_arms
            }
            curve.append({"per_class": size, "arms": _curve_figures(found)})
        curve.append({"per_class": "all", "arms": _curve_figures({arm: arms[arm] for arm in self.options.curve_arms})})
        return curve

    def _config(self) -> _Report:
        config = dataclasses.asdict(self.options)
        config["settings"] = dataclasses.asdict(self.options.settings)
        config["curve_arms"] = list(self.options.curve_arms)
        config["curve_seeds"] = self.curve_seeds if self.options.learning_curve else None
        config["vectors"] = os.fspath(self.options.vectors)
        config.update(
            classes=self.classes,
            train_rows=len(self.train.ids),
            test_rows=len(self.test.ids),
            width=self.train.ids.shape[1],
            vocab_size=len(self.vocab),
            embedding_dim=self.weight.shape[1],
            device=str(self.device),
            torch=torch.__version__,
        )
        return config

    def _progress(self, what: str) -> None:
        if self.on_progress is not None:
            self.on_progress(self.done, self.runs, what)


def _at_least(settings: Settings, rows: int) -> Settings:
    steps = math.ceil(rows / settings.batch_size)
    return dataclasses.replace(settings, epochs=max(settings.epochs, math.ceil(_CURVE_STEPS / steps)))


def _curve_figures(arms: _Report) -> _Report:
    return {arm: {name: figures[name] for name in ("accuracy", "macro_f1")} for arm, figures in arms.items()}


def confusion_matrix(truth: _Array, found: _Array, classes: int) -> _Array:
    """Return how often class `row` was taken for class `column`, int64 (classes, classes)."""
    return np.bincount(truth * classes + found, minlength=classes * classes).reshape(classes, classes)


def macro_f1_of(confusion: _Array) -> float:
    """Return the mean over classes of 2 hits / (2 hits + misses + false alarms); 0 for a class that is in neither."""
    hits = confusion.diagonal()
    total = confusion.sum(0) + confusion.sum(1)
    return float((2 * hits / np.maximum(total, 1)).mean())


def summary(values: list[float]) -> _Report:
    """Return mean, 95 % interval of the mean by Student's t (None for one value) and the values themselves."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "ci95": [None, None], "values": values}
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return {"mean": mean, "ci95": [mean - half, mean + half], "values": values}
