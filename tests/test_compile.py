"""The layers under torch.compile: in one graph, and what PyTorch's own make of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import embrow.functional as F
from beside_torch import twins
from embrow import optim
from embrow.nn import Embedding, EmbeddingBag
from sparse_training import Model, assert_same, batches

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
IDS = torch.tensor([[1, 2, 2], [9, 3, 1]])
holds_ours = pytest.mark.skipif(
    not hasattr(torch.compiler, "is_exporting"),
    reason="PyTorch 2.6 cannot tell exporting from compiling, so its graphs hold its own operators",
)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def graphs() -> list[torch.fx.GraphModule]:
    return []


def recorded(function: Callable[..., Any], graphs: list[torch.fx.GraphModule]) -> Callable[..., Any]:
    """Compile into one graph with all of autograd, and keep what is compiled."""

    def keep(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)  # type: ignore[no-any-return]

    return torch.compile(function, backend=keep, fullgraph=True)  # type: ignore[no-any-return]


@holds_ours
@pytest.mark.parametrize(
    ("kind", "settings", "is_ours"),
    [
        (Embedding, {}, True),
        (Embedding, {"padding_idx": 1}, True),
        (Embedding, {"padding_idx": -1}, True),
        (Embedding, {"scale_grad_by_freq": True}, False),
        (EmbeddingBag, {}, True),
        (EmbeddingBag, {"mode": "sum", "padding_idx": 2}, True),
        (EmbeddingBag, {"mode": "max"}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_training_runs_our_operators(
    kind: Any, settings: dict[str, Any], is_ours: bool, id_type: torch.dtype, graphs: list[torch.fx.GraphModule]
) -> None:
    ours, theirs = twins(kind, **settings)
    compiled = recorded(ours, graphs)
    for ids in (IDS, torch.tensor([[0, 5], [5, 5], [7, 1]]), torch.tensor([[4, 4, 4, 4]])):
        found, expected = compiled(ids.to(id_type)), theirs(ids.to(id_type))
        torch.testing.assert_close(found, expected)
        found.sin().sum().backward()
        expected.sin().sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    assert ("embrow" in graphs[0].code) == is_ours


@pytest.mark.parametrize("kind", [Embedding, EmbeddingBag])
def test_inference_is_left_to_torch(kind: Any, graphs: list[torch.fx.GraphModule]) -> None:
    ours, theirs = twins(kind)
    with torch.no_grad():
        torch.testing.assert_close(recorded(ours, graphs)(IDS), theirs(IDS))
    ours.requires_grad_(False)
    torch.testing.assert_close(recorded(ours, graphs)(IDS), theirs(IDS))
    assert len(graphs) == 2 and not any("embrow" in graph.code for graph in graphs)


@holds_ours
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [Embedding, EmbeddingBag])
def test_every_dtype_gives_the_bits_of_eager(kind: Any, dtype: torch.dtype, graphs: list[torch.fx.GraphModule]) -> None:
    layer = kind(10, 4, dtype=dtype)
    eager = layer(IDS)
    (expected,) = torch.autograd.grad(eager, layer.weight, torch.ones_like(eager))
    found = recorded(layer, graphs)(IDS)
    assert torch.equal(found, eager)
    assert torch.equal(torch.autograd.grad(found, layer.weight, torch.ones_like(found))[0], expected)


@holds_ours
@pytest.mark.parametrize("strided", ["ids", "table"])
@pytest.mark.parametrize("lookup", [F.embedding, F.embedding_bag])
def test_strides(lookup: Any, strided: str, graphs: list[torch.fx.GraphModule]) -> None:
    ids = IDS.t() if strided == "ids" else IDS
    weight = (torch.randn(4, 10).t() if strided == "table" else torch.randn(10, 4)).requires_grad_()
    results = []
    for call in (recorded(lookup, graphs), getattr(torch.nn.functional, lookup.__name__)):
        out = call(ids, weight)
        results.append((out, *torch.autograd.grad(out.sin().sum(), weight)))
    torch.testing.assert_close(*results)
    assert "embrow" in graphs[0].code


@holds_ours
def test_an_id_outside_the_table_is_named(graphs: list[torch.fx.GraphModule]) -> None:
    ids = torch.tensor([[0, 10]])
    with pytest.raises(IndexError, match=r"^index out of range in self: position 1 of the ids is 10"):
        recorded(Embedding(10, 4), graphs)(ids)
    with pytest.raises(RuntimeError, match=r"^Index 1 of input takes value 10 which is not in the valid range"):
        recorded(EmbeddingBag(10, 4), graphs)(ids)


@pytest.mark.parametrize("padding_idx", [None, 2])
def test_double_backward_through_the_operators(padding_idx: int | None) -> None:
    weight = torch.randn(10, 4, dtype=torch.float64, requires_grad=True)

    def lookup(weight: Tensor) -> Tensor:
        return F.embedding(IDS, weight, padding_idx).sin()

    compiled = torch.compile(lookup, backend="eager", fullgraph=True)
    if padding_idx is None:
        assert torch.autograd.gradcheck(compiled, (weight,))
    assert torch.autograd.gradgradcheck(compiled, (weight,))


@pytest.mark.parametrize("lookup", [F.embedding, F.embedding_bag])
def test_transforms_inside_a_graph_see_torch_s_operators(lookup: Any, graphs: list[torch.fx.GraphModule]) -> None:
    weight = torch.randn(10, 4)

    def per_sample(weight: Tensor, ids: Tensor) -> Tensor:
        grad: Tensor = torch.func.grad(lambda weight: lookup(ids, weight).square().sum())(weight)
        return grad

    torch.testing.assert_close(recorded(per_sample, graphs)(weight, IDS), per_sample(weight, IDS))
    over_ids = torch.vmap(F.embedding, in_dims=(0, None))
    torch.testing.assert_close(recorded(over_ids, graphs)(IDS, weight.requires_grad_()), weight[IDS])
    assert not any("embrow" in graph.code for graph in graphs)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", [Embedding, EmbeddingBag])
def test_exports_hold_no_operator_of_ours(kind: Any, strict: bool) -> None:
    layer = kind(10, 4)
    program = torch.export.export(layer, (IDS,), strict=strict)
    assert not any("embrow" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(IDS.flip(0)), layer(IDS.flip(0)))


@pytest.mark.parametrize("kind", [Embedding, EmbeddingBag])
def test_autocast_inside_a_graph(kind: Any, graphs: list[torch.fx.GraphModule]) -> None:
    ours, theirs = twins(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = recorded(ours, graphs)(IDS), theirs(IDS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("padding_idx", [-1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_are_registered_soundly(dtype: torch.dtype, padding_idx: int) -> None:
    ops = torch.ops.embrow
    weight = torch.randn(10, 4, dtype=dtype, requires_grad=True)
    torch.library.opcheck(ops.lookup.default, (weight, IDS, padding_idx))
    grads = torch.randn(2, 3, 4, dtype=dtype, requires_grad=True)
    torch.library.opcheck(ops.scatter.default, (grads, IDS, 10, padding_idx))
    for mode in ("sum", "mean"):
        torch.library.opcheck(ops.pool.default, (weight, IDS, mode, padding_idx))
        torch.library.opcheck(ops.scatter_pooled.default, (torch.randn(2, 4, dtype=dtype), IDS, 10, mode, padding_idx))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("compiled", ["optimizer", "training"])
@pytest.mark.parametrize("parameters", ["table", "all", "linear"])
@pytest.mark.parametrize(
    ("name", "catch_up"),
    [*itertools.product(["SGD", "Adagrad", "Adam", "AdamW"], [False, True]), ("RowwiseAdagrad", False)],
)
def test_steps_are_taken_outside_of_graphs(name: str, catch_up: bool, parameters: str, compiled: str) -> None:
    trained = []
    for compile_it in (True, False):
        model = Model(True)
        chosen = {"table": model.table, "all": model, "linear": model.linear}[parameters]
        one = getattr(optim, name)(chosen.parameters(), lr=0.1, **({"catch_up": True} if catch_up else {}))
        if catch_up and parameters != "linear":
            one.attach(model.table)
        take_step = torch.compile(one.step, backend="eager") if compile_it and compiled == "optimizer" else one.step

        def train(ids: Tensor, model: Model = model, one: Any = one, take_step: Callable[[], Any] = take_step) -> None:
            one.zero_grad()
            model(ids).backward()
            take_step()

        step = torch.compile(train, backend="eager") if compile_it and compiled == "training" else train
        for ids in batches(6):
            step(ids)
        one.catch_up()
        trained.append(model)
    assert_same(*trained, 0.0)


@holds_ours
@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_gradients_of_bags_can_be_differentiated_again(mode: str, padding_idx: int | None) -> None:
    """Where the backend leaves autograd to PyTorch."""
    bag = EmbeddingBag(10, 4, mode=mode, padding_idx=padding_idx)
    seconds = []
    for layer in (bag, torch.compile(bag, backend="eager")):
        (first,) = torch.autograd.grad(layer(IDS).pow(3).sum(), bag.weight, create_graph=True)
        seconds.append(torch.autograd.grad(first.pow(2).sum(), bag.weight)[0])
    assert seconds[0].any()
    torch.testing.assert_close(*seconds)


def test_tangents_in_a_graph() -> None:
    ids, weight = torch.randint(0, 50, (100, 20)), torch.randn(50, 32, requires_grad=True)

    def tangent(weight: Tensor, of_weight: Tensor) -> Any:
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(weight, of_weight)
            return torch.autograd.forward_ad.unpack_dual(F.embedding(ids, dual)).tangent

    of_weight = torch.randn(50, 32)
    found = torch.compile(tangent, backend="aot_eager")(weight, of_weight)
    torch.testing.assert_close(found, of_weight[ids])
