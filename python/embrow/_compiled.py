"""When a graph that torch.compile makes holds our operators: for training, where they are faster than PyTorch's own.

Inductor's backward pass of a lookup writes the gradient of a large table several times over. Forward and backward of
820 x 20 ids in a table of 100,000 x 300 took it 3.0 times as long as through our operators, of 1,638 x 20 ids in
1,000,000 x 128 4.5 times, pooled to means 2.8 and 4.5 times (two threads of an AMD EPYC); of 4 x 20 ids in 1,000 x 16,
where all is overhead, 0.7 and 0.9 times. A lookup that is not trained it fuses with what follows, and neither won
throughout: 0.4 to 1.8 times. So inference is left to PyTorch, as is whatever needs an operator's rarer arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

_library = torch.library.Library("embrow", "DEF")  # type: ignore[no-untyped-call]

_functorch_is_active = torch._C._are_functorch_transforms_active
# PyTorch 2.6 cannot tell exporting from compiling.
_may_be_exporting = getattr(torch.compiler, "is_exporting", lambda: True)


def is_training_compiled(ids: Tensor, weight: Tensor) -> bool:
    """Whether a lookup is being compiled, not exported or transformed, and trains its table on a CPU."""
    return (
        torch.compiler.is_dynamo_compiling()
        and not _may_be_exporting()
        and torch.is_grad_enabled()
        and weight.requires_grad
        and not _functorch_is_active()
        and forward_ad._current_level < 0
        and (type(weight) is Parameter or type(weight) is Tensor)
        and type(ids) is Tensor
        and weight.is_cpu
        and ids.is_cpu
        and weight.layout is torch.strided
        and ids.layout is torch.strided
        and weight.dim() == 2
        and weight.dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16)
        and ids.dtype in (torch.int64, torch.int32)
    )


def define(schema: str, kernel: Callable[..., Tensor], fake: Callable[..., Tensor]) -> None:
    """Make an operator: what it computes on a CPU, and the shape of that."""
    name = schema[: schema.index("(")]
    _library.define(schema)  # type: ignore[no-untyped-call]
    _library.impl(name, kernel, "CPU")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"embrow::{name}", fake, lib=_library)


def define_gradient(name: str, backward: Callable[..., Any], setup: Callable[..., None]) -> None:
    torch.library.register_autograd(f"embrow::{name}", backward, setup_context=setup, lib=_library)
