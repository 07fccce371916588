"""The four arms, their figures, and the report."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compare needs PyTorch")

from embrow import compare as comparing  # noqa: E402
from embrow._folder import check_folder, write_folder  # noqa: E402
from embrow.compare import ARMS, Comparison, confusion_matrix, macro_f1_of, summary  # noqa: E402
from embrow.data import LabelledTexts  # noqa: E402
from embrow.report import interval, write_report  # noqa: E402
from embrow.training import Settings  # noqa: E402

WORDS = [f"word{index}" for index in range(40)]


def texts(count: int = 120) -> LabelledTexts:
    rng = np.random.default_rng(0)
    rows, labels = [], []
    for row in range(count):
        label = row % 3 == 0
        half = WORDS[:20] if label else WORDS[20:]
        rows.append(" ".join(rng.choice(half, rng.integers(2, 6))))
        labels.append("yes" if label else "no")
    return LabelledTexts("made.csv", rows, labels, list(range(2, count + 2)))


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    path = tmp_path / "vectors.txt"
    rows = np.random.default_rng(1).normal(size=(len(WORDS), 5))
    lines = (" ".join([word, *map(str, row)]) for word, row in zip(WORDS, rows, strict=True))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_report_has_the_published_shape(vectors: str) -> None:
    settings = Settings(epochs=2, batch_size=8)
    report = Comparison(vectors, settings=settings, seeds=3, learning_curve=True, curve_seeds=2).run(texts())
    assert set(report) == {"arms", "baseline", "coverage", "seconds", "learning_curve", "config"}
    assert list(report["arms"]) == list(ARMS)
    for figures in report["arms"].values():
        for name in ("accuracy", "macro_f1"):
            assert set(figures[name]) == {"mean", "ci95", "values"}
            low, high = figures[name]["ci95"]
            assert len(figures[name]["values"]) == 3
            assert low <= figures[name]["mean"] <= high
        assert np.array(figures["loss"]).shape == (3, 2)
        assert figures["seconds"]["train"] > 0
        assert np.sum(figures["confusion"]) == 3 * 24
    assert report["baseline"] == {"majority": pytest.approx(2 / 3)}
    assert set(report["seconds"]) == {"encode", "load_vectors"}
    assert report["coverage"]["matched"] == 40
    assert [point["per_class"] for point in report["learning_curve"]] == [10, 30, "all"]
    for point in report["learning_curve"]:
        assert list(point["arms"]) == list(ARMS)
    assert (
        report["learning_curve"][-1]["arms"]["random_frozen"]["accuracy"] == report["arms"]["random_frozen"]["accuracy"]
    )
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize(("max_length", "accuracy"), [(None, 1), (1, 0.5)])
def test_texts_that_are_pooled_are_read_beyond_the_longest_training_text(
    vectors: str, max_length: int | None, accuracy: float
) -> None:
    words = ["word0", "word1", "word1", "word2"]
    training = LabelledTexts("made.csv", words * 9, ["no", "no", "yes", "yes"] * 9, list(range(36)))
    test = LabelledTexts("test.csv", ["word1 word0 word0", "word1 word2 word2"], ["no", "yes"], [0, 1])
    settings = Settings(epochs=40, lr=0.1, pooling="mean")
    report = Comparison(vectors, settings=settings, seeds=1, max_length=max_length).run(training, test)
    assert report["arms"]["pretrained_trained"]["accuracy"]["mean"] == accuracy


def test_arms_differ_in_the_table_alone(vectors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fit = comparing.fit_model

    def record(rows: object, settings: object, **options: object) -> object:
        calls.append((rows, settings, options))
        return fit(rows, settings, **options)

    monkeypatch.setattr(comparing, "fit_model", record)
    Comparison(vectors, settings=Settings(epochs=1), seeds=2).run(texts())
    assert len(calls) == 8
    for rows, settings, options in calls:
        assert rows is calls[0][0]
        assert settings is calls[0][1]
        assert {**options, "seed": 0, "weight": None, "freeze": False} == {**calls[0][2], "seed": 0}
    found = [(o["weight"] is not None, o["freeze"], o["seed"]) for _, _, o in calls]
    assert found == [(*arm, seed) for arm in ARMS.values() for seed in range(2)]


def test_same_options_give_the_same_figures(vectors: str) -> None:
    runs = [Comparison(vectors, settings=Settings(epochs=2), seeds=2).run(texts()) for _ in range(2)]
    for arm in ARMS:
        assert runs[0]["arms"][arm]["loss"] == runs[1]["arms"][arm]["loss"]
        assert runs[0]["arms"][arm]["accuracy"] == runs[1]["arms"][arm]["accuracy"]


def test_split_is_fixed_and_keeps_the_shares_of_classes(vectors: str) -> None:
    data = texts()
    train, test = Comparison(vectors)._split(data, None)
    again = Comparison(vectors)._split(data, None)
    assert (train, test) == again
    assert sorted(train.lines + test.lines) == data.lines
    assert (test.labels.count("yes"), test.labels.count("no")) == (8, 16)
    assert Comparison(vectors, split_seed=1)._split(data, None)[1].lines != test.lines


def test_progress_counts_every_run(vectors: str) -> None:
    seen: list[tuple[int, int, str]] = []
    comparison = Comparison(vectors, settings=Settings(epochs=1), seeds=1, learning_curve=True)
    comparison.run(texts(), on_progress=lambda *step: seen.append(step))
    assert [done for done, _, _ in seen] == list(range(len(seen)))
    assert {total for _, total, _ in seen} == {len(seen)} == {4 + 2 * 4}


def test_summary_is_students_interval() -> None:
    found = summary([0.8, 0.82, 0.81, 0.79, 0.83])
    half = 2.7764451 * math.sqrt(0.00025) / math.sqrt(5)
    assert found["mean"] == pytest.approx(0.81)
    assert found["ci95"] == pytest.approx([0.81 - half, 0.81 + half])
    assert summary([0.5])["ci95"] == [None, None]
    assert interval(summary([0.5])) == "0.5000"
    assert interval({"mean": 0.5, "ci95": [0.4, 0.6]}) == "0.5000 [0.4000, 0.6000]"


def test_confusion_and_macro_f1_equal_scikit_learns() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    confusion = confusion_matrix(truth, found, 4)
    np.testing.assert_array_equal(confusion, metrics.confusion_matrix(truth, found))
    assert macro_f1_of(confusion) == pytest.approx(metrics.f1_score(truth, found, average="macro"))
    assert macro_f1_of(np.array([[3, 0], [0, 0]])) == 0.5


def test_report_folder_holds_everything(vectors: str, tmp_path: Path) -> None:
    report = Comparison(vectors, settings=Settings(epochs=1), seeds=2, learning_curve=True).run(texts())
    folder = tmp_path / "a" / "report"
    for _ in range(2):
        check_folder(folder)
        write_report(report, folder)
    names = {"report.json", "report.md", "report.html", "loss.png", "confusion.png", "learning_curve.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(report))
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert html.count('src="data:image/png;base64,iVBOR') == 3
    assert "http" not in html
    assert "| pretrained, trained | " in (folder / "report.md").read_text(encoding="utf-8")


def test_a_report_goes_where_a_link_leads(tmp_path: Path) -> None:
    link, there = tmp_path / "link", tmp_path / "there"
    link.symlink_to(there)
    for _ in range(2):
        check_folder(link)
        assert write_folder({"a": b"1"}, link) == [link / "a"]
        assert link.is_symlink()
        assert [(path.name, path.read_bytes()) for path in there.iterdir()] == [("a", b"1")]
    link.unlink()
    link.symlink_to(tmp_path / "there/a/none")
    with pytest.raises(ValueError, match="the report folder cannot be written: Not a directory"):
        check_folder(link)


def test_failed_report_leaves_nothing(vectors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Comparison(vectors, settings=Settings(epochs=1), seeds=1).run(texts())
    monkeypatch.setattr(Path, "write_bytes", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(report, tmp_path / "report")
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.txt"]


def test_class_names_are_text_in_the_report(vectors: str, tmp_path: Path) -> None:
    data = texts()
    names = dict(zip(sorted(set(data.labels)), ["a|b\n\nc $\\e{$", "<b>*d*</b>"], strict=False))
    data = LabelledTexts(data.name, data.texts, [names.get(label, label) for label in data.labels], data.lines)
    write_report(Comparison(vectors, settings=Settings(epochs=1), seeds=1).run(data), tmp_path / "r")
    markdown = (tmp_path / "r/report.md").read_text(encoding="utf-8")
    assert r"classes \<b>\*d\*\</b>, a\|b c $\\e{$" in markdown
    page = (tmp_path / "r/report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;*d*&lt;/b&gt;" in page
    assert "<b>*d*" not in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding_dim": 7}, "embedding_dim is 7 but the vectors have dim 5"),
        ({"seeds": 0}, "seeds must be 1 or more, found 0"),
        ({"test_fraction": 1.5}, "test_fraction must be between 0 and 1, found 1.5"),
        ({"test_fraction": 0.001}, "too few texts to hold out"),
    ],
)
def test_wrong_options(vectors: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Comparison(vectors, **options).run(texts())


def test_numbers_that_are_not_finite_are_null_in_the_report(vectors: str, tmp_path: Path) -> None:
    settings = Settings(epochs=2, lr=1e38, optimizer="sgd")
    write_report(Comparison(vectors, settings=settings, seeds=2).run(texts()), tmp_path / "r")

    def refused(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    report = json.loads((tmp_path / "r/report.json").read_text(encoding="utf-8"), parse_constant=refused)
    assert None in report["arms"]["random_trained"]["loss"][0]


def test_too_few_texts_to_train_on(vectors: str) -> None:
    with pytest.raises(ValueError, match="too few texts to train on where 99% of a class are held out"):
        Comparison(vectors, test_fraction=0.99).run(texts(9))


@pytest.mark.parametrize("labels", [["x"] * 9 + ["y"], ["x", "z"] * 5 + ["y"]])
def test_a_class_that_would_be_held_out_whole_is_named(vectors: str, labels: list[str]) -> None:
    data = LabelledTexts("data", ["a b"] * len(labels), labels, list(range(len(labels))))
    with pytest.raises(ValueError, match="data: no text of class 'y' is left to train on where 60% of a class"):
        Comparison(vectors, test_fraction=0.6).run(data)
