"""One parameter whose rows are updated alone, as the compiled kernels take it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from embrow import _core, _gpu
from embrow._eager import elements, has_memory
from embrow._outside_graphs import outside_graphs
from embrow._sharding import is_shared, local_rows

_get_num_threads = torch.get_num_threads
_increment_version = torch.autograd.graph.increment_version
_nowhere = (0, 0)
_Layout = tuple[torch.dtype, torch.Size, torch.device]
_Place = tuple[int, torch.dtype, torch.Size, tuple[int, ...], bool]
# size, direct, eps, beta1, beta2, gain, decay, shrink: the numbers of one step, as csrc/update/update.h uses them
Numbers = tuple[float, float, float, float, float, float, float, float]

# The history of a table that catches up takes 150 bytes a step. Once it is this long every row is brought up to date
# and it starts again, which is a pass over the table every so often.
_most_remembered = 1 << 16


class _OnCpu:
    """The kernel that works in the CPU's memory."""

    def __init__(self, *job: Any) -> None:
        self._kernel = _core.UpdatedTable(*job)
        self.place = self._kernel.place
        self.round_stochastically = self._kernel.round_stochastically

    @property
    def remembered(self) -> int:
        return self._kernel.remembered

    def step(self, indices: Tensor, values: Tensor, scale: float, numbers: Numbers) -> None:
        grads = (indices.data_ptr(), values.size(0), values.data_ptr(), values.stride(0) * values.itemsize)
        self._kernel.step(*grads, scale, *numbers, _get_num_threads())

    def catch_up(self, ids: Tensor) -> bool:
        which = (ids.data_ptr(), ids.numel(), ids.dtype is torch.int64)
        return self._kernel.catch_up(*which, _get_num_threads()) > 0

    def catch_up_rows(self) -> bool:
        return self._kernel.catch_up_rows(_get_num_threads()) > 0


class _OnGpu:
    """The kernel that works in a GPU's memory, where the history is, too."""

    def __init__(self, device: torch.device, held: list[Tensor], late: bool, *job: Any) -> None:
        self._device = device
        with _gpu.launching(device) as launch:
            clock = launch.workspace(launch.kernels.clock_bytes(_most_remembered) if late else 0)
            self._kernel = launch.kernels.UpdatedTable(*job, clock.data_ptr(), _most_remembered)
        self._held = [clock, *held]
        self.place = self._kernel.place
        self.round_stochastically = self._kernel.round_stochastically

    @property
    def remembered(self) -> int:
        remembered: int = self._kernel.remembered
        return remembered

    def step(self, indices: Tensor, values: Tensor, scale: float, numbers: Numbers) -> None:
        grads = (indices.data_ptr(), values.size(0), values.data_ptr(), values.stride(0) * values.itemsize)
        with _gpu.launching(self._device) as launch:
            workspace = launch.workspace(self._kernel.workspace_bytes(values.size(0)))
            where = (workspace.data_ptr(), launch.record("lookup"), launch.stream)
            launch.use(*self._held)
            self._kernel.step(*grads, scale, *numbers, *where)

    def catch_up(self, ids: Tensor) -> bool:
        which = (ids.data_ptr(), ids.numel(), ids.dtype is torch.int64)
        with _gpu.launching(self._device) as launch:
            workspace = launch.workspace(self._kernel.workspace_bytes(ids.numel()))
            where = (workspace.data_ptr(), launch.record("lookup"), launch.stream)
            launch.use(*self._held)
            behind: bool = self._kernel.catch_up(*which, *where)
        return behind

    def catch_up_rows(self) -> bool:
        with _gpu.launching(self._device) as launch:
            launch.use(*self._held)
            behind: bool = self._kernel.catch_up_rows(launch.stream)
        return behind


def _one_at_a_time(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def alone(self: Table, *args: Any) -> None:
        with self._lock:
            method(self, *args)

    return alone


class Table:
    """One parameter, its state tensors and the compiled kernel that updates both.

    `name`, the optimizer's, is for errors.
    """

    def __init__(
        self,
        name: str,
        rule: _core.UpdateRule,
        parameter: Tensor,
        states: list[Tensor | None],
        step: int,
        late: bool,
        trained: Tensor | None,
    ):
        self._name = name
        # What a kernel remembers of the steps is one thread's to read and write.
        self._lock = threading.RLock()
        here = local_rows(parameter)
        rows = row_count(here)
        self._dim = here.numel() // rows if rows else 0
        self.parameter = parameter
        self._made_for = _layout(here)
        self.states = states
        self.rule = rule
        self.row_steps = torch.full((rows,), step, dtype=torch.int32, device=here.device) if late else None
        self.trained = None if trained is None else trained.to(here.device)
        job = (
            rule,
            elements[here.dtype],
            rows,
            self._dim,
            step,
            0 if self.row_steps is None else self.row_steps.data_ptr(),
            0 if self.trained is None else self.trained.data_ptr(),
        )
        held = [tensor for tensor in (self.row_steps, self.trained) if tensor is not None]
        self._kernel = _OnGpu(here.device, held, late, *job) if _gpu.holds(here) else _OnCpu(*job)
        self._places: list[_Place | None] = []
        self._version = parameter._version

    def round_stochastically(self, seed: int, step: int) -> None:
        self._kernel.round_stochastically(seed, step)

    @_one_at_a_time
    def step(self, grad: Tensor, scale: float, numbers: Numbers) -> None:
        dtype, shape, _ = self._made_for
        if grad.shape != shape:
            raise ValueError(
                f"{self._name}: a parameter of shape {tuple(shape)} has a gradient of shape {tuple(grad.shape)}"
            )
        if grad.layout is torch.sparse_coo:
            if grad.sparse_dim() != 1:
                raise ValueError(
                    f"{self._name}: a parameter of shape {tuple(shape)} with a sparse gradient must have a gradient of "
                    f"one sparse dimension, the rows; found {grad.sparse_dim()}"
                )
            indices, values = grad._indices(), grad._values()
            count = values.size(0)
        else:
            count = row_count(grad)
            indices, values = torch.arange(count, device=grad.device), grad
        if values.dtype is not dtype:
            values = values.to(dtype)
        if values.dim() != 2 or values.stride(1) != 1:
            values = values.reshape(count, self._dim).contiguous()
        if values.is_neg():
            values = values.resolve_neg()
        if not indices.is_contiguous():
            indices = indices.contiguous()
        if not has_memory(values):
            raise TypeError(f"{self._name}: the gradient, a {type(grad).__name__}, has no memory of its own to read")
        self._place(local_rows(self.parameter))
        self._kernel.step(indices, values, scale, numbers)
        self._written()
        if self.row_steps is not None and self._kernel.remembered >= _most_remembered:
            self.catch_up()

    @outside_graphs
    @_one_at_a_time
    def catch_up(self, ids: Tensor | None = None) -> None:
        """Bring the rows of `ids` up to date, or all of them."""
        if self.row_steps is None:
            return
        if self.has_changed():
            return self._catch_up_as_it_was()
        self._place(local_rows(self.parameter))
        # Which rows ids name that cannot be read here, of a transform or without numbers, nobody knows.
        if ids is None or type(ids) is not Tensor or not has_memory(ids):
            behind = self._kernel.catch_up_rows()
        else:
            behind = self._kernel.catch_up(ids.contiguous())
        if behind:
            self._written()

    @property
    def dtype(self) -> torch.dtype:
        """What the parameter's was when the table was made."""
        return self._made_for[0]

    def has_changed(self) -> bool:
        """Whether the parameter is of another type, shape or device than it was: half(), double(), cuda(), .data."""
        return _layout(local_rows(self.parameter)) != self._made_for

    def is_as_left(self) -> bool:
        """Whether nobody else has written to the parameter since it was last updated here."""
        return self.parameter._version == self._version and not self.has_changed()

    def _catch_up_as_it_was(self) -> None:
        """Bring the rows of a parameter that has changed up to date, with the state that it had."""
        if self._kernel.remembered == 0:
            return
        dtype, shape, device = self._made_for
        here = local_rows(self.parameter)
        if here.shape != shape:
            raise ValueError(
                f"{self._name}: a parameter of shape {tuple(shape)} has become one of {tuple(here.shape)} with rows "
                "that steps without a gradient have left behind; call catch_up() before changing it"
            )
        with torch.no_grad():
            before = here.to(device, dtype, copy=True, memory_format=torch.contiguous_format)
            after = before.clone()
            self._place(after)
            self._kernel.catch_up_rows()
            # What has not moved keeps the bits that it has now.
            here.copy_(torch.where((after != before).to(here.device), after.to(here), here))
        self._written()

    def _place(self, here: Tensor) -> None:
        """Tell the kernel where the parameter's rows lie, `here`, and the state's."""
        # Memory may have moved since the last call: share_memory_(), .data = ..., a module's .to().
        states = [None if state is None else local_rows(state) for state in self.states]
        places = [None if tensor is None else _place_of(tensor) for tensor in (here, *states)]
        if places == self._places:
            return
        self._check_memory("a parameter", here)
        for state in states:
            if state is not None:
                self._check_state(state, here)
        self._kernel.place(
            *(_nowhere if tensor is None else (tensor.data_ptr(), _row_bytes(tensor)) for tensor in (here, *states))
        )
        self._places = places

    def _check_state(self, state: Tensor, here: Tensor) -> None:
        """Raise for what is no state of the parameter."""
        dtype, shape = here.dtype, here.shape
        if self.rule is _core.UpdateRule.rowwise_adagrad:
            dtype, shape = torch.float32, torch.Size([row_count(here)])
        if state.dtype != dtype:
            raise TypeError(
                f"{self._name}: the state of a parameter is {state.dtype} where {dtype} belongs to a parameter of "
                f"{here.dtype}; make the optimizer after changing a module's dtype"
            )
        if state.shape != shape:
            raise ValueError(
                f"{self._name}: the state of a parameter has shape {tuple(state.shape)} where {tuple(shape)} belongs "
                f"to a parameter of shape {tuple(here.shape)}; make the optimizer, or load its state, for that shape"
            )
        if state.device != here.device:
            raise ValueError(
                f"{self._name}: the state of a parameter lies on {state.device} and the parameter on {here.device}"
            )
        self._check_memory("the state of a parameter", state)

    def _check_memory(self, what: str, tensor: Tensor) -> None:
        """Raise for a tensor whose memory does not hold its rows one after another as they are."""
        if not has_memory(tensor):
            raise TypeError(f"{self._name}: {what}, a {type(tensor).__name__}, has no memory of its own to write")
        if tensor.is_neg():
            raise ValueError(f"{self._name}: {what} is a negated view; use .resolve_neg()")
        if not (tensor.is_contiguous() or (tensor.dim() == 2 and tensor.stride(1) == 1)):
            raise ValueError(
                f"{self._name}: {what} of shape {tuple(tensor.shape)} must have rows without gaps, found strides "
                f"{tensor.stride()}; use .contiguous()"
            )

    def _written(self) -> None:
        written = [self.parameter, *(state for state in self.states if state is not None)]
        _increment_version([*written, *(local_rows(tensor) for tensor in written if is_shared(tensor))])
        self._version = self.parameter._version


def _layout(tensor: Tensor) -> _Layout:
    return tensor.dtype, tensor.shape, tensor.device


def _place_of(tensor: Tensor) -> _Place:
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.is_neg()


def row_count(tensor: Tensor) -> int:
    return tensor.size(0) if tensor.dim() else 1


def _row_bytes(tensor: Tensor) -> int:
    return tensor.stride(0) * tensor.itemsize if tensor.dim() else tensor.itemsize
