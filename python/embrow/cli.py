"""The command line: each command reads files, calls the library and writes files."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

try:
    import click

    from embrow._terminal import bytes_progress, show_report, step_progress
except ModuleNotFoundError as error:
    raise SystemExit(f'embrow: the command line needs {error.name}: pip install "embrow[torch]"') from error

from embrow import __version__
from embrow._files import check_writable
from embrow._folder import check_folder
from embrow._options import (
    FiniteRange,
    data_options,
    debug_option,
    encoding_options,
    model_options,
    vocab_options,
    with_options,
)
from embrow.data import FORMATS, read_labelled, read_lines
from embrow.vectors._save import FORMATS as VECTOR_FORMATS
from embrow.vectors._sniff import READABLE

if TYPE_CHECKING:
    from embrow.compare import Comparison
    from embrow.data import LabelledTexts

_INTERRUPTED = 130
_HELP_INSTEAD = getattr(click.exceptions, "NoArgsIsHelpError", ())  # of a group without a command, since click 8.2
_NO_FIELD = re.compile(r"[\t\n\r\ud800-\udfff]")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, 1 after an error, 2 after wrong usage, 130 after Ctrl-C."""
    if sys.stderr is None:
        # It was closed: print would take None for standard output, and the next file opened would have its number.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        print("embrow: standard output is closed; what it gets can be sent to /dev/null", file=sys.stderr)
        sys.exit(1)
    state = {"debug": False}
    try:
        # Not click's own main: it takes an EOFError, which a file cut short raises, for Ctrl-D.
        given = sys.argv[1:] if arguments is None else list(arguments)
        with cli.make_context("embrow", given, obj=state) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.UsageError as error:
        if isinstance(error, _HELP_INSTEAD):
            error.show()
        else:
            command = error.ctx.command_path if error.ctx else "embrow"
            print(f"{command}: {_one_line(error)} (see {command} --help)", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone; the interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if state["debug"]:
            traceback.print_exc()
        print(f"embrow: {_one_line(error)}", file=sys.stderr)
        sys.exit(1)


def _one_line(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    else:
        text = str(error)
    return " ".join(text.split()) or type(error).__name__


def _check_output(output: str, *inputs: str | None, as_stream: bool = True) -> None:
    """Raise for an output that cannot be written, or that would take the place of an input."""
    for path in inputs:
        if path is not None and os.path.isfile(path) and os.path.exists(output) and os.path.samefile(path, output):
            raise click.UsageError(f"{output} is read, and would be overwritten; name another file to write")
    check_writable(output, as_stream=as_stream)


class _NamingCommand(click.Command):
    """A command whose wrong usage tells its name, which click leaves out of options without their value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class _Group(click.Group):
    command_class = _NamingCommand
    group_class = type


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="embrow")
@debug_option
def cli() -> None:
    """From text to embedding rows, at memory speed."""


@cli.command()
@click.argument("data")
@click.option("--test", help="Labelled texts to test on; default: a share of DATA.")
@click.option("--vectors", required=True, help="File of pretrained vectors, or a name such as glove-6b-50d.")
@click.option("--report", required=True, help="Folder for report.json, report.md, report.html and plots.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Runs of each arm.")
@click.option("--learning-curve", is_flag=True, help="Also train on 10, 30, 100, 300 ... labels per class.")
@click.option(
    "--curve-seeds", type=click.IntRange(min=1), help="Runs of each point of the curve; default, and most: --seeds."
)
@click.option(
    "--test-fraction",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of DATA to test on.",
)
@click.option("--split-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of that share.")
@click.option("--epochs", type=click.IntRange(min=1), default=3, show_default=True)
@with_options(data_options, vocab_options, model_options, debug_option)
def compare(
    *,
    data: str,
    test: str | None,
    report: str,
    text_column: str,
    label_column: str,
    format: str,
    encoding: str,
    encoding_errors: str,
    pooling: str,
    epochs: int,
    batch_size: int,
    lr: float,
    optimizer: str,
    sparse: bool,
    **options: Any,
) -> None:
    """Train random and pretrained tables, frozen and trained, on DATA side by side.

    DATA is CSV, TSV, JSON lines or fastText's format, plain or compressed; - is standard input.
    """
    from embrow.compare import Comparison
    from embrow.training import Settings

    settings = Settings(
        pooling=pooling, epochs=epochs, batch_size=batch_size, lr=lr, optimizer=optimizer, sparse=sparse
    )
    comparison = Comparison(settings=settings, **options)
    comparison.check()
    check_folder(report)
    reading = {
        "format": format,
        "text_column": text_column,
        "label_column": label_column,
        "encoding": encoding,
        "encoding_errors": encoding_errors,
    }
    train_texts = read_labelled(data, **reading)
    test_texts = None if test is None else read_labelled(test, **reading)
    run_comparison(comparison, train_texts, test_texts, report)


def run_comparison(
    comparison: Comparison, data: LabelledTexts, test: LabelledTexts | None, folder: str
) -> dict[str, Any]:
    """Compare, show the table, write the report, and return it."""
    from embrow.report import write_report

    with step_progress() as show:
        report = comparison.run(data, test, on_progress=show)
    paths = write_report(report, folder)
    show_report(report)
    click.echo(f"Report: {next(path for path in paths if path.suffix == '.html')}")
    return report


@cli.command()
@click.argument("data")
@click.option("-o", "--output", required=True, help="File of the trained classifier.")
@click.option("--vectors", help="File of pretrained vectors, or a name such as glove-6b-50d.")
@click.option("--freeze", is_flag=True, help="Leave the table as it starts.")
@click.option("--epochs", type=click.IntRange(min=1), default=10, show_default=True)
@click.option(
    "--validation-fraction",
    type=FiniteRange(min=0, max=1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of DATA to hold out.",
)
@click.option("--early-stopping", is_flag=True, help="Stop when the validation loss no longer falls.")
@click.option("--balanced", is_flag=True, help="Let every class count the same in the loss.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Write a line an epoch.")
@with_options(data_options, vocab_options, model_options, debug_option)
def train(
    *,
    data: str,
    output: str,
    text_column: str,
    label_column: str,
    format: str,
    encoding: str,
    encoding_errors: str,
    balanced: bool,
    seed: int,
    verbose: bool,
    **options: Any,
) -> None:
    """Train a classifier on DATA and write it to one file.

    Labels with a tab or a line end are refused: predict writes one label a line.
    """
    from embrow.classifier import TextClassifier

    model = TextClassifier(
        class_weight="balanced" if balanced else None, random_state=seed, verbose=int(verbose), **options
    )
    model._checked()
    _check_output(output, data, options["vectors"])
    texts = read_labelled(
        data,
        format=format,
        text_column=text_column,
        label_column=label_column,
        encoding=encoding,
        encoding_errors=encoding_errors,
    )
    for line, label in zip(texts.lines, texts.labels, strict=True):
        _refuse_label_of_lines(f"{texts.name}, line {line}", label)
    model.fit(texts.texts, texts.labels)
    model.save(output)
    figures = ", ".join(f"{name} {values[-1]:.4f}" for name, values in model.history_.items())
    click.echo(
        f"{output}: {len(texts.texts)} texts, {len(model.vocab_)} tokens, {len(model.classes_)} classes, {figures}"
    )


@cli.command()
@click.argument("model")
@click.argument("file", default="-")
@click.option("--proba", is_flag=True, help="Also write each class's probability, in the sorted order of the classes.")
@click.option("--text-column", help="FILE is CSV, TSV or JSON lines with this column of texts.")
@click.option("--label-column", help="FILE has this column of labels too: report the accuracy on standard error.")
@click.option(
    "--format",
    type=click.Choice(["lines", "auto", *FORMATS]),
    help="Format of FILE; default: one text a line, or auto where a column is named.",
)
@click.option("--device", default="auto", show_default=True, help="Where the model runs, wherever it was trained.")
@with_options(encoding_options, debug_option)
def predict(
    *,
    model: str,
    file: str,
    proba: bool,
    text_column: str | None,
    label_column: str | None,
    format: str | None,
    device: str,
    encoding: str,
    encoding_errors: str,
) -> None:
    """Write the label of each text of FILE, one a line; - is standard input."""
    from embrow.classifier import TextClassifier
    from embrow.training import labels_of, probabilities_of

    classifier = TextClassifier.load(model, device=device)
    names = [str(label) for label in classifier.classes_]
    for name in names:
        _refuse_label_of_lines(model, name)
    reading = {"encoding": encoding, "encoding_errors": encoding_errors}
    format = format or ("lines" if text_column is None and label_column is None else "auto")
    labels: list[str] = []
    if format == "lines":
        if text_column is not None or label_column is not None:
            raise click.UsageError("--text-column and --label-column need a --format with columns")
        texts = read_lines(file, **reading)
    else:
        with_labels = label_column if label_column is not None or format != "fasttext" else "label"
        data = read_labelled(
            file, format=format, text_column=text_column or "text", label_column=with_labels, **reading
        )
        if with_labels is not None:
            # A file's labels are text, so JSON's true is "true".
            bools = {json.dumps(one): str(one) for one in classifier.classes_.tolist() if isinstance(one, bool)}
            data = dataclasses.replace(data, labels=[bools.get(label, label) for label in data.labels])
            data.check_labels(names)
        texts, labels = data.texts, data.labels
    scores = classifier._scores(texts, "predict")
    found = [names[best] for best in labels_of(scores).tolist()]
    for label, row in zip(found, probabilities_of(scores).tolist(), strict=True):
        click.echo("\t".join([label, *(f"{value:.6f}" for value in row)]) if proba else label)
    if labels:
        hits = sum(one == other for one, other in zip(found, labels, strict=True))
        click.echo(f"accuracy {hits / len(labels):.4f} ({hits} of {len(labels)})", err=True)


def _refuse_label_of_lines(where: str, label: str) -> None:
    """Raise ValueError for a label that is more than a field of one line of UTF-8."""
    if _NO_FIELD.search(label):
        raise ValueError(f"{where}: the label {label!r} holds a tab, line end or lone surrogate; predict writes lines")


@cli.command()
@click.argument("file")
@click.option("--vocab", "vocab_path", required=True, help="File that `embrow vocab` wrote.")
@click.option("-o", "--output", required=True, help="File for the ids, .npy.")
@click.option("--max-length", type=click.IntRange(min=1), help="Columns: pad and cut lines to it.")
@click.option("--dtype", type=click.Choice(["int64", "int32"]), default="int64", show_default=True)
@with_options(encoding_options, debug_option)
def encode(
    *, file: str, vocab_path: str, output: str, max_length: int | None, dtype: str, encoding: str, encoding_errors: str
) -> None:
    """Write the ids of the lines of FILE; - is standard input.

    With --max-length the array has a row a line, padded. Without it the ids follow each other, and where each line's
    begin is in a second file: ids.npy and ids.offsets.npy. Memory does not grow with FILE.
    """
    from embrow.corpus import encode_file
    from embrow.vocab import Vocab

    _check_output(output, file, vocab_path, as_stream=False)
    vocab = Vocab.load(vocab_path)
    with bytes_progress("encode") as show:
        lines, ids = encode_file(
            vocab,
            file,
            output,
            max_length=max_length,
            dtype=dtype,
            encoding=encoding,
            errors=encoding_errors,
            progress=show,
        )
    click.echo(f"{output}: {lines} rows, {ids} ids")


@cli.command()
@click.argument("file")
@click.option("-o", "--output", required=True, help="File of the vocabulary.")
@click.option("--ties", type=click.Choice(["first", "token"]), default="first", show_default=True)
@with_options(vocab_options, encoding_options, debug_option)
def vocab(
    *,
    file: str,
    output: str,
    ties: Literal["first", "token"],
    min_freq: int,
    max_size: int | None,
    tokenizer: Literal["whitespace", "words"],
    lowercase: bool,
    encoding: str,
    encoding_errors: str,
) -> None:
    """Build the vocabulary of the lines of FILE and write it to one file; - is standard input."""
    from embrow._files import name_of
    from embrow.counter import TokenCounter

    _check_output(output, file)
    counter = TokenCounter(tokenizer=tokenizer, lowercase=lowercase)
    with bytes_progress("count") as show:
        counter.update_file(file, encoding=encoding, errors=encoding_errors, progress=show)
    if not len(counter):
        raise ValueError(f"{name_of(file)}: no texts; at least one token is needed")
    built = counter.to_vocab(min_freq=min_freq, max_size=max_size, ties=ties)
    built.save(output)
    click.echo(f"{output}: {len(built)} tokens")


@cli.group()
@debug_option
def vectors() -> None:
    """Pretrained vectors."""


@vectors.command("info")
@click.argument("path")
@debug_option
def vectors_info(path: str) -> None:
    """Show format, rows and dim of a vectors file."""
    from embrow.vectors import info

    for name, value in info(path).items():
        click.echo(f"{name}: {value}")


@vectors.command("convert")
@click.argument("source")
@click.argument("target")
@click.option("--format", type=click.Choice(VECTOR_FORMATS), help="Of TARGET; default: by its suffix.")
@click.option(
    "--from-format",
    type=click.Choice(["auto", *READABLE]),
    default="auto",
    show_default=True,
    help="Of SOURCE; default: told from its bytes.",
)
@click.option("--vocab", "vocab_path", help="Keep only the tokens of this file that `embrow vocab` wrote.")
@click.option("--limit", type=click.IntRange(min=0), help="Rows of SOURCE to read at most.")
@click.option("--dtype", type=click.Choice(["float32", "float16", "float64"]), default="float32", show_default=True)
@click.option("--tokens", help="File of the words, one a line, for a SOURCE without any.")
@click.option(
    "--unicode-errors", type=click.Choice(["strict", "replace", "ignore"]), default="strict", show_default=True
)
@click.option("--allow-pickle", is_flag=True, help="Read gensim's own files, which are pickles.")
@debug_option
def vectors_convert(
    *, source: str, target: str, format: str | None, from_format: str, vocab_path: str | None, **options: Any
) -> None:
    """Write the vectors of SOURCE to TARGET in another format.

    TARGET is .bin or .vec of word2vec, .npy with .words beside it, .safetensors, which loads within milliseconds, .fifu
    of finalfusion, or what --format says. None holds the subwords of a fastText or finalfusion model: its words are
    written, and a warning says so.
    """
    from embrow.vectors import load_vectors
    from embrow.vectors._save import save_format
    from embrow.vocab import Vocab

    format = save_format(target, format)
    _check_output(target, source, vocab_path, options["tokens"], as_stream=format != "npy")
    wanted = None if vocab_path is None else Vocab.load(vocab_path)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always", UserWarning)
        found = load_vectors(source, wanted, format=from_format, progress=True, **options)
        found.save(target, format)
    for warning in met:
        click.echo(f"embrow: warning: {source}: {warning.message}", err=True)
    report = found.report
    assert report is not None
    faults = {"duplicates": report.duplicates, "not UTF-8": report.bad_utf8}
    left = "".join(f", {count} {what}" for what, count in faults.items() if count)
    click.echo(f"{target}: {len(found)} of {report.rows_read} rows of {found.dim}, {format}{left}")


@cli.command()
@click.option("--report", default="embrow-demo", show_default=True, help="Folder for the report.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Runs of each arm.")
@debug_option
def demo(report: str, seeds: int) -> None:
    """Walk through a lookup table, then compare random and pretrained tables on real tweets."""
    from embrow.compare import Comparison
    from embrow.demo import TWEET_OPTIONS, TWEET_SETTINGS, VECTORS, read_tweets, tutorial
    from embrow.training import Settings

    check_folder(report)
    tweets = read_tweets()
    for line in tutorial(VECTORS):
        click.echo(line)
    click.echo(f"\n== {len(tweets.texts):,} tweets, {', '.join(sorted(set(tweets.labels)))} ==")
    comparison = Comparison(settings=Settings(**TWEET_SETTINGS), **{**TWEET_OPTIONS, "seeds": seeds})
    run_comparison(comparison, tweets, None, report)


@cli.command()
@click.argument("steps", nargs=-1)
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where the steps run."
)
@click.option("--report", help="Folder for bench.json, bench.md and bench.html.")
@click.option(
    "--scale",
    type=FiniteRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the published sizes, such as 0.05 to try out.",
)
@click.option("--repeats", type=click.IntRange(min=1), default=15, show_default=True, help="Timed rounds of each case.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Of embrow and its peers.")
@click.option(
    "--budget-s",
    type=FiniteRange(min=0),
    default=15.0,
    show_default=True,
    help="A call that took so many seconds sits out further rounds.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print each row when it has been measured.")
@debug_option
def bench(*, steps: tuple[str, ...], device: str, report: str | None, verbose: bool, **options: Any) -> None:
    """Measure STEPS, or all, against the libraries that are used today, with equal results asserted.

    Those that are not installed are left out, which the tables say; pip install "embrow[bench]" gets them.
    """
    from embrow import bench as suite
    from embrow._threads import resolve_num_threads

    most = resolve_num_threads(options["threads"])
    if most < options["threads"]:
        raise click.UsageError(f"--threads is {options['threads']}; embrow starts {most} at most here")
    suite.check_device(device)
    there = suite.steps(device)
    for step in steps:
        if step not in there:
            raise click.UsageError(f"there is no step {step!r}; choose from {', '.join(there)}")
    given = [f"--device={device}", *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]
    if report is not None:
        check_folder(report)
        given.append(f"--report={report}")
    # A bar that ticked would take its time from what is measured.
    with step_progress(ticking=False) as show:
        faults = suite.run(
            [there[step] for step in steps or there], given, verbose=verbose, on_line=click.echo, on_progress=show
        )
    # Steps that could not run here leave none.
    if report is not None and os.path.exists(page := os.path.join(report, "bench.html")):
        click.echo(f"Report: {page}")
    if faults:
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise RuntimeError(f"bench: {faults[0]}{more}")
