"""TextClassifier against its contract, and against scikit-learn's."""

from __future__ import annotations

import copy
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="TextClassifier needs PyTorch")
pytest.importorskip("sklearn", reason="TextClassifier needs scikit-learn")

from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402

from embrow import TextClassifier  # noqa: E402
from embrow.model import TextModel  # noqa: E402
from embrow.training import PATIENCE, Rows, Settings, fit_model, seeded, train  # noqa: E402
from embrow.vectors import WordVectors  # noqa: E402
from packed import with_zip_field  # noqa: E402

TEXTS = ["nice great best amazing", "stop lies", "pitiful nerd", "excellent work", "supreme quality", "bad"] * 4
LABELS = ["good", "poor", "poor", "good", "good", "poor"] * 4
QUICK = {"embedding_dim": 8, "epochs": 20, "lr": 0.1, "batch_size": 4}


def word_vectors(dim: int = 8) -> WordVectors:
    tokens = ["nice", "great", "bad", "work", "elsewhere"]
    return WordVectors(tokens, np.random.default_rng(0).normal(size=(len(tokens), dim)).astype(np.float32))


@pytest.mark.parametrize("pooling", ["flatten", "mean", "max"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adagrad", "adamw"])
def test_learns_the_training_texts(pooling: str, sparse: bool, optimizer: str) -> None:
    model = TextClassifier(**{**QUICK, "lr": 0.5 if optimizer == "sgd" else 0.1}, pooling=pooling, optimizer=optimizer)
    model.set_params(sparse=sparse).fit(TEXTS, LABELS)
    assert model.score(TEXTS, LABELS) == 1.0
    assert model.history_["loss"][-1] < model.history_["loss"][0]


def test_probabilities_of_two_and_of_three_classes_sum_to_one() -> None:
    for labels in (LABELS, [0, 1, 2] * 8):
        model = TextClassifier(**QUICK).fit(TEXTS, labels)
        probabilities = model.predict_proba(TEXTS)
        assert probabilities.shape == (24, len(set(labels)))
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
        np.testing.assert_array_equal(model.classes_[probabilities.argmax(1)], model.predict(TEXTS))
    assert model.model_.linear.out_features == 3


def test_labels_keep_their_dtype() -> None:
    assert TextClassifier(**QUICK).fit(TEXTS, np.array([1, 0] * 12, dtype=np.int8)).predict(["bad"]).dtype == np.int8
    assert TextClassifier(**QUICK).fit(TEXTS, [True, False] * 12).predict(["bad"]).dtype == np.bool_


def test_labels_of_pandas_own_dtypes_keep_them() -> None:
    pandas = pytest.importorskip("pandas", reason="labels of pandas")
    for dtype, expected in (("Int64", np.int64), ("UInt8", np.uint8), ("boolean", np.bool_)):
        for kind in (pandas.Series, pandas.Index, pandas.array):
            model = TextClassifier(**{**QUICK, "epochs": 1}).fit(TEXTS, kind([1, 0] * 12, dtype=dtype))
            assert model.predict(["bad"]).dtype == expected


def test_random_and_pretrained_differ_in_the_table_alone() -> None:
    settings = Settings(epochs=1, batch_size=4, lr=1e-12, optimizer="sgd")
    rows = Rows(torch.randint(0, 9, (16, 5)), torch.arange(16) % 2)
    shape = {"num_embeddings": 9, "embedding_dim": 4, "classes": 2, "padding_idx": 0, "seed": 3}
    random, _ = fit_model(rows, settings, **shape)
    weight = np.ones((9, 4), np.float32)
    weight[0] = 0
    pretrained, _ = fit_model(rows, settings, **shape, weight=weight)
    assert torch.equal(random.linear.weight, pretrained.linear.weight)
    assert torch.equal(random.linear.bias, pretrained.linear.bias)
    assert not torch.equal(random.embedding.weight, pretrained.embedding.weight)
    assert [name for name, _ in random.named_modules()] == [name for name, _ in pretrained.named_modules()]


def test_training_leaves_the_given_matrix_alone() -> None:
    weight = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    before = weight.copy()
    rows = Rows(torch.randint(1, 9, (16, 5)), torch.arange(16) % 2)
    fit_model(
        rows, Settings(epochs=2), num_embeddings=9, embedding_dim=4, classes=2, padding_idx=0, seed=0, weight=weight
    )
    np.testing.assert_array_equal(weight, before)


def test_a_step_equals_pytorchs_own_modules() -> None:
    ids, labels = torch.tensor([[2, 3, 0], [4, 2, 5]]), torch.tensor([1, 0])
    with seeded(0):
        model = TextModel(6, 4, 1, padding_idx=0, width=3, sparse=False)
    table = torch.nn.Embedding(6, 4, padding_idx=0, _weight=model.embedding.weight.detach().clone())
    linear = torch.nn.Linear(12, 1)
    linear.load_state_dict(model.linear.state_dict())
    optimizer = torch.optim.SGD([*table.parameters(), *linear.parameters()], lr=0.5)
    scores = linear(table(ids).flatten(1)).squeeze(1)
    loss = torch.nn.functional.binary_cross_entropy(torch.sigmoid(scores), labels.float())
    loss.backward()
    optimizer.step()
    settings = Settings(epochs=1, batch_size=2, lr=0.5, optimizer="sgd", sparse=False)
    history = train(model, Rows(ids, labels), settings, seed=0, shuffle=False)
    assert history["loss"][0] == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(model.embedding.weight, table.weight)
    torch.testing.assert_close(model.linear.weight, linear.weight)
    assert torch.count_nonzero(model.embedding.weight[0]) == 0


def test_mean_and_max_leave_padding_out() -> None:
    ids = torch.tensor([[2, 3, 0, 0], [4, 0, 0, 0], [0, 0, 0, 0]])
    for pooling in ("mean", "max"):
        model = TextModel(5, 6, 3, padding_idx=0, width=4, pooling=pooling)
        rows = model.embedding.weight
        pooled = (rows[2] + rows[3]) / 2 if pooling == "mean" else torch.maximum(rows[2], rows[3])
        expected = model.linear(torch.stack([pooled, rows[4], torch.zeros(6)]))
        torch.testing.assert_close(model(ids), expected)


def test_frozen_table_keeps_its_bits() -> None:
    vectors = word_vectors()
    model = TextClassifier(vectors=vectors, freeze=True, oov="zeros", epochs=3, lr=0.1).fit(TEXTS, LABELS)
    table = model.model_.embedding.weight.detach().numpy()
    np.testing.assert_array_equal(table[model.vocab_["nice"]], vectors["nice"])
    assert not table[model.vocab_["lies"]].any()
    assert model.coverage_.matched == 4
    trained = clone(model).set_params(freeze=False).fit(TEXTS, LABELS)
    assert (trained.model_.embedding.weight.detach().numpy()[model.vocab_["nice"]] != vectors["nice"]).all()


@pytest.mark.parametrize("sparse", [True, False])
def test_padding_row_stays_zero(sparse: bool) -> None:
    model = TextClassifier(**QUICK, sparse=sparse).fit(TEXTS, LABELS)
    assert not model.model_.embedding.weight[model.vocab_.pad_id].detach().any()


def test_same_seed_gives_the_same_bits_whatever_the_threads() -> None:
    models = [TextClassifier(**QUICK, num_threads=threads).fit(TEXTS, LABELS) for threads in (None, 1, 2)]
    for other in models[1:]:
        assert torch.equal(models[0].model_.embedding.weight, other.model_.embedding.weight)
        assert other.history_ == models[0].history_
    assert TextClassifier(**QUICK, random_state=1).fit(TEXTS, LABELS).history_ != models[0].history_


def test_fit_leaves_torchs_generator_and_threads_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    before = torch.get_num_threads()
    TextClassifier(**QUICK, num_threads=1).fit(TEXTS, LABELS)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("labels", [LABELS, [0, 1, 2] * 8])
def test_fit_trains_where_gradients_are_off(outside: Any, labels: list[Any]) -> None:
    options = {**QUICK, "epochs": 3, "validation_fraction": 0.25, "class_weight": "balanced"}
    expected = TextClassifier(**options).fit(TEXTS, labels)
    with outside():
        found = TextClassifier(**options).fit(TEXTS, labels)
        assert not torch.is_grad_enabled()
    assert found.history_ == expected.history_
    found.model_(torch.ones(1, found._width, dtype=torch.int64)).sum().backward()


def test_probabilities_are_float32_under_autocast() -> None:
    for labels in (LABELS, [0, 1, 2] * 8):
        model = TextClassifier(**QUICK).fit(TEXTS, labels)
        with torch.autocast("cpu", torch.bfloat16):
            found = model.predict_proba(TEXTS)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, model.predict_proba(TEXTS), atol=0.05)


def test_flatten_cuts_and_pads_to_the_width_of_training() -> None:
    model = TextClassifier(**QUICK).fit(TEXTS, LABELS)
    assert model.model_.linear.in_features == 4 * 8
    long = "nice great best amazing bad bad bad"
    np.testing.assert_array_equal(model.predict_proba([long]), model.predict_proba(["nice great best amazing"]))
    assert TextClassifier(**QUICK, max_length=2).fit(TEXTS, LABELS).model_.linear.in_features == 2 * 8


def test_unknown_and_empty_texts_get_a_label() -> None:
    for pooling in ("flatten", "mean", "max"):
        model = TextClassifier(**QUICK, pooling=pooling).fit(TEXTS, LABELS)
        assert set(model.predict(["", "never seen before", "bad"])) <= {"good", "poor"}
        assert model.predict([]).shape == (0,)


def test_class_weights_favour_the_rare_class() -> None:
    texts, labels = ["a b"] * 18 + ["a b"] * 2, [0] * 18 + [1] * 2
    rare = {}
    for weight in (None, "balanced", {1: 50.0}):
        model = TextClassifier(**QUICK, class_weight=weight).fit(texts, labels)
        rare[str(weight)] = model.predict_proba(["a b"])[0, 1]
    assert rare["None"] < 0.3 < rare["balanced"] < rare["{1: 50.0}"]


def test_validation_and_early_stopping() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), 5)) for _ in range(60)]
    labels = rng.integers(0, 2, 60)
    model = TextClassifier(**{**QUICK, "epochs": 60}, validation_fraction=0.3, early_stopping=True).fit(texts, labels)
    losses = model.history_["val_loss"]
    assert len(losses) == len(model.history_["loss"]) == len(model.history_["val_accuracy"])
    assert len(losses) == int(np.argmin(losses)) + 1 + PATIENCE < 60


def test_words_of_held_out_texts_are_unknown() -> None:
    texts = [f"word{row} {'good' if row % 2 else 'bad'}" for row in range(20)]
    model = TextClassifier(**QUICK, validation_fraction=0.25).fit(texts, [row % 2 for row in range(20)])
    assert len(model.vocab_) == 2 + 2 + 15


@pytest.mark.parametrize("position", range(20))
def test_errors_name_rows_of_all_texts_where_some_are_held_out(position: int) -> None:
    labels = [row % 2 for row in range(20)]
    texts: list[Any] = [f"word{row}" for row in range(20)]
    for bad, error, message in [(3, TypeError, "row {} is int"), ("\ud800", ValueError, "row {} has a lone surrogate")]:
        with pytest.raises(error, match=message.format(position)):
            TextClassifier(**QUICK, validation_fraction=0.5).fit(
                [*texts[:position], bad, *texts[position + 1 :]], labels
            )


@pytest.mark.parametrize("tokenizer", ["whitespace", str.split])
def test_errors_of_rows_name_what_was_called(tokenizer: Any) -> None:
    model = TextClassifier(**QUICK, tokenizer=tokenizer).fit(TEXTS, LABELS)
    for bad, error, message in [
        (None, TypeError, r'row 1 is None; drop it or give ""$'),
        (3, TypeError, "row 1 is int; rows are str, bytes or lists of them"),
        (b"\xff", ValueError, "row 1 is not valid UTF-8 at byte 0"),
        # A callable makes tokens of it first.
        ("\ud800", ValueError, "row 1(, token 0)? has a lone surrogate at character 0"),
    ]:
        texts = ["nice", bad, "bad"]
        for called, action in (
            (lambda texts=texts: model.fit(texts, [0, 1, 0]), "fit"),
            (lambda texts=texts: model.predict(texts), "predict"),
            (lambda texts=texts: model.predict_proba(texts), "predict_proba"),
        ):
            with pytest.raises(error, match=f"^{action}: {message}"):
                called()


class Once:
    """Rows that have a length and can be read once, as those of a progress bar over a generator."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows, self.length = iter(rows), len(rows)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        return self.rows


@pytest.mark.parametrize("fraction", [0.0, 0.25])
def test_texts_are_read_once(fraction: float) -> None:
    options = {**QUICK, "validation_fraction": fraction}
    expected = TextClassifier(**options).fit(TEXTS, LABELS)
    found = TextClassifier(**options).fit(Once(TEXTS), LABELS)
    assert np.array_equal(found.predict_proba(Once(TEXTS)), expected.predict_proba(TEXTS))
    for row in range(len(TEXTS)):
        with pytest.raises(TypeError, match=f"^fit: row {row} is None") as raised:
            TextClassifier(**options).fit(Once([*TEXTS[:row], None, *TEXTS[row + 1 :]]), LABELS)
        assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_texts_without_an_order_are_refused() -> None:
    distinct = {f"{text} {row}" for row, text in enumerate(TEXTS)}
    for texts in (distinct, frozenset(distinct)):
        with pytest.raises(TypeError, match=f"fit: the texts are a {type(texts).__name__}, which has no order"):
            TextClassifier(**QUICK).fit(texts, LABELS)


def test_what_a_tokenizer_raises_is_its_own() -> None:
    class Mine(ValueError):
        pass

    def tokenizer(text: str) -> list[str]:
        raise Mine("row 7 of my words is broken")

    with pytest.raises(Mine, match=r"^row 7 of my words is broken$"):
        TextClassifier(**QUICK, tokenizer=tokenizer, validation_fraction=0.5).fit(TEXTS, LABELS)


def test_scikit_learn_clones_searches_and_pipes() -> None:
    model = TextClassifier(**QUICK, lowercase=True)
    assert clone(model).get_params() == model.get_params()
    pipeline = make_pipeline(FunctionTransformer(), model)
    search = GridSearchCV(pipeline, {"textclassifier__pooling": ["flatten", "mean"]}, cv=2).fit(TEXTS, LABELS)
    assert search.best_score_ > 0.5
    assert set(search.predict(np.array(["BAD"], dtype=object))) <= {"good", "poor"}
    vectors = word_vectors()
    search = GridSearchCV(TextClassifier(**QUICK), {"vectors": [None, vectors]}, cv=2).fit(TEXTS, LABELS)
    assert list(search.cv_results_["param_vectors"]) == [None, vectors]


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "model.embrow"
    model = TextClassifier(vectors=word_vectors(), lr=0.1, pooling="mean", epochs=3).fit(TEXTS, LABELS)
    model.save(path)
    loaded = TextClassifier.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert loaded.classes_.tolist() == ["good", "poor"]
    assert loaded.history_ == model.history_
    assert loaded.coverage_ == model.coverage_
    assert loaded.get_params()["pooling"] == "mean"
    assert [file.name for file in tmp_path.iterdir()] == ["model.embrow"]
    again = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(again.predict(TEXTS), model.predict(TEXTS))


@pytest.mark.parametrize("pooling", ["flatten", "mean", "max"])
def test_parameters_for_the_next_fit_leave_the_model_as_it_is(tmp_path: Path, pooling: str) -> None:
    model = TextClassifier(**QUICK | {"pooling": pooling, "epochs": 1}, max_length=2, tokenizer="words")
    expected = model.fit(TEXTS, LABELS).predict_proba(TEXTS)
    model.set_params(pooling="max" if pooling == "mean" else "mean", max_length=1, tokenizer=str.split, lowercase=False)
    np.testing.assert_array_equal(model.predict_proba(TEXTS), expected)
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), expected)
    assert (loaded.pooling, loaded.max_length, loaded.tokenizer) == (pooling, 2, "words")


@pytest.mark.parametrize("vectors", [None, word_vectors()], ids=["random", "pretrained"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_default_dtype_is_no_matter(vectors: WordVectors | None, optimizer: str) -> None:
    made = []
    for dtype in (torch.float32, torch.float64):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            model = TextClassifier(vectors=vectors, optimizer=optimizer, epochs=2, pooling="mean").fit(TEXTS, LABELS)
            made.append((model.history_, model.predict_proba(TEXTS), model.predict_proba([])))
        finally:
            torch.set_default_dtype(before)
    assert made[0][0] == made[1][0]
    for scores, others in zip(made[0][1:], made[1][1:], strict=True):
        assert others.dtype == np.float32
        np.testing.assert_array_equal(scores, others)


def test_parameters_of_numpy_types(tmp_path: Path) -> None:
    plain = {
        "embedding_dim": 8,
        "freeze": False,
        "max_length": 3,
        "min_freq": 1,
        "max_size": 20,
        "lowercase": True,
        "epochs": 2,
        "batch_size": 4,
        "lr": 0.125,
        "sparse": True,
        "validation_fraction": 0.25,
        "early_stopping": True,
        "class_weight": {0: 1.0, 1: 2.0},
        "num_threads": 1,
        "random_state": 4,
        "verbose": 0,
    }
    of_type = {bool: np.bool_, int: np.int64, float: np.float32}
    given: dict[str, Any] = {name: of_type.get(type(value), dict)(value) for name, value in plain.items()}
    given["class_weight"] = {np.int64(0): np.float32(1), np.int64(1): np.float32(2)}
    given["pooling"] = np.str_("mean")
    labels = [label == "good" for label in LABELS]
    model = TextClassifier(**given).fit(TEXTS, np.array(labels, dtype=np.int64))
    expected = TextClassifier(**plain, pooling="mean").fit(TEXTS, np.array(labels, dtype=np.int64))
    assert all(model.get_params()[name] is value for name, value in given.items())
    clone(model)
    model.save(tmp_path / "m")
    loaded = TextClassifier.load(tmp_path / "m")
    assert loaded.get_params() == expected.get_params()
    for one in (model, loaded):
        assert np.array_equal(one.predict_proba(TEXTS), expected.predict_proba(TEXTS))


def test_a_model_of_a_device_that_is_not_here_is_loaded_onto_another(tmp_path: Path) -> None:
    path = tmp_path / "model.embrow"
    model = TextClassifier(**{**QUICK, "epochs": 1}).fit(TEXTS, LABELS)
    expected = model.predict_proba(TEXTS)
    model.set_params(device="cuda:99").save(path)
    with pytest.raises(RuntimeError, match=r'model\.embrow: the model is for cuda:99, .* such as device="cpu"'):
        TextClassifier.load(path)
    loaded = TextClassifier.load(path, device=torch.device("cpu"))
    assert loaded.get_params()["device"] == torch.device("cpu")
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), expected)


def test_damaged_model_file_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "model.embrow"
    TextClassifier(**{**QUICK, "epochs": 1}).fit(TEXTS, LABELS).save(path)
    whole = path.read_bytes()
    damaged = [
        whole[: len(whole) // 2],
        whole[:-10],
        b"",
        b"not a model",
        whole.replace(b"embrow text", b"embryo text"),
        with_zip_field(whole, "flags", 1),
        with_zip_field(whole, "method", 99),
    ]
    damaged += [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in (200, len(whole) // 2)]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.embrow: not a readable embrow model: "):
            TextClassifier.load(path)
    with pytest.raises(FileNotFoundError):
        TextClassifier.load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "value"), [("classes_dtype", "<i8"), ("params", 3), ("params", {"class_weight": [[1]]}), ("width", -1)]
)
def test_a_model_file_of_other_facts_is_a_value_error(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "model.embrow"
    TextClassifier(**{**QUICK, "epochs": 1}).fit(TEXTS, LABELS).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members["model.json"] = json.dumps({**json.loads(members["model.json"]), name: value}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    with pytest.raises(ValueError, match=r"model\.embrow: damaged embrow model: "):
        TextClassifier.load(path)


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.embrow"
    path.write_text("old")
    model = TextClassifier(**{**QUICK, "epochs": 1}).fit(TEXTS, LABELS)
    monkeypatch.setattr("numpy.lib.format.write_array", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.embrow"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_model_made_another_dtype_is_not_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    model = TextClassifier(**QUICK).fit(TEXTS, LABELS)
    model.model_.to(dtype)
    with pytest.raises(ValueError, match=rf"save: linear.weight of model_ is {dtype}; a file holds torch.float32"):
        model.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
    model.model_.float()
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(TextClassifier.load(tmp_path / "m").predict_proba(TEXTS), model.predict_proba(TEXTS))


def test_function_as_tokenizer_works_but_is_not_saved(tmp_path: Path) -> None:
    model = TextClassifier(**QUICK, tokenizer=lambda text: text.split("t")).fit(TEXTS, LABELS)
    assert "s" in model.vocab_
    with pytest.raises(ValueError, match="the tokenizer is a function"):
        model.save(tmp_path / "model")


@pytest.mark.parametrize(
    ("texts", "labels", "error", "message"),
    [
        ([], [], ValueError, "fit: no texts"),
        (["a", "b"], ["x", "x"], ValueError, "fit: only one class, 'x'"),
        (["a", "b"], ["x"], ValueError, "fit: 2 texts but 1 labels"),
        (["a", "b"], ["x", None], ValueError, "fit: the label of row 1 is missing"),
        (["a", "b"], [0.5, 0.7], ValueError, "Unknown label type"),
        (["", ""], ["x", "y"], ValueError, "fit: every text is empty"),
        ("ab", ["x", "y"], TypeError, r"give \[text\]"),
        (["a", None], ["x", "y"], TypeError, "row 1"),
        (["a", "b"], None, ValueError, "requires y"),
        (
            {"a": 1, "b": 2},
            ["x", "y"],
            TypeError,
            "fit: expected rows of text, found one dict; pass a list of its keys",
        ),
    ],
)
def test_wrong_texts_and_labels(texts: object, labels: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TextClassifier().fit(texts, labels)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"vectors": "VECTORS", "embedding_dim": 9}, "embedding_dim is 9 but the vectors have dim 8"),
        ({"pooling": "sum"}, "pooling must be one of flatten, mean, max, found 'sum'"),
        ({"optimizer": "lion"}, "optimizer must be one of adam, sgd, adagrad, adamw, found 'lion'"),
        ({"epochs": 0}, "epochs must be an integer of 1 or more, found 0"),
        ({"batch_size": 1.5}, "batch_size must be an integer of 1 or more, found 1.5"),
        ({"lr": 0.0}, "lr must be above 0, found 0.0"),
        ({"lr": float("inf")}, "lr must be finite, found inf"),
        ({"max_length": 0}, "max_length must be 1 or more, found 0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be from 0 to below 1, found 1.0"),
        ({"early_stopping": True}, "early_stopping=True needs a validation_fraction above 0"),
        ({"class_weight": {"fine": 2.0}}, "class_weight: 'fine' is not a label of the texts"),
        ({"class_weight": {"good": float("nan")}}, r"class_weight\['good'\] must be finite and 0 or more, found nan"),
        ({"class_weight": {"good": -1}}, r"class_weight\['good'\] must be finite and 0 or more, found -1"),
        ({"class_weight": "even"}, "class_weight must be a dict, 'balanced' or None, found 'even'"),
        ({"oov": "bogus"}, "oov must be one of normal, uniform, zeros, mean, subword, found 'bogus'"),
        ({"lr": 1e300}, r"lr must be 3.4028235e\+38 or less, as a float32 is, found 1e\+300"),
        ({"batch_size": 10**20}, f"batch_size must be {2**63 - 1} or less, found {10**20}"),
        ({"batch_size": True}, "batch_size must be an integer of 1 or more, found True"),
        ({"embedding_dim": 10**20}, f"embedding_dim must be {2**24} or less, found {10**20}"),
    ],
)
def test_wrong_parameters(parameters: dict[str, object], message: str) -> None:
    if "vectors" in parameters:
        parameters = {**parameters, "vectors": word_vectors()}
    with pytest.raises(ValueError, match=message):
        TextClassifier(**parameters).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lr": torch.tensor(0.1)}, r"lr must be a number, found tensor\(0.1000\) of type Tensor"),
        ({"lr": "fast"}, "lr must be a number, found 'fast' of type str"),
        ({"embedding_dim": 2.5}, "embedding_dim must be an integer, found 2.5 of type float"),
        ({"max_length": True}, "max_length must be an integer, found True of type bool"),
        ({"validation_fraction": None}, "validation_fraction must be a number, found None of type NoneType"),
        ({"class_weight": {"good": None}}, r"class_weight\['good'\] must be a number, found None"),
        ({"class_weight": {"good": "2"}}, r"class_weight\['good'\] must be a number, found '2' of type str"),
        ({"device": None}, "device must be a str or a torch.device, found NoneType"),
    ],
)
def test_parameters_of_wrong_types(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        TextClassifier(**parameters).fit(TEXTS, LABELS)


class Unread:
    """Texts that nobody may read."""

    def __iter__(self) -> Any:
        raise AssertionError("the texts were read")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"device": "gpu"}, ValueError, 'device is \'gpu\', which PyTorch does not know; give "auto", "cpu", "cuda"'),
        ({"random_state": "a"}, ValueError, "random_state must be an integer from 0 .* or None, found 'a'"),
        ({"random_state": -1}, ValueError, "random_state must be an integer from 0 .* or None, found -1"),
        ({"min_freq": 1.5}, TypeError, "min_freq: 'float' object"),
        ({"min_freq": True}, TypeError, "min_freq: True is a bool"),
        ({"max_size": -1}, ValueError, "max_size is -1"),
        ({"num_threads": 0}, ValueError, "num_threads must be 1 or more, found 0"),
        ({"tokenizer": "x"}, ValueError, "tokenizer is 'x'"),
        ({"vectors": 3}, TypeError, "vectors must be a path, a name or WordVectors, found int"),
        ({"vectors": word_vectors(), "oov": "subword"}, ValueError, "oov='subword' needs vectors with subwords"),
        ({"vectors": word_vectors(), "embedding_dim": 99}, ValueError, "embedding_dim is 99 but the vectors have dim"),
    ],
)
def test_parameters_are_checked_before_a_text_is_read(
    parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TextClassifier(**parameters).fit(Unread(), LABELS)


def test_a_share_too_small_to_hold_every_class_is_named() -> None:
    texts, labels = ["a", "b"] * 10, [0, 1] * 10
    with pytest.raises(ValueError, match=r"^fit: validation_fraction=0.01 of 20 texts cannot be drawn by class: "):
        TextClassifier(validation_fraction=0.01).fit(texts, labels)


def test_labels_of_variable_width(tmp_path: Path) -> None:
    labels = np.array(LABELS, dtype=np.dtypes.StringDType())
    found, known = (TextClassifier(epochs=2).fit(TEXTS, y) for y in (labels, LABELS))
    assert found.classes_.tolist() == known.classes_.tolist()
    assert found.predict(TEXTS).tolist() == known.predict(TEXTS).tolist()
    found.save(tmp_path / "model")
    assert TextClassifier.load(tmp_path / "model").predict(TEXTS).tolist() == known.predict(TEXTS).tolist()


def test_a_device_that_pytorch_does_not_know_is_told_before_a_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device is 'gpu', which PyTorch does not know"):
        TextClassifier.load(tmp_path / "absent", device="gpu")


def test_a_device_that_is_not_here() -> None:
    with pytest.raises(RuntimeError, match=r"device is cuda:99, and PyTorch has \d+ CUDA devices here"):
        TextClassifier(device="cuda:99").fit(TEXTS, LABELS)


def test_unfitted() -> None:
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(TextClassifier(), method)(["a"])


def test_verbose_writes_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    TextClassifier(**{**QUICK, "epochs": 2}, verbose=1).fit(TEXTS, LABELS)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split(":")[0] for line in captured.err.splitlines()] == ["epoch 1", "epoch 2"]


def test_verbose_writes_nothing_where_standard_error_is_closed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    TextClassifier(**{**QUICK, "epochs": 2}, verbose=1).fit(TEXTS, LABELS)
    assert capsys.readouterr().out == ""


def test_a_fitted_classifier_stands_alone() -> None:
    model = TextClassifier(embedding_dim=4, epochs=3, lr=0.1).fit(TEXTS, LABELS)
    weight = model.model_.embedding.weight.detach().clone()
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(copied.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert torch.equal(model.model_.embedding.weight, weight)  # reading the table changed nothing


def test_sparse_training_gives_the_numbers_of_dense() -> None:
    for optimizer in ("adam", "adamw", "sgd", "adagrad"):
        sparse, dense = (
            TextClassifier(embedding_dim=4, epochs=5, lr=0.05, optimizer=optimizer, sparse=sparse).fit(TEXTS, LABELS)
            for sparse in (True, False)
        )
        assert np.allclose(sparse.predict_proba(TEXTS), dense.predict_proba(TEXTS), atol=1e-5)


def test_class_weights_are_saved(tmp_path: Path) -> None:
    labels = sorted(set(LABELS))
    weights = dict(zip(labels, (1.0, 2.0), strict=False))
    TextClassifier(embedding_dim=4, epochs=1, class_weight=weights).fit(TEXTS, LABELS).save(tmp_path / "m")
    assert TextClassifier.load(tmp_path / "m").class_weight == weights


def test_a_fit_that_fails_leaves_the_one_before_it() -> None:
    model = TextClassifier(**QUICK).fit(TEXTS, LABELS)
    expected = model.predict_proba(TEXTS)
    model.vectors = "missing.vec"
    with pytest.raises(FileNotFoundError):
        model.fit(["other words", "and more"] * 4, ["one", "two"] * 4)
    assert np.array_equal(model.predict_proba(TEXTS), expected)
    assert set(model.predict(TEXTS)) == {"good", "poor"}
    shorter = model.predict_proba(["nice"])
    model.pooling = "mean"
    with pytest.raises(FileNotFoundError):
        model.fit(TEXTS, LABELS)
    assert np.array_equal(model.predict_proba(["nice"]), shorter)


@pytest.mark.parametrize(
    ("labels", "row"), [(["x", "y", float("nan")], 2), (["x", None, "y"], 1), ([1.0, 2.0, float("nan")], 2)]
)
def test_a_missing_label_is_named(labels: list[Any], row: int) -> None:
    pandas = pytest.importorskip("pandas", reason="labels of pandas")
    column = [[label] for label in labels]
    kinds = [labels, tuple(labels), column, np.array(labels, dtype=object), pandas.Series(labels), pandas.Index(labels)]
    if "x" in labels:
        kinds.append(pandas.Series(labels, dtype="string"))
    else:
        kinds += [np.array(labels), np.array(labels, dtype=np.float32), np.array(column)]
        kinds.append(np.array(["2020-01-01", "2020-01-02", "NaT"], dtype="M8[ns]"))
    for kind in kinds:
        with pytest.raises(ValueError, match=f"fit: the label of row {row} is missing"):
            TextClassifier(**QUICK).fit(["a", "b", "c"], kind)


def test_sparse_may_be_told_by_a_number() -> None:
    expected = TextClassifier(**QUICK, sparse=False).fit(TEXTS, LABELS).predict_proba(TEXTS)
    assert np.array_equal(TextClassifier(**QUICK, sparse=0).fit(TEXTS, LABELS).predict_proba(TEXTS), expected)


@pytest.mark.parametrize("labels", [["x", "y", "y"], [1, 2, 2], [[1], [2], [2]]])
def test_a_masked_label_is_missing(labels: list[Any]) -> None:
    masked = np.ma.array(labels, mask=np.reshape([False, True, False], np.shape(labels)))
    with pytest.raises(ValueError, match="fit: the label of row 1 is missing"):
        TextClassifier(**QUICK).fit(["a", "b", "c"], masked)
