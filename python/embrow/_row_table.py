"""One parameter whose rows are updated alone, as the compiled kernels take it."""

from __future__ import annotations

import torch
from torch import Tensor

from embrow import _core
from embrow._eager import elements

_get_num_threads = torch.get_num_threads
_increment_version = torch.autograd.graph.increment_version
_nowhere = (0, 0)
# size, direct, eps, beta1, beta2, gain, decay, shrink: the numbers of one step, as csrc/update/update.h uses them
Numbers = tuple[float, float, float, float, float, float, float, float]

# The history of a table that catches up takes 150 bytes a step. Once it is this long every row is brought up to date
# and it starts again, which is a pass over the table every so often.
_most_remembered = 1 << 16


class Table:
    """One parameter, its state tensors and the compiled kernel that updates both."""

    def __init__(
        self,
        rule: _core.UpdateRule,
        parameter: Tensor,
        states: list[Tensor | None],
        step: int,
        late: bool,
        trained: Tensor | None,
    ):
        rows = row_count(parameter)
        self._dim = parameter.numel() // rows if rows else 0
        self.parameter = parameter
        self.dtype, self.shape = parameter.dtype, parameter.shape
        self.states = states
        self.rule = rule
        self.row_steps = torch.full((rows,), step, dtype=torch.int32) if late else None
        self.trained = trained
        self._kernel = _core.UpdatedTable(
            rule,
            elements[parameter.dtype],
            rows,
            self._dim,
            step,
            0 if self.row_steps is None else self.row_steps.data_ptr(),
            0 if trained is None else trained.data_ptr(),
        )
        self._addresses: tuple[int, ...] = ()

    def round_stochastically(self, seed: int, step: int) -> None:
        self._kernel.round_stochastically(seed, step)

    def step(self, grad: Tensor, scale: float, numbers: Numbers) -> None:
        if grad.layout is torch.sparse_coo:
            indices, values = grad._indices(), grad._values()
            count = values.size(0)
        else:
            count = row_count(grad)
            indices, values = torch.arange(count), grad
        if values.dtype is not self.dtype:
            values = values.to(self.dtype)
        if values.dim() != 2 or values.stride(1) != 1:
            values = values.reshape(count, self._dim).contiguous()
        if not indices.is_contiguous():
            indices = indices.contiguous()
        self._place()
        self._kernel.step(
            indices.data_ptr(),
            count,
            values.data_ptr(),
            values.stride(0) * values.itemsize,
            scale,
            *numbers,
            _get_num_threads(),
        )
        self._written()
        if self.row_steps is not None and self._kernel.remembered >= _most_remembered:
            self.catch_up()

    def catch_up(self, ids: Tensor | None = None) -> None:
        if self.row_steps is None:
            return
        self._place()
        if ids is None:
            behind = self._kernel.catch_up_rows(_get_num_threads())
        else:
            ids = ids.contiguous()
            behind = self._kernel.catch_up(ids.data_ptr(), ids.numel(), ids.dtype is torch.int64, _get_num_threads())
        if behind:
            self._written()

    def _place(self) -> None:
        # Memory may have moved since the last call: share_memory_(), .data = ..., a module's .to().
        tensors = (self.parameter, *self.states)
        addresses = tuple([0 if tensor is None else tensor.data_ptr() for tensor in tensors])
        if addresses != self._addresses:
            self._kernel.place(
                *(_nowhere if tensor is None else (tensor.data_ptr(), _row_bytes(tensor)) for tensor in tensors)
            )
            self._addresses = addresses

    def _written(self) -> None:
        _increment_version([self.parameter, *(state for state in self.states if state is not None)])


def row_count(tensor: Tensor) -> int:
    return tensor.size(0) if tensor.dim() else 1


def _row_bytes(tensor: Tensor) -> int:
    return tensor.stride(0) * tensor.itemsize if tensor.dim() else tensor.itemsize
