"""The layer of bags beside PyTorch's own: what they share, and where PyTorch's kernels must serve."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

import embrow.functional as F
from beside_torch import OTHER_TYPES, Watch, behaves_as, counted, raises_as, twins
from embrow import _core
from embrow.nn import EmbeddingBag

aten = torch.nn.functional.embedding_bag
IDS = torch.tensor([1, 2, 2, 9, 3, 1, 1, 0])
OFFSETS = torch.tensor([0, 3, 3, 7])


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of our kernels in the order they were called."""
    return counted(monkeypatch, _core, "pool_bags", "scatter_bags")


SETTINGS: list[dict[str, Any]] = [
    {},
    {"mode": "sum"},
    {"mode": "max"},
    {"mode": "max", "padding_idx": 1},
    {"padding_idx": 2},
    {"padding_idx": -1},
    {"max_norm": 1.0},
    {"max_norm": 0.5, "norm_type": 1.0, "padding_idx": 0, "mode": "sum"},
    {"sparse": True},
    {"sparse": True, "padding_idx": 3, "mode": "sum"},
    {"dtype": torch.float64},
    {"dtype": torch.bfloat16},
    {"dtype": torch.float16, "mode": "sum"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_forward_and_gradient_are_torch_s(
    settings: dict[str, Any], id_type: torch.dtype, kernel_calls: list[str]
) -> None:
    ours, theirs = twins(EmbeddingBag, **settings)
    ids, offsets = IDS.to(id_type), OFFSETS.to(id_type)
    version = ours.weight._version
    found, expected = ours(ids, offsets), theirs(ids, offsets)
    tolerance = {"rtol": 0.05, "atol": 0.05} if found.dtype.itemsize == 2 else {}
    torch.testing.assert_close(found, expected, **tolerance)
    assert torch.equal(ours.weight, theirs.weight)
    assert (ours.weight._version > version) == ("max_norm" in settings)
    up = torch.randn_like(found)
    found.backward(up)
    expected.backward(up)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, **tolerance)
    dense = not settings.get("sparse") and settings.get("mode") != "max"
    assert kernel_calls == ["pool_bags", "scatter_bags"][: 2 if dense else 1]


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_scale_grad_by_freq_is_that_of_single_rows(mode: str) -> None:
    """PyTorch's bags on CPU divide by the count of another id where ids repeat."""
    weight = torch.randn(10, 4, requires_grad=True)
    ids = IDS.reshape(2, 4)
    single = torch.nn.functional.embedding(ids, weight, scale_grad_by_freq=True)
    pooled = F.embedding_bag(ids, weight, mode=mode, scale_grad_by_freq=True)
    up = torch.randn(2, 4)
    expected = torch.autograd.grad(getattr(single, mode)(1), weight, up)
    torch.testing.assert_close(torch.autograd.grad(pooled, weight, up), expected)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_weights_are_trained_as_torch_s(sparse: bool, padding_idx: int | None) -> None:
    ours, theirs = twins(EmbeddingBag, mode="sum", sparse=sparse, padding_idx=padding_idx)
    for frozen in (False, True):
        grads = []
        for layer in (ours, theirs):
            layer.zero_grad()
            layer.weight.requires_grad_(not frozen)
            torch.manual_seed(0)
            weights = torch.randn(8, requires_grad=True)
            layer(IDS, OFFSETS, weights).sin().sum().backward()
            grads.append((weights.grad, layer.weight.grad))
        torch.testing.assert_close(*grads)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("padding_idx", [None, 0])
def test_means_of_long_bags_divide_16_bit_gradients_by_their_sizes(dtype: torch.dtype, padding_idx: int | None) -> None:
    ids = torch.arange(8192).reshape(2, 4096) % 4096
    settings: dict[str, Any] = {"mode": "mean", "padding_idx": padding_idx}

    def gradient(lookup: Any, create_graph: bool = False, **more: Any) -> Tensor:
        weight = torch.ones(4096, 2, dtype=dtype, requires_grad=True)
        found = torch.autograd.grad(lookup(ids, weight, **settings, **more).sum(), weight, create_graph=create_graph)
        return found[0].detach()

    expected = gradient(aten, sparse=True)._values()
    torch.testing.assert_close(gradient(F.embedding_bag, sparse=True)._values(), expected, rtol=0.02, atol=0)
    plain = gradient(F.embedding_bag)
    assert torch.equal(
        plain[1].float(), torch.full((2,), 2 / (4096 if padding_idx is None else 4095)).to(dtype).float()
    )
    torch.testing.assert_close(gradient(F.embedding_bag, create_graph=True), plain, rtol=0.02, atol=0)


def test_a_bag_longer_than_float16_counts_has_a_gradient() -> None:
    weight = torch.ones(4, 2, dtype=torch.float16, requires_grad=True)
    F.embedding_bag(torch.zeros(1, 70_000).long(), weight, sparse=True).backward(torch.full((1, 2), 7e4 / 2))
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad._values()[0], torch.full((2,), 0.5).half())


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_table_without_rows_has_a_gradient_without_rows(mode: str) -> None:
    ids = torch.zeros(0).long()
    for create_graph in (False, True):
        weight = torch.ones(0, 3, requires_grad=True)
        rows = F.embedding_bag(ids, weight, torch.tensor([0, 0]), mode=mode)
        assert torch.equal(rows, torch.zeros(2, 3))
        (found,) = torch.autograd.grad(rows.sum(), weight, create_graph=create_graph)
        assert found.shape == (0, 3)


@pytest.mark.parametrize(
    "settings",
    [
        *OTHER_TYPES,
        {"offsets": OFFSETS, "include_last_offset": 1},
        {"offsets": OFFSETS, "include_last_offset": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("grad", [False, True])
def test_settings_of_other_types_are_torch_s_to_refuse(settings: dict[str, Any], grad: bool) -> None:
    weight = torch.randn(10, 2, requires_grad=grad)
    ids = IDS if "offsets" in settings else IDS.reshape(2, -1)
    behaves_as(lambda: aten(ids, weight, **settings), lambda: F.embedding_bag(ids, weight, **settings), weight)


@pytest.mark.parametrize("padding_idx", [np.int64(1), np.uint8(1), np.int32(-9)], ids=repr)
def test_integers_of_numpy_are_integers(padding_idx: Any, kernel_calls: list[str]) -> None:
    weight = torch.randn(10, 4, requires_grad=True)
    ids = IDS.reshape(2, -1)
    gradients = []
    for index in (padding_idx, 1):
        out = F.embedding_bag(ids, weight, mode="sum", scale_grad_by_freq=True, padding_idx=index)
        gradients += torch.autograd.grad(out.sum(), weight)
    assert torch.equal(*gradients)
    assert kernel_calls == ["pool_bags", "scatter_bags"] * 2


def test_construction_is_torch_s() -> None:
    torch.manual_seed(3)
    ours = EmbeddingBag(7, 5, padding_idx=-2)
    torch.manual_seed(3)
    theirs = torch.nn.EmbeddingBag(7, 5, padding_idx=-2)
    assert torch.equal(ours.weight, theirs.weight)
    assert ours.padding_idx == 5 and not ours.weight[5].any() and ours.mode == "mean"
    assert repr(ours) == repr(theirs)
    raises_as(lambda: torch.nn.EmbeddingBag(3, 2, padding_idx=3), lambda: EmbeddingBag(3, 2, padding_idx=3))
    table = torch.randn(4, 3)
    layer = EmbeddingBag.from_pretrained(table, mode="sum")
    assert type(layer) is EmbeddingBag
    assert layer.weight.data_ptr() == table.data_ptr() and not layer.weight.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_from_nn_and_to_nn_share_the_parameter(training: bool) -> None:
    theirs = torch.nn.EmbeddingBag(6, 3, 2.0, 1.0, True, "sum", True, include_last_offset=True, padding_idx=2)
    theirs.train(training)
    theirs.weight.requires_grad_(False)
    ours = EmbeddingBag.from_nn(theirs)
    back = ours.to_nn()
    assert type(ours) is EmbeddingBag and type(back) is torch.nn.EmbeddingBag
    assert ours.weight is theirs.weight and back.weight is theirs.weight
    for name in theirs.__constants__:
        assert getattr(ours, name) == getattr(theirs, name) == getattr(back, name)
    assert ours.training == back.training == training
    assert not back.weight.requires_grad
    with pytest.raises(TypeError, match=r"takes a torch.nn.EmbeddingBag, found Embedding"):
        EmbeddingBag.from_nn(torch.nn.Embedding(2, 2))  # type: ignore[arg-type]


def saved(layer: EmbeddingBag) -> EmbeddingBag:
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)  # type: ignore[no-any-return]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer)), saved])
def test_copies_are_whole_and_their_own(copied: Callable[[EmbeddingBag], EmbeddingBag]) -> None:
    layer = EmbeddingBag(10, 3, padding_idx=1, mode="sum", include_last_offset=True)
    other = copied(layer)
    assert type(other) is EmbeddingBag and repr(other) == repr(layer) and other.include_last_offset
    assert torch.equal(other.weight, layer.weight) and other.weight.data_ptr() != layer.weight.data_ptr()
    other(IDS, torch.tensor([0, 8])).sum().backward()
    assert layer.weight.grad is None


def test_share_memory_and_state_dict() -> None:
    ours, theirs = twins(EmbeddingBag)
    ours.share_memory()
    assert ours.weight.is_shared()
    torch.testing.assert_close(ours(IDS, OFFSETS), theirs(IDS, OFFSETS))


def test_meta_device(kernel_calls: list[str]) -> None:
    layer = EmbeddingBag(5, 3, device="meta")
    out = layer(torch.zeros(2, 2, dtype=torch.int64, device="meta"))
    assert out.is_meta and out.shape == (2, 3)
    with torch.device("meta"):
        assert EmbeddingBag(5, 3)(torch.zeros(2, 2, dtype=torch.int64)).is_meta
    assert not kernel_calls


def test_default_devices_do_not_reach_the_backward_pass() -> None:
    layer = EmbeddingBag(5, 3, mode="max")
    out = layer(torch.tensor([[1, 2]]))
    with torch.device("meta"):
        out.sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.is_cpu


def test_autocast_keeps_float32() -> None:
    ours, theirs = twins(EmbeddingBag)
    for layer in (ours, theirs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(IDS, OFFSETS)
            out.sum().backward()
        assert out.dtype == torch.float32
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


# In-place changes between forward and backward


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("which", [0, 1])
def test_ids_and_offsets_changed_before_backward_are_refused(which: int, mode: str) -> None:
    layer, inputs = EmbeddingBag(10, 2, mode=mode), (IDS.clone(), OFFSETS.clone())
    out = layer(*inputs)
    inputs[which][1] = 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_the_table_may_change_before_backward_unless_weights_are_trained() -> None:
    layer = EmbeddingBag(10, 2, mode="sum")
    for weights in (None, torch.ones(8), torch.ones(8, requires_grad=True)):
        out = layer(IDS, OFFSETS, weights)
        with torch.no_grad():
            layer.weight.mul_(2)
        if weights is None or not weights.requires_grad:
            out.sum().backward()
        else:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                out.sum().backward()


# Wrong input


@pytest.mark.parametrize(
    ("ids", "weight", "offsets", "settings"),
    [
        (torch.tensor([[0.5]]), torch.randn(3, 2), None, {}),
        (torch.tensor([[1]], dtype=torch.int16), torch.randn(3, 2), None, {}),
        (torch.tensor([[1]]), torch.arange(6).reshape(3, 2), None, {}),
        (torch.tensor([[1]]), torch.randn(3), None, {}),
        (torch.tensor(1), torch.randn(3, 2), None, {}),
        (torch.tensor([[[1]]]), torch.randn(3, 2), None, {}),
        (torch.tensor([1]), torch.randn(3, 2), None, {}),
        (torch.empty(2, 0, dtype=torch.int64), torch.randn(3, 2), None, {}),
        (torch.tensor([[1]]), torch.randn(3, 2), torch.tensor([0]), {}),
        (torch.tensor([1]), torch.randn(3, 2), torch.tensor([[0]]), {}),
        (torch.tensor([1]), torch.randn(3, 2), torch.tensor([0.0]), {}),
        (torch.tensor([1]), torch.randn(3, 2), [0], {}),
        (torch.tensor([1]), torch.randn(3, 2), torch.tensor([1]), {}),
        (torch.tensor([1]), torch.randn(3, 2), torch.tensor([0, 2]), {}),
        (torch.tensor([1]), torch.randn(3, 2), torch.tensor([0, 2]), {"include_last_offset": True}),
        (torch.tensor([1]), torch.randn(3, 2), torch.tensor([0, -1]), {"mode": "sum"}),
        (torch.empty(0, dtype=torch.int64), torch.randn(3, 2), torch.empty(0).long(), {"include_last_offset": True}),
        (torch.tensor([[1]]), torch.randn(3, 2), None, {"padding_idx": 3}),
        (torch.tensor([[1]]), torch.randn(3, 2), None, {"padding_idx": -4}),
        (torch.tensor([[1]]), torch.randn(3, 2), None, {"mode": "median"}),
        (torch.tensor([[1]]), torch.randn(3, 2), None, {"mode": "max", "sparse": True}),
        (torch.tensor([[1]]), torch.randn(3, 2), None, {"mode": "max", "scale_grad_by_freq": True}),
        (torch.tensor([[1]]), torch.randn(3, 2), None, {"per_sample_weights": torch.ones(1, 1)}),
        (torch.tensor([[1]]), torch.randn(3, 2), None, {"mode": "sum", "per_sample_weights": torch.ones(1)}),
        (
            torch.tensor([[1]]),
            torch.randn(3, 2),
            None,
            {"mode": "sum", "per_sample_weights": torch.ones(1, 1).double()},
        ),
        (torch.tensor([[3]]), torch.randn(3, 2), None, {"mode": "sum"}),
        (torch.tensor([[-1]]), torch.randn(3, 2), None, {"mode": "sum"}),
        ([[1]], torch.randn(3, 2), None, {}),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_wrong_input_raises_as_torch(ids: Any, weight: Any, offsets: Any, settings: dict[str, Any]) -> None:
    raises_as(lambda: aten(ids, weight, offsets, **settings), lambda: F.embedding_bag(ids, weight, offsets, **settings))


# What our kernels leave to PyTorch


def test_offsets_that_fall_or_end_early_are_left_to_torch(kernel_calls: list[str]) -> None:
    table, ids = torch.randn(5, 3, dtype=torch.float64), torch.tensor([1, 2, 3])
    for offsets, closed in [([0, 2, 1], False), ([0, 2], True)]:
        inputs: tuple[Any, ...] = (ids, table, torch.tensor(offsets))
        found = F.embedding_bag(*inputs, mode="sum", include_last_offset=closed)
        assert torch.equal(found, aten(*inputs, mode="sum", include_last_offset=closed))
    assert not kernel_calls


class Marked(Tensor):
    pass


@pytest.mark.parametrize("place", range(4))
def test_subclasses_are_left_to_torch(place: int, kernel_calls: list[str]) -> None:
    inputs = [IDS, torch.randn(10, 2), OFFSETS, torch.ones(8)]
    inputs[place] = inputs[place].as_subclass(Marked)
    ids, weight, offsets, weights = inputs
    assert type(F.embedding_bag(ids, weight, offsets, mode="sum", per_sample_weights=weights)) is Marked
    assert not kernel_calls


def test_modes_see_torch_s_operator(kernel_calls: list[str]) -> None:
    layer = EmbeddingBag(10, 2)
    with Watch() as watch:
        layer(IDS, OFFSETS).sum().backward()
    assert "aten._embedding_bag.default" in watch.seen
    assert not kernel_calls
    out = layer(IDS, OFFSETS).sum()
    with Watch() as watch:
        out.backward()
    assert any("embedding" in name for name in watch.seen)
    assert kernel_calls == ["pool_bags"]


def test_fake_tensors_and_make_fx() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert EmbeddingBag(5, 3)(torch.zeros(2, 4, dtype=torch.int64)).shape == (2, 3)

    def pool(ids: Tensor, weight: Tensor, offsets: Tensor) -> Tensor:
        return F.embedding_bag(ids, weight, offsets)

    weight = torch.randn(10, 3)
    for mode in ("real", "fake", "symbolic"):
        graph = make_fx(pool, tracing_mode=mode)(IDS, weight, OFFSETS)
        torch.testing.assert_close(graph(IDS.flip(0), weight, OFFSETS), aten(IDS.flip(0), weight, OFFSETS))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    "settings", [{}, {"mode": "sum", "padding_idx": 1}, {"mode": "max"}, {"sparse": True}], ids=str
)
def test_jit_trace_and_script_record_the_operator(settings: dict[str, Any]) -> None:
    layer = EmbeddingBag(10, 3, **settings)
    expected = layer(IDS.flip(0), OFFSETS)
    for graph in (torch.jit.trace(layer, (IDS, OFFSETS)), torch.jit.script(layer)):
        torch.testing.assert_close(graph(IDS.flip(0), OFFSETS), expected)
        assert "aten::embedding_bag" in str(graph.inlined_graph)
        graph(IDS, OFFSETS).sum().backward()
        assert layer.weight.grad is not None
        layer.weight.grad = None
        file = io.BytesIO()
        torch.jit.save(graph, file)
        file.seek(0)
        torch.testing.assert_close(torch.jit.load(file)(IDS.flip(0), OFFSETS), expected)


def scripted(ids: Tensor, weight: Tensor, offsets: Tensor) -> Tensor:
    return F.embedding_bag(ids, weight, offsets, mode="sum")


def test_the_function_scripts() -> None:
    weight = torch.randn(10, 2)
    torch.testing.assert_close(torch.jit.script(scripted)(IDS, weight, OFFSETS), scripted(IDS, weight, OFFSETS))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("settings", [{}, {"mode": "sum"}, {"mode": "max", "padding_idx": 1}], ids=str)
def test_compile_fullgraph(backend: str, settings: dict[str, Any]) -> None:
    torch._dynamo.reset()
    ours, theirs = twins(EmbeddingBag, **settings)
    found = torch.compile(ours, backend=backend, fullgraph=True)(IDS, OFFSETS)
    expected = theirs(IDS, OFFSETS)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize("strict", [True, False])
def test_export_records_the_operator(strict: bool) -> None:
    layer = EmbeddingBag(10, 3)
    program = torch.export.export(layer, (IDS, OFFSETS), strict=strict)
    assert any("embedding_bag" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(IDS.flip(0), OFFSETS), layer(IDS.flip(0), OFFSETS))


def test_functional_transforms_are_torch_s() -> None:
    weight, tangent, ids = torch.randn(10, 2), torch.randn(10, 2), torch.stack([IDS, IDS.flip(0)])
    results = []
    for pool in (F.embedding_bag, aten):

        def loss(weight: Tensor, ids: Tensor, pool: Any = pool) -> Tensor:
            return pool(ids, weight, OFFSETS, mode="sum").square().sum()  # type: ignore[no-any-return]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing batching rules
            over_tables = torch.vmap(loss, in_dims=(0, None))(torch.stack([weight, tangent]), IDS)
            per_sample = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(weight, ids)
        results.append((over_tables, per_sample, torch.func.grad(loss)(weight, IDS)))
    torch.testing.assert_close(*results)


def test_forward_mode_is_refused_as_by_torch() -> None:
    weight = torch.randn(10, 2)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(weight, weight)
        message = raises_as(lambda: aten(IDS, dual, OFFSETS), lambda: F.embedding_bag(IDS, dual, OFFSETS))
    assert "forward AD with _embedding_bag" in message


@pytest.mark.parametrize(("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False), ("max", False)])
def test_no_bags_have_a_gradient_of_zeros(mode: str, weighted: bool) -> None:
    nothing = torch.empty(0, dtype=torch.long)
    weights = torch.empty(0, requires_grad=True) if weighted else None
    for layer in twins(EmbeddingBag, 5, 3, mode=mode, include_last_offset=True):
        out = layer(nothing, torch.tensor([0]), per_sample_weights=weights)
        assert out.shape == (0, 3)
        out.sum().backward()
        assert layer.weight.grad is not None and not layer.weight.grad.any()
