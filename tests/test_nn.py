"""The layer and the function beside PyTorch's own: what they share, and where PyTorch's kernels must serve."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

import embrow.functional as F
import embrow.nn
from beside_torch import OTHER_TYPES, Watch, behaves_as, counted, raises_as, twins
from embrow import _core, _embedding, _openmp
from embrow.nn import Embedding

aten = torch.nn.functional.embedding


@pytest.fixture(autouse=True, params=["kernels", "PyTorch's operator"])
def few_rows(request: pytest.FixtureRequest) -> None:
    """Look few rows up with either; as nearly all lookups here are."""
    if request.param == "kernels":
        request.getfixturevalue("kernels_look_up_few")


@pytest.fixture
def torch_looks_up_few(few_rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embrow._embedding.few_elements", 32768)
    monkeypatch.setattr("embrow._embedding._brief_bytes", 1 << 20)
    monkeypatch.setattr("embrow._embedding._alone_bytes", 512 << 10)


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of our kernels in the order they were called."""
    return counted(monkeypatch, _core, "gather_rows", "scatter_rows")


# The layer


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"padding_idx": 2},
        {"padding_idx": -1},
        {"max_norm": 1.0},
        {"max_norm": 0.5, "norm_type": 1.0, "padding_idx": 0},
        {"max_norm": 1.0, "norm_type": float("inf")},
        {"max_norm": 1.0, "norm_type": 0.5},
        {"scale_grad_by_freq": True},
        {"scale_grad_by_freq": True, "padding_idx": 1},
        {"sparse": True},
        {"sparse": True, "padding_idx": 3},
        {"dtype": torch.float64},
        {"dtype": torch.bfloat16},
        {"dtype": torch.float16},
    ],
    ids=str,
)
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_forward_and_gradient_are_torch_s(settings: dict[str, Any], id_type: torch.dtype) -> None:
    ours, theirs = twins(Embedding, **settings)
    ids = torch.tensor([[1, 2, 2, 9], [3, 1, 1, 0]], dtype=id_type)
    version = ours.weight._version
    found, expected = ours(ids), theirs(ids)
    assert torch.equal(found, expected)
    assert torch.equal(ours.weight, theirs.weight)
    assert (ours.weight._version > version) == ("max_norm" in settings)
    up = torch.randn_like(found)
    found.backward(up)
    expected.backward(up)
    assert ours.weight.grad is not None and theirs.weight.grad is not None
    # torch adds 16-bit gradients in 16 bits.
    tolerance = {"rtol": 0.05, "atol": 0.05} if found.dtype.itemsize == 2 else {}
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, **tolerance)


@pytest.mark.parametrize("settings", OTHER_TYPES, ids=str)
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(("rows", "dim", "count"), [(4, 2, 3), (1001, 20, 2000)], ids=["few", "many"])
def test_settings_of_other_types_are_torch_s_to_refuse(
    settings: dict[str, Any], grad: bool, rows: int, dim: int, count: int
) -> None:
    weight = torch.randn(rows, dim, requires_grad=grad)
    ids = torch.randint(rows, (count,))
    behaves_as(lambda: aten(ids, weight, **settings), lambda: F.embedding(ids, weight, **settings), weight)


def test_construction_is_torch_s() -> None:
    torch.manual_seed(3)
    ours = Embedding(7, 5, padding_idx=-2)
    torch.manual_seed(3)
    theirs = torch.nn.Embedding(7, 5, padding_idx=-2)
    assert torch.equal(ours.weight, theirs.weight)
    assert ours.padding_idx == 5 and not ours.weight[5].any()
    assert repr(ours) == repr(theirs)
    assert isinstance(ours, torch.nn.Embedding)
    raises_as(lambda: torch.nn.Embedding(3, 2, padding_idx=3), lambda: Embedding(3, 2, padding_idx=3))
    raises_as(lambda: torch.nn.Embedding(3, 2, padding_idx=-4), lambda: Embedding(3, 2, padding_idx=-4))


def test_from_pretrained_aliases_and_freezes() -> None:
    table = torch.randn(4, 3)
    layer = Embedding.from_pretrained(table, padding_idx=1)
    assert type(layer) is Embedding
    assert layer.weight.data_ptr() == table.data_ptr() and not layer.weight.requires_grad
    assert torch.equal(layer(torch.tensor([1])), table[1:2])
    assert Embedding.from_pretrained(table, freeze=False).weight.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_from_nn_and_to_nn_share_the_parameter(training: bool) -> None:
    theirs = torch.nn.Embedding(6, 3, padding_idx=2, max_norm=2.0, norm_type=1.0, scale_grad_by_freq=True, sparse=True)
    theirs.train(training)
    theirs.weight.requires_grad_(False)
    ours = Embedding.from_nn(theirs)
    back = ours.to_nn()
    assert type(ours) is Embedding and type(back) is torch.nn.Embedding
    assert ours.weight is theirs.weight and back.weight is theirs.weight
    assert repr(ours) == repr(theirs) == repr(back)
    assert ours.training == back.training == training
    assert not back.weight.requires_grad


def test_from_nn_refuses_another_module() -> None:
    with pytest.raises(TypeError, match=r"takes a torch.nn.Embedding, found Linear"):
        Embedding.from_nn(torch.nn.Linear(2, 2))  # type: ignore[arg-type]


def test_from_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def embedding_matrix(vocab: Any, vectors: Any, *, oov: str, seed: int) -> Any:
        asked.append((vectors, oov, seed))
        return types.SimpleNamespace(weight=np.arange(6, dtype=np.float32).reshape(3, 2))

    monkeypatch.setitem(sys.modules, "embrow.vectors", types.SimpleNamespace(embedding_matrix=embedding_matrix))  # type: ignore[arg-type]
    vocab: Any = types.SimpleNamespace(pad_id=0)
    layer = Embedding.from_vectors(vocab, "vectors.txt", oov="mean", seed=4, sparse=True)
    assert asked == [("vectors.txt", "mean", 4)]
    assert layer.weight.requires_grad and layer.padding_idx == 0 and layer.sparse
    assert layer(torch.tensor([2])).tolist() == [[4.0, 5.0]]
    frozen = Embedding.from_vectors(vocab, "vectors.txt", freeze=True, padding_idx=1)
    assert not frozen.weight.requires_grad and frozen.padding_idx == 1
    assert Embedding.from_vectors({"a": 0, "b": 1, "c": 2}, "vectors.txt").padding_idx is None


def test_state_dict_goes_both_ways() -> None:
    ours, theirs = twins(Embedding)
    with torch.no_grad():
        theirs.weight.add_(1)
    assert not ours.load_state_dict(theirs.state_dict()).missing_keys
    assert torch.equal(ours.weight, theirs.weight)
    theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "pickle"]
)
def test_copies_are_whole_and_their_own(copied: Callable[[Embedding], Embedding]) -> None:
    layer = Embedding(5, 3, padding_idx=1, sparse=True)
    other = copied(layer)
    assert type(other) is Embedding and repr(other) == repr(layer)
    assert torch.equal(other.weight, layer.weight) and other.weight.data_ptr() != layer.weight.data_ptr()
    other(torch.tensor([2])).sum().backward()
    assert layer.weight.grad is None


def test_torch_save() -> None:
    layer = Embedding(5, 3)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False).weight, layer.weight)


def test_share_memory() -> None:
    layer = Embedding(5, 3).share_memory()
    assert layer.weight.is_shared()
    assert torch.equal(layer(torch.tensor([4])), layer.weight[4:])


def test_meta_device(kernel_calls: list[str]) -> None:
    layer = Embedding(5, 3, device="meta")
    out = layer(torch.zeros(2, 2, dtype=torch.int64, device="meta"))
    assert out.is_meta and out.shape == (2, 2, 3)
    with torch.device("meta"):
        assert Embedding(5, 3)(torch.zeros(2, dtype=torch.int64)).is_meta
    assert not kernel_calls


def test_autocast_keeps_float32() -> None:
    layer = Embedding(5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(torch.tensor([1, 4]))
        out.sum().backward()
    assert out.dtype == torch.float32
    assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32


def test_tied_weights_add_their_gradients() -> None:
    layer = Embedding(6, 3)
    head = torch.nn.Linear(3, 6, bias=False)
    head.weight = layer.weight
    other = copy.deepcopy(layer).to_nn()
    ids = torch.tensor([1, 5, 5])
    head(layer(ids)).sum().backward()
    torch.nn.functional.linear(other(ids), other.weight).sum().backward()
    torch.testing.assert_close(layer.weight.grad, other.weight.grad)


def test_backward_twice_accumulates() -> None:
    ours, theirs = twins(Embedding)
    for layer in (ours, theirs):
        for ids in ([1, 1], [1, 3]):
            layer(torch.tensor(ids)).sum().backward()
    assert torch.equal(ours.weight.grad, theirs.weight.grad)  # type: ignore[arg-type]


def test_one_graph_may_be_walked_twice() -> None:
    layer = Embedding(4, 2)
    out = layer(torch.tensor([1, 2])).sum()
    out.backward(retain_graph=True)
    out.backward()
    assert layer.weight.grad is not None and layer.weight.grad[1].tolist() == [2.0, 2.0]


# In-place changes between forward and backward


def test_ids_changed_before_backward_are_refused() -> None:
    layer, ids = Embedding(4, 2), torch.tensor([1, 2])
    out = layer(ids)
    ids[0] = 3
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_the_weight_may_change_before_backward() -> None:
    layer = Embedding(4, 2)
    out = layer(torch.tensor([1, 2]))
    with torch.no_grad():
        layer.weight.mul_(2)
    out.sum().backward()
    assert layer.weight.grad is not None


def test_the_result_may_be_changed_in_place() -> None:
    ours, theirs = twins(Embedding)
    for layer in (ours, theirs):
        layer(torch.tensor([1, 2])).mul_(3).sum().backward()
    assert torch.equal(ours.weight.grad, theirs.weight.grad)  # type: ignore[arg-type]


def test_ids_are_saved_through_hooks() -> None:
    packed: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        packed.append(tensor)
        return tensor.clone()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = Embedding(4, 2)(torch.tensor([3]))
    out.sum().backward()
    assert [tensor.tolist() for tensor in packed] == [[3]]


# Wrong input


@pytest.mark.parametrize(
    ("ids", "weight", "settings"),
    [
        (torch.tensor([0.5]), torch.randn(3, 2), {}),
        (torch.tensor([True]), torch.randn(3, 2), {}),
        (torch.tensor([1], dtype=torch.int16), torch.randn(3, 2), {}),
        (torch.tensor([1], dtype=torch.uint8), torch.randn(3, 2), {}),
        (torch.tensor([1]), torch.randn(3), {}),
        (torch.tensor([1]), torch.randn(3, 2, 2), {}),
        (torch.tensor([3]), torch.randn(3, 2), {}),
        (torch.tensor([-1]), torch.randn(3, 2), {}),
        (torch.tensor([1]), torch.randn(3, 2), {"padding_idx": 3}),
        (torch.tensor([1]), torch.randn(3, 2), {"padding_idx": -4}),
        ([1], torch.randn(3, 2), {}),
        (torch.tensor([1]), np.zeros((3, 2)), {}),
        (torch.tensor([1]), torch.randn(3, 2), {"max_norm": "1"}),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_wrong_input_raises_as_torch(ids: Any, weight: Any, settings: dict[str, Any]) -> None:
    raises_as(lambda: aten(ids, weight, **settings), lambda: F.embedding(ids, weight, **settings))


def test_a_hidden_import_names_the_extra() -> None:
    for module in ("embrow.nn", "embrow.functional", "embrow.distributed", "embrow.cuda"):
        code = f"import sys; sys.modules['torch'] = None; import {module}"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert run.stderr.rstrip().endswith(f'ImportError: {module} needs PyTorch: pip install "embrow[torch]"')


# What our kernels serve, and what they leave to PyTorch


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.usefixtures("kernels_look_up_few")
def test_plain_tensors_are_served(dtype: torch.dtype, kernel_calls: list[str]) -> None:
    weight = torch.randn(4, 2, dtype=dtype, requires_grad=True)
    F.embedding(torch.tensor([1]), weight).sum().backward()
    with torch.no_grad():
        F.embedding(torch.tensor([1]), weight)
    with torch.inference_mode():
        F.embedding(torch.tensor([1]), weight)
    assert kernel_calls == ["gather_rows", "scatter_rows", "gather_rows", "gather_rows"]


def test_few_rows_are_torch_s_to_look_up(kernel_calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(4, 3, requires_grad=True)
    few, one_more = torch.tensor([1, 1]), torch.tensor([1, 1, 0])
    monkeypatch.setattr("embrow._embedding.few_elements", 2 * 3 + 1)
    monkeypatch.setattr("embrow._embedding._brief_bytes", 0)
    monkeypatch.setattr("embrow._embedding._alone_bytes", 0)
    for ids, calls in ((few, []), (one_more, ["gather_rows"])):
        with torch.no_grad():
            assert torch.equal(F.embedding(ids, weight), weight[ids])
        assert kernel_calls == calls
        # The node of the graph is PyTorch's where the gradient is.
        found = F.embedding(ids, weight, padding_idx=1, sparse=True)
        expected = aten(ids, weight, padding_idx=1, sparse=True)
        assert (type(found.grad_fn) is type(expected.grad_fn)) is (not calls)
        assert kernel_calls == 2 * calls
        (grad,), (expected_grad,) = (torch.autograd.grad(out.sum(), weight) for out in (found, expected))
        assert torch.equal(grad._indices(), expected_grad._indices())
        assert torch.equal(grad._values(), expected_grad._values())
        kernel_calls.clear()


@pytest.mark.usefixtures("kernels_look_up_few")
@pytest.mark.parametrize(
    ("rows", "count", "dtype", "settings", "served"),
    [
        (4, 64, torch.float32, {}, False),
        (4, 64, torch.float64, {"padding_idx": 1}, False),
        (4, 65, torch.float32, {}, True),  # a second block of terms
        (4, 64, torch.float32, {"scale_grad_by_freq": True}, True),  # PyTorch scales each term
        (4, 64, torch.bfloat16, {}, True),  # a sum in float
        (1000, 64, torch.float32, {}, False),
        (1001, 64, torch.float32, {}, True),  # with threads of PyTorch's
        (10_923, 64, torch.float32, {}, False),  # 32,769 elements to clear
        ((8 << 20) // 12, 64, torch.float32, {"padding_idx": 1}, False),
        ((8 << 20) // 12 + 1, 64, torch.float32, {}, True),  # more than 8 MB
        (1 << 22, 64, torch.float32, {}, True),  # more than 32 MB, fresh from the system
    ],
)
def test_the_gradient_of_few_rows_is_torch_s(
    rows: int,
    count: int,
    dtype: torch.dtype,
    settings: dict[str, Any],
    served: bool,
    kernel_calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = torch.zeros(rows, 3, dtype=dtype, requires_grad=True)
    ids = torch.randint(4, (count,))
    outside = torch.randn(count, 3, dtype=dtype)

    def gradient() -> Tensor:
        return torch.autograd.grad(F.embedding(ids, weight, **settings), weight, outside)[0][:4]

    expected = gradient()
    assert kernel_calls == ["gather_rows", "scatter_rows"]
    monkeypatch.setattr("embrow._embedding.few_elements", 32768)
    found = gradient()
    assert kernel_calls == (1 + served) * ["gather_rows", "scatter_rows"]
    assert torch.equal(found, expected)


@pytest.mark.usefixtures("torch_looks_up_few")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_brief_copy_with_a_sparse_gradient_is_torch_s_where_there_is_one_thread(
    dtype: torch.dtype, threads: int, kernel_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "has_helper_awake", lambda: True)
    for asked in (_embedding, _openmp):
        monkeypatch.setattr(asked, "_get_num_threads", lambda: threads)
    weight = torch.randn(300, 128, dtype=dtype, requires_grad=True)
    brief = torch.randint(300, ((512 << 10) // 128 // dtype.itemsize,))
    for ids, served in ((brief, threads > 1), (torch.cat((brief, brief[:1])), True)):
        found, expected = (lookup(ids, weight, sparse=True) for lookup in (F.embedding, aten))
        assert torch.equal(found, expected)
        assert (type(found.grad_fn) is type(expected.grad_fn)) is not served
        assert kernel_calls == served * ["gather_rows"]
        kernel_calls.clear()
        with torch.no_grad():
            F.embedding(ids, weight, sparse=True)
        F.embedding(ids, weight)
        assert kernel_calls == ["gather_rows", "gather_rows"]
        kernel_calls.clear()


@pytest.mark.usefixtures("torch_looks_up_few")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("awake", [False, True])
def test_a_brief_copy_is_torch_s_while_our_helpers_sleep(
    dtype: torch.dtype, awake: bool, kernel_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "has_helper_awake", lambda: awake)
    weight = torch.randn(300, 128, dtype=dtype, requires_grad=True)
    brief = torch.randint(300, ((1 << 20) // 128 // dtype.itemsize - 1,))
    for ids, served in ((brief, awake), (torch.cat((brief, brief[:1])), True)):
        gathers = served * ["gather_rows"]
        with torch.no_grad():
            assert torch.equal(F.embedding(ids, weight), weight[ids])
        assert kernel_calls == gathers
        # The node of the graph is ours, but for sparse gradients.
        for sparse in (False, True):
            kernel_calls.clear()
            found, expected = (lookup(ids, weight, sparse=sparse) for lookup in (F.embedding, aten))
            assert torch.equal(found, expected)
            assert (type(found.grad_fn) is type(expected.grad_fn)) is (sparse and not served)
            outside = torch.ones_like(found)
            grad, expected_grad = (torch.autograd.grad(out, weight, outside)[0] for out in (found, expected))
            if sparse:
                assert torch.equal(grad._indices(), expected_grad._indices())
                assert torch.equal(grad._values(), expected_grad._values())
            else:
                assert torch.equal(grad, torch.bincount(ids, minlength=300).to(dtype).unsqueeze(1).expand(-1, 128))
            assert kernel_calls == gathers + (not sparse) * ["scatter_rows"]
        kernel_calls.clear()


@pytest.mark.usefixtures("torch_looks_up_few")
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("awake", [False, True])
def test_what_is_saved_is_the_same_whoever_copies(sparse: bool, awake: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "has_helper_awake", lambda: awake)
    weight = torch.zeros(300, 1024, requires_grad=True)
    for count in (30, 200):
        ids = torch.randint(300, (2, count))
        out = F.embedding(ids.t(), weight, sparse=sparse)
        before = ids.t().flatten()
        ids.add_(1)
        expected = torch.bincount(before, minlength=300).float()
        found = torch.autograd.grad(out, weight, torch.ones_like(out))[0].to_dense()
        assert torch.equal(found, expected.unsqueeze(1).expand(-1, 1024))
    with torch.inference_mode():
        ids = torch.randint(300, (200, 2)).t()
    assert F.embedding(ids, weight, sparse=sparse).requires_grad


@pytest.mark.usefixtures("torch_looks_up_few")
@pytest.mark.parametrize("awake", [False, True])
@pytest.mark.parametrize("settings", [{}, {"sparse": True}])
def test_an_empty_table_has_no_ids(settings: dict[str, bool], awake: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "has_helper_awake", lambda: awake)
    weight = torch.zeros(0, 128, requires_grad=True)
    with pytest.raises(IndexError, match=r"index out of range in self.*position 0"):
        F.embedding(torch.zeros(1000, dtype=torch.int64), weight, **settings)


@pytest.mark.usefixtures("torch_looks_up_few")
def test_one_thread_is_ours(kernel_calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "has_helper_awake", lambda: False)
    monkeypatch.setattr("embrow._openmp._get_num_threads", lambda: 1)
    assert F.embedding(torch.zeros(1000, dtype=torch.int64), torch.ones(3, 128)).sum() == 128_000
    assert kernel_calls == ["gather_rows"]


@pytest.mark.parametrize("awake", [False, True])
@pytest.mark.parametrize(
    ("rows", "count", "brief"),
    [
        (255, 1024, False),  # 32,640 elements to clear
        (256, 1024, True),
        (256, 1025, False),  # more than 512 KB to sum
        ((8 << 20) // 512, 1024, True),
        ((8 << 20) // 512 + 1, 1024, False),  # more than 8 MB to clear
        ((32 << 20) // 512 + 1, 1024, False),  # more than 32 MB, fresh from the system
    ],
)
def test_a_brief_table_is_torch_s_to_clear_while_our_helpers_sleep(
    rows: int, count: int, brief: bool, awake: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "has_helper_awake", lambda: awake)
    zeros = counted(monkeypatch, torch, "zeros")
    weight = torch.empty(rows, 128, requires_grad=True)
    ids = torch.randint(200, (count,))
    outside = torch.randn(count, 128)
    single = torch.autograd.grad(F.embedding(ids, weight), weight, outside)[0]
    assert zeros == (brief and not awake) * ["zeros"]
    zeros.clear()
    pooled = F.embedding_bag(ids.view(-1, 5 if count % 2 else 4), weight, mode="sum")
    bags = torch.autograd.grad(pooled, weight, outside[: len(pooled)])[0]
    assert zeros == (brief and not awake) * ["zeros"]
    for found, terms in ((single, outside), (bags, outside[: len(pooled)].repeat_interleave(count // len(pooled), 0))):
        expected = torch.zeros(200, 128, dtype=torch.float64).index_add_(0, ids, terms.double())
        torch.testing.assert_close(found[:200].double(), expected, rtol=1e-5, atol=1e-5)
        assert not found[200:].any()


@pytest.mark.usefixtures("torch_looks_up_few")
@pytest.mark.parametrize("sparse", [False, True])
def test_an_id_outside_is_named_where_torch_copies(sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "has_helper_awake", lambda: False)
    weight = torch.zeros(300, 128, requires_grad=True)
    ids = torch.zeros(2, 500, dtype=torch.int64)
    ids[1, 7] = 300
    with pytest.raises(IndexError, match=r"index out of range in self.*position 507.*300"):
        F.embedding(ids, weight, sparse=sparse)


def test_a_sparse_table_is_torch_s() -> None:
    table = torch.eye(3).to_sparse().requires_grad_()
    found, expected = (lookup(torch.tensor([1]), table).to_dense() for lookup in (F.embedding, aten))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("sparse", [False, True])
def test_padding_is_counted_from_the_end(sparse: bool) -> None:
    weight = torch.randn(4, 3, requires_grad=True)
    ids = torch.tensor([2, 1, 2, 3])
    outs = [lookup(ids, weight, padding_idx=-2, sparse=sparse) for lookup in (F.embedding, aten)]
    found, expected = (torch.autograd.grad(out.sum(), weight)[0].to_dense() for out in outs)
    assert torch.equal(found, expected)
    assert found[2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_an_id_outside_the_table_is_named(sparse: bool, requires_grad: bool) -> None:
    weight = torch.randn(4, 3, requires_grad=requires_grad)
    message = r"^index out of range in self: position 2 of the ids is -1, the table has rows 0 to 3$"
    with pytest.raises(IndexError, match=message) as raised:
        F.embedding(torch.tensor([[0, -1], [3, 4]]).t(), weight, sparse=sparse)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch._to_functional_tensor(torch.tensor([1, 9])),
        lambda: torch._neg_view(torch.tensor([1, 0])),
        lambda: torch.tensor([1, 4]).to_sparse(),
    ],
    ids=["functional", "negative bit", "sparse"],
)
def test_ids_whose_memory_is_not_to_be_read(make: Callable[[], Tensor]) -> None:
    raises_as(lambda: aten(make(), torch.ones(4, 3)), lambda: F.embedding(make(), torch.ones(4, 3)))


def test_an_index_error_of_somebody_else_s_is_handed_on() -> None:
    def fail(_: Tensor) -> None:
        raise IndexError("mine")

    weight = torch.randn(4, 3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(fail, lambda held: held), pytest.raises(IndexError, match=r"^mine$"):
        F.embedding(torch.tensor([1]), weight, sparse=True)


class Marked(Tensor):
    pass


class WatchFunctions(torch.overrides.TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.arange(8).reshape(4, 2),
        lambda: torch.ones(4, 2, dtype=torch.bool),
        lambda: torch.randn(4, 2, dtype=torch.complex64),
        lambda: torch.randn(4, 2).to(torch.float8_e5m2),
        lambda: torch.randn(4, 2).as_subclass(Marked),
        lambda: torch.randn(4, 2, dtype=torch.complex64).conj().imag,
        lambda: torch._efficientzerotensor(4, 2),
        lambda: torch.randn(2, 4).t(),
        lambda: torch._to_functional_tensor(torch.randn(4, 2)),
    ],
    ids=["integers", "bool", "complex", "float8", "subclass", "negative bit", "zero tensor", "columns", "functional"],
)
def test_other_tables_are_left_to_torch(make: Callable[[], Tensor], kernel_calls: list[str]) -> None:
    weight, ids = make(), torch.tensor([[3, 0]])
    if torch._is_functional_tensor(weight):
        ids = torch._to_functional_tensor(ids)
    found, expected = F.embedding(ids, weight), aten(ids, weight)
    if torch._is_functional_tensor(found):
        found, expected = torch._from_functional_tensor(found), torch._from_functional_tensor(expected)
    assert type(found) is type(expected)
    assert torch.equal(found.to(torch.complex64), expected.to(torch.complex64))
    assert not kernel_calls


def test_subclasses_of_ids_are_left_to_torch(kernel_calls: list[str]) -> None:
    assert type(F.embedding(torch.tensor([1]).as_subclass(Marked), torch.randn(4, 2))) is Marked
    assert not kernel_calls


class Watched(Tensor):
    seen: ClassVar[list[Any]] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.seen.append(func)
        return super().__torch_function__(func, types, args, kwargs or {})


def test_subclasses_see_torch_s_function() -> None:
    ids, weight = torch.tensor([1]), torch.randn(4, 2)
    for watched in ((ids, weight.as_subclass(Watched)), (ids.as_subclass(Watched), weight)):
        Watched.seen.clear()
        F.embedding(*watched)
        assert Watched.seen[0] is aten


def test_modes_see_torch_s_operator(kernel_calls: list[str]) -> None:
    layer, ids = Embedding(4, 2), torch.tensor([1])
    with Watch() as watch:
        layer(ids).sum().backward()
    assert "aten.embedding.default" in watch.seen
    assert "aten.embedding_dense_backward.default" in watch.seen
    with WatchFunctions() as functions:
        layer(ids)
    assert aten in functions.seen
    assert not kernel_calls


def test_a_mode_entered_before_backward_sees_torch_s_operator() -> None:
    out = Embedding(4, 2)(torch.tensor([1])).sum()
    with Watch() as watch:
        out.backward()
    assert any("embedding" in name for name in watch.seen)


def test_fake_tensors() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert Embedding(5, 3)(torch.zeros(2, dtype=torch.int64)).shape == (2, 3)


def test_make_fx_records_the_operator() -> None:
    def lookup(ids: Tensor, weight: Tensor) -> Tensor:
        return F.embedding(ids, weight, padding_idx=0)

    weight = torch.randn(6, 3)
    for mode in ("real", "fake", "symbolic"):
        graph = make_fx(lookup, tracing_mode=mode)(torch.tensor([1, 2]), weight)
        assert torch.equal(graph(torch.tensor([5, 0]), weight), weight[[5, 0]])


def test_fx_symbolic_trace_records_the_operator() -> None:
    layer = Embedding(6, 3)
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(layer))
    assert torch.equal(graph(torch.tensor([5, 0])), layer.weight[[5, 0]])


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("settings", [{}, {"padding_idx": 1}, {"max_norm": 1.0}, {"sparse": True}], ids=str)
def test_jit_trace_and_script_record_the_operator(settings: dict[str, Any]) -> None:
    layer = Embedding(6, 3, **settings)
    for graph in (torch.jit.trace(layer, torch.tensor([1, 2])), torch.jit.script(layer)):
        assert torch.equal(graph(torch.tensor([5, 0, 0])), layer(torch.tensor([5, 0, 0])))
        assert "aten::embedding" in str(graph.inlined_graph)
        graph(torch.tensor([4])).sum().backward()
        assert layer.weight.grad is not None
        layer.weight.grad = None
        file = io.BytesIO()
        torch.jit.save(graph, file)
        file.seek(0)
        assert torch.equal(torch.jit.load(file)(torch.tensor([2])), layer(torch.tensor([2])))


def scripted(ids: Tensor, weight: Tensor) -> Tensor:
    return F.embedding(ids, weight, padding_idx=0)


def test_the_function_scripts() -> None:
    weight = torch.randn(4, 2)
    assert torch.equal(torch.jit.script(scripted)(torch.tensor([3]), weight), weight[3:])


def scripted_into(ids: Tensor, table: Tensor, out: Tensor) -> Tensor:
    return F.embedding(ids, table, out=out)


def test_the_function_scripts_with_out() -> None:
    function, table, ids = torch.jit.script(scripted_into), torch.randn(4, 3), torch.tensor([1, 0])
    out = torch.empty(2, 3)
    assert torch.equal(function(ids, table, out), table[ids])
    assert torch.equal(out, table[ids])
    with pytest.raises(torch.jit.Error, match="out must be of the shape"):
        function(ids, table, torch.empty(5, 2, 3))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("settings", [{}, {"padding_idx": 1}, {"scale_grad_by_freq": True}], ids=str)
def test_compile_fullgraph(backend: str, settings: dict[str, Any]) -> None:
    torch._dynamo.reset()
    ours, theirs = twins(Embedding, **settings)
    ids = torch.tensor([[1, 2], [2, 9]])
    found = torch.compile(ours, backend=backend, fullgraph=True)(ids)
    expected = theirs(ids)
    assert torch.equal(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize("strict", [True, False])
def test_export_records_the_operator(strict: bool) -> None:
    layer = Embedding(6, 3)
    program = torch.export.export(torch.nn.Sequential(layer), (torch.tensor([1, 2]),), strict=strict)
    assert any("embedding" in str(node.target) for node in program.graph.nodes)
    assert torch.equal(program.module()(torch.tensor([5, 0])), layer.weight[[5, 0]])


def test_vmap_over_ids_and_tables() -> None:
    ids, weights = torch.randint(0, 5, (3, 4)), torch.randn(3, 5, 2)
    over_ids = torch.vmap(F.embedding, in_dims=(0, None))(ids, weights[0])
    assert torch.equal(over_ids, weights[0][ids])
    over_both = torch.vmap(F.embedding)(ids, weights)
    assert torch.equal(over_both, torch.stack([w[i] for i, w in zip(ids, weights, strict=True)]))


def test_functional_transforms() -> None:
    ids, weight = torch.randint(0, 5, (3, 4)), torch.randn(5, 2)

    def loss(weight: Tensor, ids: Tensor) -> Tensor:
        return F.embedding(ids, weight).square().sum()

    def torch_loss(weight: Tensor, ids: Tensor) -> Tensor:
        return aten(ids, weight).square().sum()

    per_sample = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))
    assert torch.equal(per_sample(weight, ids), torch.vmap(torch.func.grad(torch_loss), in_dims=(None, 0))(weight, ids))
    assert torch.equal(torch.func.hessian(loss)(weight, ids), torch.func.hessian(torch_loss)(weight, ids))
    tangent = torch.randn_like(weight)
    ours = torch.func.jvp(lambda w: F.embedding(ids, w), (weight,), (tangent,))
    assert torch.equal(ours[0], weight[ids]) and torch.equal(ours[1], tangent[ids])


def test_a_table_from_a_finished_transform() -> None:
    kept: list[Tensor] = []

    def loss(weight: Tensor) -> Tensor:
        kept.append(weight)
        return weight.sum()

    weight = torch.randn(4, 2)
    torch.func.grad(loss)(weight)
    assert torch.equal(F.embedding(torch.tensor([3]), kept[0]), weight[3:])


def test_forward_mode() -> None:
    weight, tangent = torch.randn(5, 2), torch.randn(5, 2)
    with forward_ad.dual_level():
        out = F.embedding(torch.tensor([4, 1]), forward_ad.make_dual(weight, tangent))
        assert torch.equal(forward_ad.unpack_dual(out).tangent, tangent[[4, 1]])


def test_tangents_of_a_gradient_are_kept() -> None:
    tangents = []
    for layer in twins(Embedding, 1000, 4):
        rows = layer(torch.arange(500) % 7)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(torch.ones_like(rows), torch.full_like(rows, 2.0))
            (gradient,) = torch.autograd.grad(rows, layer.weight, dual)
            tangents.append(forward_ad.unpack_dual(gradient).tangent)
    assert torch.equal(*tangents)


def test_memory_that_was_given_up_is_not_read() -> None:
    flat = torch.randn(64 + 40)
    layer = Embedding.from_pretrained(flat[64:].view(10, 4))
    flat.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError):
        layer(torch.arange(10).repeat(1000))


UNPACKED: dict[str, Callable[[Tensor], Tensor]] = {
    "strided": lambda ids: torch.stack([ids, ids + 1], -1)[..., 0],
    "narrow": lambda ids: ids.int(),
    "short": lambda ids: ids[:8].clone(),
    "long": lambda ids: torch.cat([ids, ids]),
    "int16": lambda ids: ids.short(),
}


@pytest.mark.parametrize("unpack", UNPACKED)
@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_ids_that_hooks_give_back_in_another_form(kind: str, unpack: str) -> None:
    ids = torch.arange(1000).reshape(50, 20) % 7
    ours = getattr(embrow.nn, kind)(1000, 8)
    theirs = getattr(torch.nn, kind)(1000, 8, _weight=ours.weight.detach().clone())
    with torch.autograd.graph.saved_tensors_hooks(
        lambda saved: saved, lambda saved: UNPACKED[unpack](saved) if saved.numel() == ids.numel() else saved
    ):
        rows = ours(ids)
    weights = torch.linspace(0, 1, rows.numel()).view_as(rows)
    if unpack in ("strided", "narrow"):
        rows.backward(weights)
        theirs(ids).backward(weights)
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    else:
        with pytest.raises((RuntimeError, IndexError)):
            rows.backward(weights)


def test_ids_on_another_device_than_the_gradient_are_not_read() -> None:
    ids = torch.arange(3)
    assert _embedding._are_as_saved(ids, torch.empty(3, 2))
    assert not _embedding._are_as_saved(ids, torch.empty(3, 2, device="meta"))


def test_from_nn_takes_what_pytorchs_layer_runs_with() -> None:
    integers = torch.nn.Embedding.from_pretrained(torch.arange(6).view(3, 2))
    ours = Embedding.from_nn(integers)
    assert ours.weight is integers.weight and ours.to_nn()(torch.tensor([2])).tolist() == [[4, 5]]
    grown = torch.nn.Embedding(3, 2)
    grown.weight = torch.nn.Parameter(torch.zeros(5, 2))
    assert Embedding.from_nn(grown)(torch.tensor([4])).tolist() == [[0, 0]]
    with torch.inference_mode():
        inferring = torch.nn.Embedding(3, 2)
    assert Embedding.from_nn(inferring).weight is inferring.weight


def test_from_nn_refuses_a_weight_that_is_made_anew_each_time() -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Embedding(3, 2))
    with pytest.raises(TypeError, match="is no Parameter but a Tensor"):
        Embedding.from_nn(layer)


def test_padding_idx_of_an_empty_table_is_pytorchs() -> None:
    ids, table = torch.empty(0, dtype=torch.long), torch.empty(0, 3)
    assert F.embedding(ids, table, padding_idx=0).shape == (0, 3)
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        F.embedding(ids, table, padding_idx=1)


@pytest.mark.parametrize("kind", [Embedding, embrow.nn.EmbeddingBag])
def test_max_norm_on_a_table_made_in_inference_mode(kind: Any) -> None:
    with torch.inference_mode():
        layer = kind(10, 8, max_norm=1.0)
    with torch.no_grad():
        rows = layer(torch.tensor([[0, 3]]))
    assert rows.norm(dim=-1).max() < 1.001
