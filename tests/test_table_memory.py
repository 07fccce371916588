"""Large pages for tables, for their state and for looked-up rows: what the system is told about the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from embrow import optim
from embrow.functional import embedding, embedding_bag
from embrow.nn import Embedding, EmbeddingBag

pytestmark = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="needs Linux with transparent huge pages"
)

ROWS, DIM = 100_000, 128


def prefers_huge_pages(tensor: Tensor) -> bool:
    middle = tensor.data_ptr() + tensor.nbytes // 2
    here = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split(maxsplit=1)
        if "-" in first:
            begin, end = (int(bound, 16) for bound in first.split("-"))
            here = begin <= middle < end
        elif here and first == "VmFlags:":
            return "hg" in rest[0].split()
    raise AssertionError("no mapping has the tensor")


@pytest.fixture(autouse=True)
def small_pages_else() -> Iterator[None]:
    """Hold what malloc has left of memory on large pages, which others freed: what the test takes is the system's."""
    held = [torch.empty(ROWS, DIM)]
    while prefers_huge_pages(held[-1]):
        if len(held) == 100:
            pytest.skip("here all large memory is on large pages")
        held.append(torch.empty(ROWS, DIM))
    yield


@pytest.mark.parametrize("layer", [Embedding, EmbeddingBag])
def test_a_layer_s_table(layer: type[Embedding | EmbeddingBag]) -> None:
    assert prefers_huge_pages(layer(ROWS, DIM).weight)
    assert layer(3, 2).weight.shape == (3, 2)


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        (lambda table: optim.SGD([table], lr=1, momentum=0.5), ["momentum_buffer"]),
        (lambda table: optim.Adagrad([table], initial_accumulator_value=0.25), ["sum"]),
        (lambda table: optim.Adam([table], amsgrad=True), ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]),
    ],
)
def test_state(optimizer: Callable[[Tensor], torch.optim.Optimizer], names: list[str]) -> None:
    layer = Embedding(ROWS, DIM, sparse=True)
    steps = optimizer(layer.weight)
    layer(torch.tensor([1])).sum().backward()
    steps.step()
    for name in names:
        state = steps.state[layer.weight][name]
        assert prefers_huge_pages(state), name
        assert bool((state[2:] == (0.25 if name == "sum" else 0)).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("number", [0.0, 0.25])
def test_the_sums_of_adagrad_are_torch_s(dtype: torch.dtype, number: float) -> None:
    table = torch.nn.Parameter(torch.zeros(2 * ROWS, DIM, dtype=dtype))
    ours, theirs = (
        kind([table], initial_accumulator_value=number).state[table] for kind in (optim.Adagrad, torch.optim.Adagrad)
    )
    assert list(ours) == list(theirs)
    torch.testing.assert_close(ours["sum"], theirs["sum"], rtol=0, atol=0)


def test_pooled_rows() -> None:
    table = torch.randn(10, DIM)
    bags = torch.randint(0, 10, (ROWS, 2))
    assert prefers_huge_pages(embedding_bag(bags, table, mode="sum"))


def test_looked_up_rows() -> None:
    ids = torch.arange(ROWS)
    table = torch.randn(ROWS, DIM)
    rows = embedding(ids, table)
    assert prefers_huge_pages(rows)
    assert torch.equal(rows, table)
