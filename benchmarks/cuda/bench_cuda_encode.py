"""text -> ids on a GPU: `python -m pytest benchmarks/cuda/bench_cuda_encode.py --device cuda -s`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from bench_cuda_gather import same
from corpus import Corpus, make_corpus, make_words
from measure import Call, Clocks
from peers import library
from table import OURS, Peer, Table
from torch import Tensor

from embrow import Vocab

TITLE = "Strings to padded int64 ids on the device, 1,000,000 rows of 21 words"
UNIT = "tokens"
ROWS = 1_000_000
SPECIALS = ["<pad>", "<unk>"]
# Text a second that the kernels alone should read.
TEXT_AIM_GB = 17


@pytest.fixture(scope="module")
def corpus(scaled: Callable[[int], int]) -> Corpus:
    return make_corpus(scaled(ROWS))


def cudf_tokenize(texts: Sequence[str], tokens: Sequence[str], *, uploads: bool) -> Peer:
    """Tokenize by a vocabulary, text that lies on the card or is brought there in each call; ids without padding."""

    def make(cudf: Any) -> Call:
        from cudf.core.tokenize_vocabulary import TokenizeVocabulary

        vocabulary, lying = TokenizeVocabulary(cudf.Series(tokens)), cudf.Series(texts)
        if uploads:
            arrow = lying.to_arrow()
            return lambda: vocabulary.tokenize(cudf.Series(arrow), default_id=1)
        return lambda: vocabulary.tokenize(lying, default_id=1)

    def same_ids(ours: Tensor, theirs: Any) -> None:
        assert torch.equal(ours[ours != 0].cpu(), torch.as_tensor(theirs.list.leaves.to_numpy()).long())

    return library("cudf", "TokenizeVocabulary", make, same_ids)


@pytest.mark.parametrize("size", [30_000, 100_000, 3_000_000])
def test_encode(
    table: Table, corpus: Corpus, clocks: Clocks, scaled: Callable[[int], int], device: torch.device, size: int
) -> None:
    """Encode from Python strings and Arrow arrays, then count the kernels' time alone."""
    words = corpus.words[:size]
    if scaled(size) > len(words):
        words = words + make_words(scaled(size) - len(words), len(words))
    tokens = [*SPECIALS, *words]
    vocab = Vocab(tokens)
    encode = functools.partial(vocab.encode, device=device)
    sources: dict[str, Any] = {"list of str": corpus.texts}
    try:
        import pyarrow

        sources["Arrow array"] = pyarrow.array(corpus.texts)
    except ImportError as error:
        table.note(f"Arrow array: skipped: {error}")
    written = int(encode(corpus.texts).nbytes)
    compare = functools.partial(table.compare, items=corpus.tokens, moved=corpus.text_bytes + written)
    for kind, texts in sources.items():
        host = Peer("embrow on the CPU, copied", lambda texts=texts: torch.from_numpy(vocab.encode(texts)).to(device))
        compare(
            f"{len(tokens) - 2:,} words, {kind}, with all transfers",
            functools.partial(encode, texts),
            [Peer(host.name, host.call, same), cudf_tokenize(corpus.texts, tokens, uploads=True)],
            clock=clocks.whole,
        )
    case = f"{len(tokens) - 2:,} words, kernels alone"
    compare(
        case,
        functools.partial(encode, corpus.texts),
        [cudf_tokenize(corpus.texts, tokens, uploads=False)],
        clock=clocks.kernels,
    )
    took = next(row.ours_ms for row in table.rows if row.case == case) / 1e3
    rate = corpus.text_bytes / took / 1e9
    table.note(f"{case}: {OURS} reads text at {rate:,.1f} GB/s (aim {TEXT_AIM_GB})")
