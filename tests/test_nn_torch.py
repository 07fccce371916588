"""Derivatives of the lookups, and PyTorch's own descriptions of its operators and module run against ours."""

from __future__ import annotations

import pickle
import types
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import embrow.functional as F
from embrow.nn import Embedding

aten = torch.nn.functional.embedding
aten_bag = torch.nn.functional.embedding_bag

pytestmark = pytest.mark.usefixtures("kernels_look_up_few")


def test_gradcheck_and_gradgradcheck() -> None:
    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([[1, 2], [2, 4]])
    for padding_idx in (None, 0):

        def lookup(weight: Tensor, padding_idx: int | None = padding_idx) -> Tensor:
            return F.embedding(ids, weight, padding_idx=padding_idx).sin()

        assert gradcheck(lookup, (weight,), check_batched_grad=True, check_forward_ad=True)
        assert gradgradcheck(lookup, (weight,), check_batched_grad=True)


@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize(("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False), ("max", False)])
def test_bags_gradcheck_and_gradgradcheck(mode: str, weighted: bool, padding_idx: int | None) -> None:
    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    ids, offsets = torch.tensor([1, 2, 2, 4, 0, 1, 2]), torch.tensor([0, 3, 3, 6])
    inputs = [weight]
    if weighted:
        inputs.append(torch.randn(7, dtype=torch.float64, requires_grad=True))

    def pool(weight: Tensor, weights: Tensor | None = None) -> Tensor:
        out = F.embedding_bag(ids, weight, offsets, mode=mode, padding_idx=padding_idx, per_sample_weights=weights)
        return out.sin()

    assert gradcheck(pool, inputs, check_batched_grad=True)
    assert gradgradcheck(pool, inputs, check_batched_grad=True)


@pytest.mark.parametrize("scale_grad_by_freq", [False, True])
def test_bags_double_backward_is_that_of_single_rows(scale_grad_by_freq: bool) -> None:
    """PyTorch's own bags refuse to be differentiated twice."""
    ids = torch.tensor([[1, 1, 4], [0, 4, 4]])
    results = []
    for bags in (True, False):
        torch.manual_seed(0)
        weight = torch.randn(5, 3, requires_grad=True)
        settings: Any = {"scale_grad_by_freq": scale_grad_by_freq}
        out = F.embedding_bag(ids, weight, **settings) if bags else aten(ids, weight, **settings).mean(1)
        (grad,) = torch.autograd.grad(out.pow(3).sum(), weight, create_graph=True)
        grad.square().sum().backward()
        results.append(weight.grad)
    torch.testing.assert_close(*results)


def test_double_backward_is_torch_s() -> None:
    results = []
    for lookup in (F.embedding, aten):
        torch.manual_seed(0)
        weight = torch.randn(5, 3, requires_grad=True)
        (grad,) = torch.autograd.grad(lookup(torch.tensor([1, 1, 4]), weight).pow(3).sum(), weight, create_graph=True)
        grad.square().sum().backward()
        results.append(weight.grad)
    torch.testing.assert_close(*results)


def test_sparse_double_backward_is_torch_s() -> None:
    results = []
    for lookup in (F.embedding, aten):
        weight = torch.ones(5, 3, requires_grad=True)
        out = lookup(torch.tensor([1, 1, 4]), weight, sparse=True).pow(3).sum()
        (grad,) = torch.autograd.grad(out, weight, create_graph=True)
        (second,) = torch.autograd.grad(torch.sparse.sum(grad * 2.0), weight)
        results.append(second.to_dense())
    torch.testing.assert_close(*results)


def test_batched_gradients() -> None:
    weight = torch.randn(5, 2, requires_grad=True)
    ids = torch.tensor([1, 1, 4])
    ups = torch.randn(6, 3, 2)
    (found,) = torch.autograd.grad(F.embedding(ids, weight), weight, ups, is_grads_batched=True)
    (expected,) = torch.autograd.grad(aten(ids, weight), weight, ups, is_grads_batched=True)
    torch.testing.assert_close(found, expected)


# PyTorch's own descriptions of its operator and module


@pytest.fixture(scope="module")
def internal() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal import common_methods_invocations, common_modules
    ops = {op.name: op for op in common_methods_invocations.op_db}
    (module,) = [info for info in common_modules.module_db if info.module_cls is torch.nn.Embedding]
    yield types.SimpleNamespace(
        op=ops["nn.functional.embedding"], bag_op=ops["nn.functional.embedding_bag"], module=module
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_op_info_samples(internal: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    grad = dtype in internal.op.supported_backward_dtypes("cpu")
    samples = list(internal.op.reference_inputs("cpu", dtype, requires_grad=grad))
    assert samples
    for sample in samples:
        up = torch.randn(*sample.args[0].shape, sample.input.size(1)).to(dtype)

        def run(lookup: Any, dtype: torch.dtype, sample: Any = sample, up: Tensor = up) -> list[Tensor]:
            monkeypatch.setattr(torch.nn.functional, "embedding", lookup)
            weight = sample.input.detach().clone().to(dtype).requires_grad_(grad)
            out = internal.op(weight, *sample.args, **sample.kwargs)
            if not grad:
                return [out]
            out.backward(up.to(dtype))
            assert weight.grad is not None
            return [out.detach(), weight.grad.to_dense()]

        found, expected = run(F.embedding, dtype), run(aten, dtype)
        assert torch.equal(found[0], expected[0])
        # torch adds 16-bit gradients in 16 bits: the truth is what it finds in float64.
        exact = run(aten, torch.float64) if grad else expected
        torch.testing.assert_close(found[1:], [tensor.to(dtype) for tensor in exact[1:]])


def test_op_info_gradients(internal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "embedding", F.embedding)
    for sample in internal.op.sample_inputs("cpu", torch.float64, requires_grad=True):
        if sample.kwargs.get("sparse"):
            continue

        def lookup(weight: Tensor, sample: Any = sample) -> Any:
            return internal.op.gradcheck_wrapper(internal.op.get_op(), weight, *sample.args, **sample.kwargs)

        weight = sample.input.detach().requires_grad_()
        assert gradcheck(lookup, (weight,), check_batched_grad=internal.op.check_batched_grad)
        assert gradgradcheck(lookup, (weight,), check_batched_grad=internal.op.check_batched_gradgrad)


def test_op_info_errors(internal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "embedding", F.embedding)
    errors = list(internal.op.error_inputs("cpu")) if internal.op.error_inputs_func else []
    for error in errors:
        with pytest.raises(error.error_type, match=error.error_regex):
            internal.op(error.sample_input.input, *error.sample_input.args, **error.sample_input.kwargs)


@pytest.mark.parametrize("training", [True, False])
def test_module_info(internal: Any, training: bool) -> None:
    inputs = internal.module.module_inputs_func(
        internal.module, device="cpu", dtype=torch.float64, requires_grad=True, training=training
    )
    assert inputs
    for case in inputs:
        args, kwargs = case.constructor_input.args, case.constructor_input.kwargs
        ours = Embedding(*args, **kwargs, dtype=torch.float64).train(training)
        theirs = torch.nn.Embedding(*args, **kwargs, dtype=torch.float64).train(training)
        theirs.load_state_dict(ours.state_dict())
        ids = case.forward_input.args[0]
        for layout in (ids, ids.t().contiguous().t() if ids.dim() == 2 else ids):
            found, expected = ours(layout), theirs(layout)
            assert torch.equal(found, expected) and found.stride() == expected.stride()
            up = torch.randn_like(found)
            found.backward(up)
            expected.backward(up)
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
        assert repr(ours) == repr(theirs)
        assert torch.equal(pickle.loads(pickle.dumps(ours))(ids), ours(ids))
        if not ours.sparse:

            def lookup(weight: Tensor, ours: Embedding = ours, ids: Tensor = ids) -> Tensor:
                return torch.func.functional_call(ours, {"weight": weight}, (ids,))

            assert gradcheck(lookup, (ours.weight,))


# torch.nn.EmbeddingBag has no module description.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_bag_op_info_samples(internal: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    if dtype.itemsize == 2 and torch.__version__ < (2, 7):
        pytest.skip("gradients of weights are PyTorch's kernel's, which in 2.6 adds 16 bits in 16 bits")
    assert internal.bag_op.supported_dtypes("cpu") == {torch.float32, torch.float64, torch.bfloat16, torch.float16}
    samples = list(internal.bag_op.reference_inputs("cpu", dtype, requires_grad=True))
    samples += list(internal.bag_op.reference_inputs("cpu", dtype, requires_grad=False))
    assert len(samples) > 40
    for sample in samples:

        def run(pool: Any, dtype: torch.dtype, sample: Any = sample) -> list[Tensor]:
            monkeypatch.setattr(torch.nn.functional, "embedding_bag", pool)
            weight = sample.input.detach().clone().to(dtype).requires_grad_(sample.input.requires_grad)
            inputs, kwargs = [weight], dict(sample.kwargs)
            if kwargs.get("per_sample_weights") is not None:
                inputs.append(kwargs["per_sample_weights"].detach().clone().to(dtype))
                kwargs["per_sample_weights"] = inputs[1].requires_grad_(weight.requires_grad)
            out = internal.bag_op(weight, *sample.args, **kwargs)
            if not weight.requires_grad:
                return [out, weight]
            torch.manual_seed(0)
            grads = torch.autograd.grad(out, inputs, torch.randn(out.shape).to(sample.input.dtype).to(dtype))
            return [out.detach(), *(grad.to_dense() for grad in grads)]

        found = run(F.embedding_bag, dtype)
        # torch adds 16-bit rows in 16 bits: the truth is what it finds in float64, but for rounded norms.
        exact = run(aten_bag, dtype if "max_norm" in sample.kwargs else torch.float64)
        tolerance = {"rtol": 0.01, "atol": 0.05} if "max_norm" in sample.kwargs and dtype.itemsize == 2 else {}
        torch.testing.assert_close(found, [tensor.to(dtype) for tensor in exact], **tolerance)


def test_bag_op_info_gradients(internal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "embedding_bag", F.embedding_bag)
    for sample in internal.bag_op.sample_inputs("cpu", torch.float64, requires_grad=True):

        def pool(weight: Tensor, sample: Any = sample) -> Any:
            return internal.bag_op.get_op()(weight, *sample.args, **sample.kwargs)

        weight = sample.input.detach().requires_grad_()
        assert gradcheck(pool, (weight,), check_batched_grad=internal.bag_op.check_batched_grad)
        assert gradgradcheck(pool, (weight,))


def test_bag_op_info_errors(internal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "embedding_bag", F.embedding_bag)
    for error in internal.bag_op.error_inputs("cpu") if internal.bag_op.error_inputs_func else []:
        with pytest.raises(error.error_type, match=error.error_regex):
            internal.bag_op(error.sample_input.input, *error.sample_input.args, **error.sample_input.kwargs)
