"""Rows -> their sum, to the bit: scatter, pooling and update add terms in the order of reference.sum_in_blocks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import embrow.functional as F
import reference
from embrow import optim

pytestmark = pytest.mark.usefixtures("variant", "kernels_look_up_few")

# Around a block and a super block, and several super blocks.
COUNTS = [1, 2, 63, 64, 65, 129, 4095, 4096, 4097, 4161, 12_353]


def terms(count: int, dim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows that no two orders add up to the same bits, and their sum."""
    generator = torch.Generator().manual_seed(count + dim)
    rows = torch.randn(count, dim, generator=generator, dtype=dtype) * torch.rand(count, 1, generator=generator).exp2()
    return rows, reference.sum_in_blocks(list(rows))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [3, 100])
@pytest.mark.parametrize("count", COUNTS)
def test_every_step_keeps_the_order(count: int, dim: int, dtype: torch.dtype) -> None:
    rows, expected = terms(count, dim, dtype)
    weight = torch.zeros(5, dim, dtype=dtype, requires_grad=True)
    ids = torch.full((count,), 3)

    F.embedding(ids, weight).backward(rows)
    assert weight.grad is not None
    assert torch.equal(weight.grad[3], expected)

    pooled = F.embedding_bag(torch.arange(count).unsqueeze(0), rows, mode="sum")
    assert torch.equal(pooled[0], expected)

    weight.grad = None
    F.embedding(ids, weight, sparse=True).backward(rows)
    optim.SGD([weight], lr=1.0).step()
    assert torch.equal(weight.detach()[3], -expected)
