"""The layers and optimizers on tensors of a GPU: the same results as on the CPU, and as PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import embrow.cuda
import embrow.optim
from embrow import _gpu
from embrow.functional import embedding, embedding_bag
from embrow.nn import Embedding, EmbeddingBag


@pytest.fixture
def device(gpu: torch.device) -> torch.device:
    return gpu


def table_of(rows: int, dim: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(0)).to(device, dtype)


def check_recorded(device: torch.device) -> None:
    _gpu.synchronize(device)
    _gpu.raise_recorded(device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_lookups(dtype: torch.dtype, device: torch.device) -> None:
    table = table_of(37, 20, device, dtype)
    ids = torch.randint(37, (5, 7), generator=torch.Generator().manual_seed(1)).to(device)
    expected = table.cpu()[ids.cpu()]
    assert torch.equal(embedding(ids, table).cpu(), expected)
    assert torch.equal(embedding(ids.int(), table[:, 3:11]).cpu(), expected[..., 3:11])
    assert torch.equal(embedding(ids.t(), table).cpu(), expected.transpose(0, 1))
    out = torch.empty_like(expected, device=device)
    assert embedding(ids, table, out=out) is out
    assert torch.equal(out.cpu(), expected)
    assert embedding(ids[:0], table).shape == (0, 7, 20)
    check_recorded(device)


@pytest.mark.parametrize("atomic", [False, True])
def test_gradients(atomic: bool, device: torch.device) -> None:
    embrow.cuda.allow_atomic_gradients(atomic)
    layer = Embedding.from_pretrained(table_of(11, 5, device), freeze=False, padding_idx=2)
    ids = torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(1))
    pull = table_of(54, 5, device).reshape(6, 9, 5)
    (layer(ids.to(device)) * pull).sum().backward()
    expected = torch.nn.Embedding.from_pretrained(table_of(11, 5, torch.device("cpu")), freeze=False, padding_idx=2)
    (expected(ids) * pull.cpu()).sum().backward()
    torch.testing.assert_close(layer.weight.grad.cpu(), expected.weight.grad)
    embrow.cuda.allow_atomic_gradients(False)


OFFSETS = torch.tensor([0, 3, 3, 10])


@pytest.mark.parametrize(("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False), ("max", False)])
@pytest.mark.parametrize("offsets", [None, OFFSETS])
def test_bags(mode: str, weighted: bool, offsets: Tensor | None, device: torch.device) -> None:
    ids = torch.randint(11, (3, 8), generator=torch.Generator().manual_seed(1))
    pull = table_of(3 if offsets is None else 4, 6, torch.device("cpu"))
    ids = ids if offsets is None else ids.reshape(-1)
    results = []
    for kind, where in [(EmbeddingBag, device), (torch.nn.EmbeddingBag, torch.device("cpu"))]:
        table = table_of(11, 6, where)
        layer = kind.from_pretrained(table, freeze=False, mode=mode, padding_idx=4)
        weights = torch.linspace(-1, 1, 24, device=where).reshape(ids.shape).requires_grad_(weighted)
        begins = None if offsets is None else offsets.to(where)
        rows = layer(ids.to(where), begins, weights if weighted else None)
        (rows * pull.to(where)).sum().backward()
        results.append([rows.cpu(), layer.weight.grad.cpu(), weights.grad.cpu() if weighted else None])
    check_recorded(device)
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_ids_behind_the_last_bag_have_no_gradient(device: torch.device) -> None:
    layer = EmbeddingBag.from_pretrained(table_of(11, 6, device), freeze=False, mode="mean", include_last_offset=True)
    ids, offsets = torch.tensor([1, 2, 3, 4, 5], device=device), torch.tensor([0, 2, 3], device=device)
    rows = layer(ids, offsets)
    table = layer.weight.detach()
    torch.testing.assert_close(rows, torch.stack([(table[1] + table[2]) / 2, table[3]]))
    rows.sum().backward()
    expected = torch.zeros(11, 6, device=device)
    expected[1:3], expected[3] = 0.5, 1.0
    assert torch.equal(layer.weight.grad, expected)
    assert layer(ids, torch.tensor([0], device=device)).shape == (0, 6)
    check_recorded(device)


def test_a_bad_id_and_bad_offsets_of_bags_are_told(device: torch.device) -> None:
    table = table_of(11, 6, device)
    embedding_bag(torch.tensor([[1, 2], [3, 11]], device=device), table)
    with pytest.raises(RuntimeError, match=r"^Index 3 of input takes value 11 which .* \[0, 11\): Expected idx >= 0"):
        check_recorded(device)
    embedding_bag(torch.tensor([1, 2, 3], device=device), table, torch.tensor([1, 2], device=device))
    with pytest.raises(RuntimeError, match=r"offsets\[0\]"):
        check_recorded(device)
    check_recorded(device)


def test_max_norm_is_pytorchs(device: torch.device) -> None:
    ours, theirs = table_of(11, 6, device), table_of(11, 6, device)
    ids = torch.tensor([[1, 2], [2, 4]], device=device)
    rows = embedding(ids, ours, max_norm=1.0)
    assert torch.equal(rows, torch.nn.functional.embedding(ids, theirs, max_norm=1.0))
    assert torch.equal(ours, theirs)


def test_an_id_outside_the_table_is_told_by_the_next_call(device: torch.device) -> None:
    layer = Embedding(10, 4, device=device).requires_grad_(False)
    rows = layer(torch.tensor([3, 10, -1], device=device))
    message = r"^index out of range in self: position 1 of the ids is 10, the table has rows 0 to 9$"
    with pytest.raises(IndexError, match=message):
        check_recorded(device)
    assert torch.equal(rows[0], layer.weight[3])
    assert not rows[1:].any()
    check_recorded(device)
    layer(torch.tensor([-7], device=device))
    if device.type == "cuda":
        torch.cuda.synchronize()
    with pytest.raises(IndexError, match=r"position 0 of the ids is -7, the table has rows 0 to 9$"):
        layer(torch.tensor([0], device=device))
    assert torch.equal(layer(torch.tensor([2], device=device))[0], layer.weight[2])


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: the simulator has none of this")


@needs_gpu
def test_lookups_and_their_gradients_replay_in_a_graph() -> None:
    layer = Embedding(1000, 64, device="cuda")
    bags = EmbeddingBag.from_pretrained(layer.weight.detach().clone(), freeze=False)
    ids, others = torch.randint(1000, (2, 300, 4), device="cuda").unbind()

    def run() -> tuple[Tensor, Tensor]:
        rows, pooled = layer(ids), bags(ids)
        (rows.sum() + pooled.sum()).backward()
        return rows, pooled

    # As PyTorch's documentation has it: warm up on a stream of its own, then capture.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
    torch.cuda.current_stream().wait_stream(stream)
    for module in (layer, bags):
        module.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        rows, pooled = run()
    ids.copy_(others)
    graph.replay()
    assert torch.equal(rows, layer.weight[others])
    torch.testing.assert_close(pooled, layer.weight[others].mean(1))
    times = torch.bincount(others.reshape(-1), minlength=1000).float().unsqueeze(1)
    torch.testing.assert_close(layer.weight.grad, times.expand(-1, 64))
    torch.testing.assert_close(bags.weight.grad, times.expand(-1, 64) / 4)
    embrow.cuda.synchronize()


@needs_gpu
def test_a_step_is_not_captured() -> None:
    layer = Embedding(10, 4, sparse=True, device="cuda")
    optimizer = embrow.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.tensor([1], device="cuda")).sum().backward()
    with (
        pytest.raises(RuntimeError, match="cannot become part of a CUDA graph"),
        torch.cuda.graph(torch.cuda.CUDAGraph()),
    ):
        optimizer.step()


@needs_gpu
@pytest.mark.parametrize("kind", [Embedding, EmbeddingBag])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_ids_that_hooks_leave_on_another_device(kind: type[Embedding | EmbeddingBag], device: str) -> None:
    layer = kind(1000, 64, device=device)
    other = "cpu" if device == "cuda" else "cuda"
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.to(other), lambda saved: saved):
        rows = layer(torch.arange(1000, device=device).reshape(50, 20))
    with pytest.raises(RuntimeError, match=r"(?i)device"):
        rows.sum().backward()


@needs_gpu
def test_synchronize_tells() -> None:
    embedding(torch.tensor([5], device="cuda"), torch.zeros(5, 3, device="cuda"))
    with pytest.raises(IndexError, match="position 0 of the ids is 5"):
        embrow.cuda.synchronize()


def train(layer: torch.nn.Embedding, optimizer: torch.optim.Optimizer, steps: int = 4) -> Tensor:
    """Return the table after some steps, in each of which other rows have gradients."""
    random = torch.Generator().manual_seed(2)
    device = layer.weight.device
    for _ in range(steps):
        ids = torch.randint(9, (12,), generator=random)
        pull = torch.randn(12, 6, generator=random)
        optimizer.zero_grad()
        (layer(ids.to(device)) * pull.to(device)).sum().backward()
        optimizer.step()
    return layer.weight.detach().cpu()


def layer_of(kind: type[torch.nn.Embedding], device: torch.device, sparse: bool = True) -> torch.nn.Embedding:
    return kind.from_pretrained(table_of(9, 6, device), freeze=False, sparse=sparse)


STEPS = {
    "SGD": (embrow.optim.SGD, torch.optim.SGD),
    "Adagrad": (embrow.optim.Adagrad, torch.optim.Adagrad),
    "Adam": (embrow.optim.Adam, torch.optim.SparseAdam),
}


# PyTorch's own warns of what it builds.
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", STEPS)
def test_steps_of_sparse_gradients(name: str, device: torch.device) -> None:
    ours, theirs = STEPS[name]
    layer = layer_of(Embedding, device)
    found = train(layer, ours(layer.parameters(), lr=0.1))
    expected = layer_of(torch.nn.Embedding, torch.device("cpu"))
    torch.testing.assert_close(found, train(expected, theirs(expected.parameters(), lr=0.1)))
    check_recorded(device)


CATCHING_UP = {
    "momentum": (embrow.optim.SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "Adam": (embrow.optim.Adam, torch.optim.Adam, {}),
    "amsgrad": (embrow.optim.Adam, torch.optim.Adam, {"amsgrad": True}),
    "AdamW": (embrow.optim.AdamW, torch.optim.AdamW, {"weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", CATCHING_UP)
def test_rows_catch_up_with_dense_training(name: str, device: torch.device) -> None:
    ours, theirs, settings = CATCHING_UP[name]
    layer = layer_of(Embedding, device)
    optimizer = ours(layer.parameters(), lr=0.1, catch_up=True, **settings)
    optimizer.attach(layer)
    train(layer, optimizer)
    optimizer.catch_up()
    expected = layer_of(torch.nn.Embedding, torch.device("cpu"), sparse=False)
    dense = train(expected, theirs(expected.parameters(), lr=0.1, **settings))
    torch.testing.assert_close(layer.weight.detach().cpu(), dense)


def attached_adam(layer: Embedding | EmbeddingBag) -> embrow.optim.Adam:
    """Return an optimizer after a step for row 1, which has left the others behind."""
    optimizer = embrow.optim.Adam(layer.parameters(), lr=0.1, catch_up=True)
    optimizer.attach(layer)
    for row in (slice(None), slice(1, 2)):
        optimizer.zero_grad()
        layer(torch.arange(9, device=layer.weight.device).reshape(-1, 1)[row]).sum().backward()
        optimizer.step()
    return optimizer


def test_an_attached_layer_tells_of_an_earlier_lookup(device: torch.device) -> None:
    layer = layer_of(Embedding, device)
    attached_adam(layer)
    embedding(torch.tensor([7], device=device), table_of(5, 3, device))
    _gpu.synchronize(device)
    with pytest.raises(IndexError, match="position 0 of the ids is 7, the table has rows 0 to 4"):
        layer(torch.tensor([3], device=device))
    check_recorded(device)


def test_an_attached_layer_of_bags_tells_of_bad_ids_once(device: torch.device) -> None:
    layer = EmbeddingBag.from_pretrained(table_of(9, 6, device), freeze=False, sparse=True)
    optimizer = attached_adam(layer)
    before = layer.weight.detach().clone()
    layer(torch.tensor([[3, 12]], device=device))
    with pytest.raises(RuntimeError, match=r"^Index 1 of input takes value 12"):
        check_recorded(device)
    check_recorded(device)
    assert (layer.weight[3] != before[3]).all()
    optimizer.catch_up()


def test_catching_up_is_not_captured(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of(Embedding, device)
    ids = torch.tensor([3], device=device)
    optimizer = attached_adam(layer)
    before = layer.weight.detach().clone()
    new = layer_of(Embedding, device)
    embrow.optim.Adam(new.parameters(), lr=0.1, catch_up=True).attach(new)
    always_there = layer_of(Embedding, device)
    momentum = embrow.optim.SGD(always_there.parameters(), lr=0.1, momentum=0.9)
    momentum.attach(always_there)
    train(always_there, momentum, steps=1)
    monkeypatch.setattr(_gpu, "is_capturing", lambda: True)
    for call in (
        lambda: layer(ids),
        lambda: new(ids),
        optimizer.catch_up,
        lambda: optimizer.catch_up(layer.weight, ids),
    ):
        with pytest.raises(RuntimeError, match=r"^Adam: catching up cannot become part of a CUDA graph"):
            call()
    with pytest.raises(RuntimeError, match=r"^SGD: a step with sparse gradients cannot become part of a CUDA graph"):
        momentum.step()
    assert torch.equal(layer.weight, before)
    always_there(ids)


def test_rowwise_adagrad_and_masks(device: torch.device) -> None:
    layer = layer_of(Embedding, device)
    before = layer.weight.detach().cpu().clone()
    mask = torch.arange(9) % 2 == 0
    optimizer = embrow.optim.RowwiseAdagrad(layer.parameters(), lr=0.1, rows={layer.weight: mask.to(device)})
    train(layer, optimizer, steps=1)
    random = torch.Generator().manual_seed(2)
    ids, pull = torch.randint(9, (12,), generator=random), torch.randn(12, 6, generator=random)
    grads = torch.zeros(9, 6).index_add_(0, ids, pull)
    sums = grads.pow(2).mean(1)
    expected = before - 0.1 * grads / (sums.sqrt() + 1e-10).unsqueeze(1)
    expected = torch.where((mask & (sums > 0)).unsqueeze(1), expected, before)
    torch.testing.assert_close(layer.weight.detach().cpu(), expected)
    assert torch.equal(layer.weight.detach().cpu()[~mask], before[~mask])
