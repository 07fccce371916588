"""Makes each allocation of many calls fail in turn: `fail_allocations.py LIBRARY THREADS FOLDER`.

LIBRARY is native/failing_allocations.cpp's, which must be loaded before the C library, too. Prints, a line of JSON for
each call, how many allocations failed, each with a MemoryError, and how many more bytes were in use after each of two
more rounds of them at least: what leaks does so in every round, while caches settle.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from embrow import TokenCounter, Vocab, _core, _embedding, functional, load_vectors, optim, pad_sequences
from embrow.vectors import WordVectors
from fasttext_files import Model

Call = Callable[[], Any]


def code() -> tuple[int, int]:
    """Return where the module's code begins and ends in memory."""
    begins, ends = [], []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(Path(_core.__file__))):
            begin, end = line.split()[0].split("-")
            begins.append(int(begin, 16))
            ends.append(int(end, 16))
    return min(begins), max(ends)


TEXTS = [" ".join(f"w{7 * row % 900}é" if at % 5 else f"word{row}" for at in range(row % 40)) for row in range(900)]
LONG = [*TEXTS, "a\u3000b " * 9000, "x" * 300]
VOCAB = Vocab(["<pad>", "<unk>", *(f"w{number}é" for number in range(900))])
WORDS = Vocab(VOCAB.tokens, tokenizer="words", lowercase=True)
MANY = ["word1 w2é"] * 140_000  # whose places take whole pages of 2 MB
UNKNOWN = ["word1"] * 5000 + ["word1 " + "unknown" * 9]
RAGGED = [list(range(row % 50)) for row in range(2000)]
IDS = torch.arange(4000) * 7919 % 700
TABLE = torch.randn(700, 33, generator=torch.Generator().manual_seed(0))


def calls(threads: int, folder: Path) -> Iterator[tuple[str, Call]]:
    """Yield calls that give equal results each time; files are those of the last one."""
    yield "build", lambda: Vocab.build(LONG, num_threads=threads).tokens
    yield "encode", lambda: VOCAB.encode(LONG, num_threads=threads).tobytes()
    yield "encode many rows", lambda: VOCAB.encode(MANY, num_threads=threads).sum().item()
    yield "encode words", lambda: WORDS.encode(LONG, num_threads=threads).tobytes()

    def refused(call: Call, error: type[Exception]) -> str:
        try:
            call()
        except error as raised:
            return str(raised)
        raise AssertionError("was taken")

    known = Vocab(["<pad>", "word1"], unk_token=None)
    yield "unknown token", lambda: refused(lambda: known.encode(UNKNOWN, num_threads=threads), KeyError)
    yield "bad UTF-8", lambda: refused(lambda: VOCAB.encode([*TEXTS, b"\xff"], num_threads=threads), ValueError)
    # Of a size that malloc is asked for, and new each time.
    yield "tokens", lambda: VOCAB.encode([[end * 50_000 for end in "abcdefgh"]], num_threads=threads).tobytes()
    yield "encode_ragged", lambda: list(VOCAB.encode_ragged(LONG, num_threads=threads)[0])
    yield "pad", lambda: pad_sequences(RAGGED, num_threads=threads).tobytes()

    def count() -> Any:
        counter, other = TokenCounter(), TokenCounter()
        counter.update(TEXTS, num_threads=threads)
        other.update(LONG, num_threads=threads)
        counter.merge(other)
        return counter.to_vocab().tokens

    yield "count", count

    file = folder / "file"

    def save_and_load() -> Any:
        VOCAB.save(file)
        return Vocab.load(file).tokens

    yield "vocabulary file", save_and_load
    assert list(folder.iterdir()) == [file]

    def load() -> Any:
        every = load_vectors(file, num_threads=threads)
        some = load_vectors(file, ["w5", "w1999", "none"], num_threads=threads)
        return every.tokens, every.weight.tobytes(), some.tokens, some.weight.tobytes()

    weight = np.random.default_rng(0).standard_normal((2000, 20)).astype(np.float32)
    for format in ("word2vec-binary", "word2vec-text", "safetensors"):
        WordVectors([f"w{number}" for number in range(2000)], weight).save(file, format)
        yield format, load
    model = folder / "model"
    model.write_bytes(Model().to_bytes())
    yield "fasttext", lambda: list(load_vectors(model)["unseen"])

    def trained(forward: Callable[[torch.Tensor], torch.Tensor], make: Callable[..., Any] = optim.Adam) -> Any:
        table = torch.nn.Parameter(TABLE.clone())
        forward(table).square().sum().backward()
        optimizer = make([table], lr=0.1)
        optimizer.step()
        return table.detach().numpy().tobytes()

    yield "gather", lambda: functional.embedding(IDS, TABLE).numpy().tobytes()
    yield "scatter", lambda: trained(lambda table: functional.embedding(IDS, table))
    yield "update", lambda: trained(lambda table: functional.embedding(IDS, table, sparse=True))
    yield (
        "update by means",
        lambda: trained(lambda table: functional.embedding(IDS, table, sparse=True), optim.RowwiseAdagrad),
    )
    yield "pool", lambda: trained(lambda table: functional.embedding_bag(IDS.view(-1, 40), table, mode="sum"))


class Failing(Protocol):
    """native/failing_allocations.cpp."""

    def watch(self, begin: int, end: int) -> None: ...
    def fail_allocation(self, n: int) -> None: ...
    def stop_failing(self) -> int: ...
    def bytes_in_use(self) -> int: ...


def fail_each(library: Failing, call: Call, expected: Any) -> int:
    """Make the allocations of a call fail, one in each call; return how many did."""
    failed, number = 0, 1
    while True:
        library.fail_allocation(number)
        try:
            found = call()
        except MemoryError:
            found = None
        finally:
            did_fail = library.stop_failing()
        if found is None:
            failed += 1
        else:
            assert found == expected, f"allocation {number}: the result is another"
        if not did_fail:
            return failed
        # Every one of the first fifty, then some of those after.
        number += 1 + number // 50


def main() -> None:
    _embedding._brief_bytes = 0  # PyTorch's operator would look them up
    library, threads, folder = ctypes.CDLL(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    library.watch.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    library.fail_allocation.argtypes = [ctypes.c_int64]
    library.bytes_in_use.restype = ctypes.c_size_t
    library.watch(*code())
    torch.set_num_threads(threads)
    for name, call in calls(threads, folder):
        print(name, file=sys.stderr, flush=True)  # for when it ends the process
        expected = call()
        used = []
        for _ in range(3):
            failed = fail_each(library, call, expected)
            assert call() == expected
            gc.collect()
            used.append(library.bytes_in_use())
        print(json.dumps({"call": name, "failed": failed, "grown": min(used[1] - used[0], used[2] - used[1])}))


if __name__ == "__main__":
    main()
