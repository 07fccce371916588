"""The command line: what each command writes, and one line for each wrong input."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

for module in ("torch", "sklearn", "click", "rich", "matplotlib", "jinja2"):
    pytest.importorskip(module, reason=f"the command line needs {module}")

import torch  # noqa: E402

from embrow import TextClassifier  # noqa: E402
from embrow.cli import main  # noqa: E402
from fasttext_files import MODELS, Model  # noqa: E402

LONE_SURROGATE = '{"text": "a", "label": "b"}\n{"text": "c\\ud800", "label": "d"}\n'
WORDS = ["nice", "great", "bad", "awful"]
CSV = "label,text\n" + "good,nice great\npoor,bad awful\n" * 12


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = {word: rng.normal(size=3).astype("<f4") for word in WORDS}
    Path("vectors.bin").write_bytes(
        f"{len(rows)} 3\n".encode()
        + b"".join(word.encode() + b" " + row.tobytes() + b"\n" for word, row in rows.items())
    )
    Path("data.csv").write_text(CSV, encoding="utf-8")
    return tmp_path


def test_compare_writes_a_report_and_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys, "compare", "data.csv", "--vectors", "vectors.bin", "--seeds", 2, "--epochs", 1, "--report", "r"
    )
    assert (code, err) == (0, "")
    assert "pretrained, trained" in out
    assert "largest class" in out
    assert "0.5000" in out
    assert {path.name for path in Path("r").iterdir()} >= {"report.json", "report.md", "report.html", "loss.png"}
    config = json.loads(Path("r/report.json").read_text(encoding="utf-8"))["config"]
    assert config["settings"]["epochs"] == 1
    assert config["embedding_dim"] == 3


def test_compare_takes_a_test_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("test.csv").write_text("label,text\npoor,bad\n", encoding="utf-8")
    arguments = ("--test", "test.csv", "--vectors", "vectors.bin", "--seeds", 1, "--epochs", 1, "--report", "r")
    assert run(capsys, "compare", "data.csv", *arguments)[0] == 0
    assert json.loads(Path("r/report.json").read_text(encoding="utf-8"))["config"]["test_rows"] == 1


def test_train_then_predict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "train", "data.csv", "-o", "model", "--lr", 0.1, "--vectors", "vectors.bin")
    assert (code, err) == (0, "")
    assert "24 texts, 6 tokens, 2 classes" in out
    Path("lines.txt").write_text("nice great\nbad awful\n", encoding="utf-8")
    assert run(capsys, "predict", "model", "lines.txt") == (0, "good\npoor\n", "")
    code, out, _ = run(capsys, "predict", "model", "lines.txt", "--proba")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == ["good", "poor"]
    assert all(float(row[1]) + float(row[2]) == pytest.approx(1, abs=1e-5) for row in rows)
    code, out, err = run(capsys, "predict", "model", "data.csv", "--label-column", "label")
    assert (code, out) == (0, "good\npoor\n" * 12)
    assert err == "accuracy 1.0000 (24 of 24)\n"
    assert run(capsys, "predict", "model", "data.csv", "--text-column", "text") == (0, "good\npoor\n" * 12, "")
    Path("lines.jsonl").write_text('{"text": "nice great"}\n', encoding="utf-8")
    assert run(capsys, "predict", "model", "lines.jsonl", "--format", "jsonl") == (0, "good\n", "")


def test_predict_takes_labels_from_scores_not_from_rounded_probabilities(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "train", "data.csv", "-o", "model", "--epochs", 1)[0] == 0
    classifier = TextClassifier.load("model")
    for parameter in classifier.model_.linear.parameters():
        torch.nn.init.constant_(parameter, 1e-12)
    classifier.save("model")
    Path("lines.txt").write_text("nice\n", encoding="utf-8")
    assert classifier.predict(["nice"]) == ["poor"]
    assert run(capsys, "predict", "model", "lines.txt") == (0, "poor\n", "")
    assert run(capsys, "predict", "model", "lines.txt", "--proba") == (0, "poor\t0.500000\t0.500000\n", "")


def test_rows_of_unseen_tokens_made_of_subwords(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("model.bin").write_bytes(Model().to_bytes())
    train = ("train", "data.csv", "-o", "model", "--epochs", 1, "--oov", "subword", "--vectors")
    assert run(capsys, *train, "model.bin")[0] == 0
    assert TextClassifier.load("model").oov == "subword"
    code, _, err = run(capsys, *train, "vectors.bin")
    assert (code, err) == (
        1,
        'embrow: embedding_matrix: oov="subword" needs vectors with subwords, and these have none\n',
    )
    compare = ("compare", "data.csv", "--report", "r", "--seeds", 1, "--epochs", 1, "--oov", "subword", "--vectors")
    assert run(capsys, *compare, "model.bin")[0] == 0
    assert json.loads(Path("r/report.json").read_text(encoding="utf-8"))["config"]["oov"] == "subword"


def test_a_model_trained_on_a_gpu_predicts_without(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "train", "data.csv", "-o", "model", "--lr", 0.1, "--vectors", "vectors.bin")[0] == 0
    TextClassifier.load("model").set_params(device="cuda:99").save("model")
    Path("lines.txt").write_text("nice great\nbad awful\n", encoding="utf-8")
    assert run(capsys, "predict", "model", "lines.txt", "--device", "cpu") == (0, "good\npoor\n", "")
    assert run(capsys, "predict", "model", "lines.txt") == (0, "good\npoor\n", "")


def test_vocab_then_encode(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lines.txt").write_text("b a b\n\nc\n", encoding="utf-8")
    assert run(capsys, "vocab", "lines.txt", "-o", "v") == (0, "v: 5 tokens\n", "")
    assert run(capsys, "encode", "lines.txt", "--vocab", "v", "-o", "ids.npy", "--dtype", "int32")[0] == 0
    ids = np.load("ids.npy")
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 3, 2, 4]
    assert np.load("ids.offsets.npy").tolist() == [0, 3, 3, 4]
    assert run(capsys, "encode", "lines.txt", "--vocab", "v", "-o", "ids.npy", "--max-length", "2")[0] == 0
    assert np.load("ids.npy").tolist() == [[2, 3], [0, 0], [4, 0]]


def test_vectors_info(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "vectors", "info", "vectors.bin")
    assert code == 0
    assert "format: word2vec-binary" in out
    assert "dim: 3" in out


def test_vectors_convert(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from embrow.vectors import load_vectors

    code, out, err = run(capsys, "vectors", "convert", "vectors.bin", "v.safetensors")
    assert (code, out, err) == (0, "v.safetensors: 4 of 4 rows of 3, safetensors\n", "")
    run(capsys, "vocab", "data.csv", "-o", "vocab", "--tokenizer", "words")
    code, out, err = run(
        capsys, "vectors", "convert", "v.safetensors", "v.txt", "--format", "glove", "--vocab", "vocab", "--limit", 3
    )
    assert (code, out, err) == (0, "v.txt: 3 of 3 rows of 3, glove\n", "")
    run(capsys, "vectors", "convert", "v.txt", "v.npy", "--dtype", "float16")
    whole, some = load_vectors("vectors.bin"), load_vectors("v.npy", dtype="float16")
    assert (some.tokens, some.weight.tobytes()) == (whole.tokens[:3], whole.weight[:3].astype("f2").tobytes())
    for arguments, message in [
        (("vectors.bin", "v.xyz"), "the suffix '.xyz' names no format"),
        (("vectors.bin", "absent/v.vec"), "absent/v.vec"),
        (("data.csv", "v.vec", "--from-format", "word2vec-text"), "the header must be two whole numbers"),
    ]:
        code, out, err = run(capsys, "vectors", "convert", *arguments)
        assert (code, out) == (1, "")
        assert message in err
        assert err.count("\n") == 1
    code, out, err = run(capsys, "vectors", "convert", "vectors.bin", "v.vec", "--from-format", "w2v")
    assert (code, out) == (2, "")
    assert "'w2v' is not one of 'auto', 'word2vec-binary'" in err
    assert sorted(path.name for path in folder.iterdir()) == [
        "data.csv",
        "v.npy",
        "v.safetensors",
        "v.txt",
        "v.words",
        "vectors.bin",
        "vocab",
    ]


def test_vectors_convert_warns_of_what_is_lost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = MODELS["subwords"].to_bytes()
    (folder / "model.bin").write_bytes(data + b"more")
    code, out, err = run(capsys, "vectors", "convert", "model.bin", "v.fifu")
    assert (code, out) == (0, "v.fifu: 11 of 11 rows of 6, finalfusion\n")
    assert err.splitlines() == [
        f"embrow: warning: model.bin: the header declares 11 rows; more bytes follow at {len(data)} and are not read",
        "embrow: warning: model.bin: save: the subwords are lost; tokens that have no row have no vector in the file",
    ]
    _, out, _ = run(capsys, "vectors", "info", "v.fifu")
    assert "format: finalfusion\ncompression: None\nrows: 11\ndim: 6\ndtype: float32\n" in out


def compare_with(*arguments: str, data: str = "data.csv", vectors: str = "vectors.bin") -> tuple[str, ...]:
    return ("compare", data, "--vectors", vectors, "--report", "out", "--seeds", "1", "--epochs", "1", *arguments)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, compare_with(data="absent.csv"), "absent.csv: No such file or directory"),
        (None, compare_with(vectors="absent.bin"), "absent.bin"),
        (None, ("train", "absent.csv", "-o", "out"), "absent.csv: No such file or directory"),
        (None, ("predict", "absent"), "absent: No such file or directory"),
        (None, ("encode", "data.csv", "--vocab", "absent", "-o", "out"), "absent"),
        (None, ("vocab", "absent", "-o", "out"), "absent: No such file or directory"),
        ("a,b\n1,2\n", compare_with(data="x"), "no column 'text'"),
        ("a,label\n1,2\n", ("train", "x", "-o", "out"), "no column 'text'"),
        ("text,b\n1,2\n", compare_with(data="x"), "no column 'label'"),
        ("label,text\nodd,a\n", compare_with("--test", "x"), "x, line 2: unknown label 'odd'"),
        ("label,text\n", compare_with(data="x"), "x: no texts"),
        ("", compare_with(data="x"), "x: no texts"),
        ("", ("train", "x", "-o", "out"), "x: no texts"),
        ("", ("vocab", "x", "-o", "out"), "x: no texts"),
        ("label,text\n" + "a,b\n" * 9, compare_with(data="x"), "only one class, 'a'"),
        ("label,text\n" + "a,b\n" * 9, ("train", "x", "-o", "out"), "only one class, 'a'"),
        ("label,text\na,b\n ,c\n", compare_with(data="x"), "x, line 3, column 'label': the label is blank"),
        ("label,text\na,b\n,c\n", ("train", "x", "-o", "out"), "x, line 3, column 'label': the label is blank"),
        (LONE_SURROGATE, compare_with(data="x"), "x, line 2: 'text' has a lone surrogate at character 1"),
        (LONE_SURROGATE, ("train", "x", "-o", "out"), "x, line 2: 'text' has a lone surrogate at character 1"),
        (None, compare_with("--dim", "4"), "embedding_dim is 4 but the vectors have dim 3"),
        (None, ("train", "data.csv", "-o", "out", "--vectors", "vectors.bin", "--dim", "4"), "embedding_dim is 4"),
        (None, ("train", "data.csv", "-o", "no/out"), "no/out: cannot be written: No such file or directory"),
        ("damaged", ("predict", "x", "data.csv"), "x: not a readable embrow model"),
        ("damaged", ("encode", "data.csv", "--vocab", "x", "-o", "out"), "x"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str | None, arguments: tuple[str, ...], message: str
) -> None:
    if content is not None:
        Path("x").write_text(content, encoding="utf-8")
    before = sorted(folder.rglob("*"))
    code, out, err = run(capsys, *arguments)
    assert code == 1
    assert out == ""
    assert err.startswith("embrow: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", ["compare", "train"])
def test_vectors_cut_short(folder: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    whole = Path("vectors.bin").read_bytes()
    Path("vectors.bin").write_bytes(whole[:-6])
    before = sorted(folder.rglob("*"))
    arguments = (
        compare_with() if command == "compare" else ("train", "data.csv", "-o", "out", "--vectors", "vectors.bin")
    )
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert err.startswith("embrow: ")
    assert "vectors.bin" in err
    assert err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


def test_unknown_label_at_predict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "train", "data.csv", "-o", "model", "--epochs", 1)[0] == 0
    Path("x.csv").write_text("label,text\ngood,nice\nodd,bad\n", encoding="utf-8")
    code, out, err = run(capsys, "predict", "model", "x.csv", "--label-column", "label")
    assert (code, out) == (1, "")
    assert err == "embrow: x.csv, line 3: unknown label 'odd'; the model knows 'good', 'poor'\n"


@pytest.mark.parametrize("label", ["a\tb", "a\nb", "a\r"])
def test_labels_that_are_no_field_of_a_line(folder: Path, capsys: pytest.CaptureFixture[str], label: str) -> None:
    Path("x.csv").write_text(f'label,text\ngood,nice\n"{label}",bad\n', encoding="utf-8", newline="")
    code, out, err = run(capsys, "train", "x.csv", "-o", "model")
    assert (code, out) == (1, "")
    assert err.startswith(f"embrow: x.csv, line 3: the label {label!r} holds a tab, line end or lone surrogate")
    for name in (label, "\ud800"):
        TextClassifier(epochs=1).fit(["nice", "bad"], ["good", name]).save("model")
        code, out, err = run(capsys, "predict", "model", "data.csv")
        assert (code, out) == (1, "")
        assert err.startswith(f"embrow: model: the label {name!r} holds a tab")


def test_bools_are_scored_on_those_of_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TextClassifier(epochs=20, lr=0.1).fit(["nice", "bad"] * 4, [True, False] * 4).save("model")
    Path("x.jsonl").write_text('{"text": "nice", "label": true}\n{"text": "bad", "label": false}\n', encoding="utf-8")
    code, out, err = run(capsys, "predict", "model", "x.jsonl", "--label-column", "label")
    assert (code, out, err) == (0, "True\nFalse\n", "accuracy 1.0000 (2 of 2)\n")
    Path("x.csv").write_text("label,text\nTrue,nice\nFalse,bad\n", encoding="utf-8")
    code, out, err = run(capsys, "predict", "model", "x.csv", "--label-column", "label")
    assert (code, out, err) == (0, "True\nFalse\n", "accuracy 1.0000 (2 of 2)\n")


@pytest.mark.parametrize("report", ["data.csv", "data.csv/report", "/proc/embrow-report"])
def test_report_that_cannot_be_written_is_told_before_training(
    folder: Path, capsys: pytest.CaptureFixture[str], report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embrow.compare.Comparison.run", lambda *_, **__: pytest.fail("trained"))
    before = sorted(folder.rglob("*"))
    code, out, err = run(capsys, "compare", "data.csv", "--vectors", "vectors.bin", "--report", report)
    assert (code, out) == (1, "")
    assert err.startswith(f"embrow: {report}: ")
    assert err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


def test_wrong_usage_is_status_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "compare", "data.csv")[0] == 2
    assert run(capsys, "train", "data.csv", "-o", "m", "--epochs", 0)[0] == 2
    for command, option in (("train", "--dim"), ("train", "--seed"), ("compare", "--split-seed")):
        needed = ("-o", "m") if command == "train" else ("--vectors", "vectors.bin", "--report", "r")
        code, _, err = run(capsys, command, "data.csv", *needed, option, 10**20 if option == "--dim" else -1)
        assert code == 2
        assert err.startswith(f"embrow {command}: Invalid value for '{option}': ")
        assert err.count("\n") == 1
    assert run(capsys, "frobnicate") == (2, "", "embrow: No such command 'frobnicate'. (see embrow --help)\n")
    code, _, err = run(capsys, "bench", "frobnicate")
    assert code == 2
    assert err.startswith("embrow bench: there is no step 'frobnicate'; choose from ")
    assert err.count("\n") == 1
    assert run(capsys, "predict", "m", "--format", "lines", "--text-column", "text")[0] in (1, 2)


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("train", "--lr", "nan"),
        ("train", "--lr", "inf"),
        ("train", "--validation-fraction", "nan"),
        ("train", "--validation-fraction", 1),
        ("compare", "--test-fraction", "nan"),
        ("compare", "--test-fraction", 0),
        ("bench", "--scale", "nan"),
        ("bench", "--scale", "inf"),
        ("bench", "--budget-s", "nan"),
    ],
)
def test_a_number_out_of_its_range_is_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, option: str, value: object
) -> None:
    needed = {
        "train": ("data.csv", "-o", "m"),
        "compare": ("data.csv", "--vectors", "vectors.bin", "--report", "r"),
        "bench": ("gather",),
    }[command]
    code, out, err = run(capsys, command, *needed, option, value)
    assert (code, out) == (2, "")
    assert err.startswith(f"embrow {command}: Invalid value for '{option}': ")
    assert err.count("\n") == 1


def test_what_is_read_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "vocab", "data.csv", "-o", "vocab")[0] == 0
    Path("link.csv").symlink_to("data.csv")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for arguments in (
        ("train", "data.csv", "-o", "data.csv"),
        ("train", "data.csv", "-o", "link.csv"),
        ("train", "data.csv", "-o", "vectors.bin", "--vectors", "vectors.bin"),
        ("vocab", "data.csv", "-o", "data.csv"),
        ("encode", "data.csv", "--vocab", "vocab", "-o", "data.csv"),
        ("encode", "data.csv", "--vocab", "vocab", "-o", "vocab"),
        ("vectors", "convert", "--limit", "1", "vectors.bin", "vectors.bin"),
        ("vectors", "convert", "--format", "glove", "--vocab", "vocab", "vectors.bin", "vocab"),
    ):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, "")
        output = arguments[arguments.index("-o") + 1] if "-o" in arguments else arguments[-1]
        assert f"{output} is read, and would be overwritten; name another file to write" in err
        assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_debug_shows_the_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("--debug", "vocab", "absent", "-o", "out"), ("vocab", "absent", "-o", "out", "--debug")):
        code, _, err = run(capsys, *arguments)
        assert code == 1
        assert err.startswith("Traceback")
        assert err.splitlines()[-1] == "embrow: absent: No such file or directory"


def test_failed_training_leaves_the_old_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("model").write_text("old", encoding="utf-8")
    Path("x").write_text("label,text\na,b\n", encoding="utf-8")
    assert run(capsys, "train", "x", "-o", "model")[0] == 1
    assert Path("model").read_text(encoding="utf-8") == "old"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT be KeyboardInterrupt, also where a shell began pytest in the background and so deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("command", ["compare", "train"])
def test_interrupt_is_status_130_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("embrow.training.make_optimizer", lambda *_: signal.raise_signal(signal.SIGINT))
    before = sorted(folder.rglob("*"))
    arguments = compare_with() if command == "compare" else ("train", "data.csv", "-o", "out")
    assert run(capsys, *arguments) == (130, "", "")
    assert sorted(folder.rglob("*")) == before


def test_version_and_help_run_as_a_module() -> None:
    for option in ("--version", "--help"):
        done = subprocess.run(
            [sys.executable, "-m", "embrow", option], capture_output=True, text=True, check=True, env=_environment()
        )
        assert "embrow" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="standard streams are closed by a shell")
def test_standard_streams_that_are_closed(folder: Path) -> None:
    def shell(command: str) -> subprocess.CompletedProcess[str]:
        whole = f"{shlex.quote(sys.executable)} -m embrow {command}"
        return subprocess.run(["sh", "-c", whole], capture_output=True, text=True, env=_environment(), check=False)

    done = shell("train data.csv -o model --epochs 2 -v 2>&-")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert done.stdout.startswith("model: 24 texts")
    done = shell("predict absent 2>&-")
    assert (done.returncode, done.stdout) == (1, "")
    done = shell("predict model data.csv >&-")
    assert done.returncode == 1
    assert done.stderr == "embrow: standard output is closed; what it gets can be sent to /dev/null\n"


def _environment() -> dict[str, str]:
    # The package need not be installed where the tests run from the source tree.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.parametrize("command", ["train", "compare", "vectors convert"])
def test_an_option_without_its_value_is_told_of_its_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    option = "--vocab" if command == "vectors convert" else "--lr"
    status, _, err = run(capsys, *command.split(), "data.csv", option)
    assert status == 2
    assert err == f"embrow {command}: Option '{option}' requires an argument. (see embrow {command} --help)\n"


@pytest.mark.parametrize("command", ["train -o model", "compare --vectors vectors.bin --report report"])
def test_the_device_is_checked_before_data_is_read(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = command.split()
    status, _, err = run(capsys, name, "absent.csv", *options, "--device", "gpu")
    assert status == 1
    assert err.startswith("embrow: device is 'gpu', which PyTorch does not know")
    assert not Path("report").exists()


def test_bench_refuses_more_threads_than_embrow_starts(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "bench", "--threads", 10**17)
    assert status == 2
    assert re.match(r"embrow bench: --threads is 10{17}; embrow starts \d+ at most here ", err)
