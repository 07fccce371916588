"""The layers and optimizers on tensors of a GPU: the same results as on the CPU, and as PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import embrow.cuda
from embrow import _gpu
from embrow.functional import embedding
from embrow.nn import Embedding


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


def test_gradients(device: torch.device) -> None:
    layer = Embedding.from_pretrained(table_of(11, 5, device), freeze=False, padding_idx=2)
    ids = torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(1))
    pull = table_of(54, 5, device).reshape(6, 9, 5)
    (layer(ids.to(device)) * pull).sum().backward()
    expected = torch.nn.Embedding.from_pretrained(table_of(11, 5, torch.device("cpu")), freeze=False, padding_idx=2)
    (expected(ids) * pull.cpu()).sum().backward()
    torch.testing.assert_close(layer.weight.grad.cpu(), expected.weight.grad)


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: it waits for one")
def test_synchronize_tells() -> None:
    embedding(torch.tensor([5], device="cuda"), torch.zeros(5, 3, device="cuda"))
    with pytest.raises(IndexError, match="position 0 of the ids is 5"):
        embrow.cuda.synchronize()
