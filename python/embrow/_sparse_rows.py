"""Parameters with sparse gradients: what the optimizers share of updating and catching up their rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from embrow import _core

_elements = {
    torch.float32: _core.Element.float32,
    torch.float64: _core.Element.float64,
    torch.bfloat16: _core.Element.bfloat16,
    torch.float16: _core.Element.float16,
}
_get_num_threads = torch.get_num_threads
_increment_version = torch.autograd.graph.increment_version
_nowhere = (0, 0)
# size, direct, eps, beta1, beta2, gain, decay, shrink: the numbers of one step, as csrc/update/update.h uses them
Numbers = tuple[float, float, float, float, float, float, float, float]
RowsState = tuple[_core.UpdateRule, list[Tensor | None], int]

# The history of a table that catches up takes 150 bytes a step. Once it is this long every row is brought up to date
# and it starts again, which is a pass over the table every so often.
_most_remembered = 1 << 16


class Table:
    """One parameter, its state tensors and the compiled kernel that updates both."""

    def __init__(self, rule: _core.UpdateRule, parameter: Tensor, states: list[Tensor | None], step: int, late: bool):
        rows = parameter.size(0)
        self.parameter = parameter
        self.dtype, self.shape = parameter.dtype, parameter.shape
        self.states = states
        self.rule = rule
        self.row_steps = torch.full((rows,), step, dtype=torch.int32) if late else None
        self._kernel = _core.UpdatedTable(
            rule,
            _elements[parameter.dtype],
            rows,
            parameter.numel() // rows if rows else 0,
            step,
            0 if self.row_steps is None else self.row_steps.data_ptr(),
        )
        self._addresses: tuple[int, ...] = ()

    def step(self, grad: Tensor, scale: float, numbers: Numbers) -> None:
        indices, values = grad._indices(), grad._values()
        count = values.size(0)
        if values.dim() != 2 or values.stride(1) != 1:
            values = values.reshape(count, -1).contiguous()
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


def _row_bytes(tensor: Tensor) -> int:
    return tensor.stride(0) * tensor.itemsize


def _check_sparse(name: str, parameter: Tensor, grad: Tensor) -> None:
    """Raise for a parameter with a sparse gradient that the kernels do not serve."""
    about = f"{name}: a parameter of shape {tuple(parameter.shape)} with a sparse gradient"
    if not parameter.is_cpu:
        raise ValueError(f"{about} must lie on the CPU, found {parameter.device}")
    if parameter.dtype not in _elements:
        found = str(parameter.dtype).removeprefix("torch.")
        raise TypeError(f"{about} must be float32, float64, bfloat16 or float16, found {found}")
    if grad.sparse_dim() != 1:
        raise ValueError(f"{about} must have a gradient of one sparse dimension, the rows; found {grad.sparse_dim()}")
    if not (parameter.is_contiguous() or (parameter.dim() == 2 and parameter.stride(1) == 1)):
        raise ValueError(f"{about} must have rows without gaps, found strides {parameter.stride()}; use .contiguous()")


def _check_states(name: str, parameter: Tensor, states: list[Tensor | None]) -> None:
    """Raise for state that was made when the parameter had another dtype."""
    for state in states:
        if state is not None and state.shape == parameter.shape and state.dtype != parameter.dtype:
            raise TypeError(
                f"{name}: the state of a parameter is {state.dtype} and the parameter has become {parameter.dtype}; "
                "make the optimizer after changing a module's dtype"
            )


class SparseRows(torch.optim.Optimizer):
    """What the optimizers share: parameters with sparse gradients leave the lists that PyTorch's step works on."""

    _tables: dict[Tensor, Table]
    _catches_up: bool

    def _init_group(self, group: dict[str, Any], *lists: Any) -> Any:
        sparse = [p for p in group["params"] if p.grad is not None and p.grad.layout is torch.sparse_coo]
        if sparse:
            with torch.no_grad():
                for parameter in sparse:
                    self._step_rows(parameter, group)
            rest = {id(p) for p in sparse}
            group = {**group, "params": [p for p in group["params"] if id(p) not in rest]}
        if self._tables:
            for parameter in group["params"]:
                # PyTorch's step is about to move every row.
                if parameter.grad is not None and parameter in self._tables:
                    self._tables.pop(parameter).catch_up()
        return super()._init_group(group, *lists)  # type: ignore[misc]

    def _step_rows(self, parameter: Tensor, group: dict[str, Any]) -> None:
        found_inf = getattr(self, "found_inf", None)
        if found_inf is not None and found_inf.item():
            return
        grad = parameter.grad
        assert grad is not None
        table = self._tables.get(parameter)
        state = self.state[parameter]
        rule, states, count = self._rows_state(parameter, state, group)
        # A module's half() or double() changes a parameter in place.
        changed = table is not None and (table.dtype, table.shape) != (parameter.dtype, parameter.shape)
        if table is None or table.rule is not rule or changed:
            _check_sparse(type(self).__name__, parameter, grad)
            _check_states(type(self).__name__, parameter, states)
            if table is not None and not changed:
                table.catch_up()
            late = self._catches_up or rule is _core.UpdateRule.momentum
            table = Table(rule, parameter, states, count, late)
            self._tables[parameter] = table
        else:
            table.states = states
        scale = -1.0 if group["maximize"] else 1.0
        grad_scale = getattr(self, "grad_scale", None)
        if grad_scale is not None:
            scale /= grad_scale.item()
        table.step(grad, scale, self._rows_numbers(group, count + 1))
        if not self._catches_up:
            table.catch_up()
        if "step" in state:
            state["step"] += 1

    @abstractmethod
    def _rows_state(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> RowsState:
        """Return the rule, its states `first`, `second`, `greatest`, made where missing, and the steps taken."""

    @abstractmethod
    def _rows_numbers(self, group: dict[str, Any], step: int) -> Numbers:
        """Return the numbers of step `step`, counted from 1."""

    def catch_up(self, parameter: Tensor | None = None, ids: Tensor | None = None) -> None:
        """Bring rows up to date with the steps in which they had no gradient.

        With `catch_up=True` this must come before rows are read: of the ids of a batch before its forward pass, of all
        rows before a table is saved, copied or evaluated as a whole. `state_dict` and `step` see to it themselves, and
        :meth:`attach` has an embedding layer do it. Otherwise it does nothing.

        Parameters
        ----------
        parameter : Parameter, optional
            A table of this optimizer. Default: all of them.
        ids : int32 or int64 tensor, any shape, optional
            The rows. Default: all of them.

        Raises
        ------
        IndexError
            An id is outside the table; no row has been changed.

        Notes
        -----
        Costs nothing for rows that are up to date, and no more than an update of them for the others, however many
        steps they missed.
        """
        if parameter is None:
            if ids is not None:
                raise TypeError("catch_up: ids were given without the parameter that they are rows of")
            for table in self._tables.values():
                table.catch_up()
            return
        table_or_none = self._tables.get(parameter)
        if table_or_none is not None:
            if ids is not None and ids.dtype not in (torch.int32, torch.int64):
                found = str(ids.dtype).removeprefix("torch.")
                raise TypeError(f"catch_up: ids must be int32 or int64, found {found}")
            table_or_none.catch_up(ids)
        elif not any(p is parameter for group in self.param_groups for p in group["params"]):
            raise ValueError(
                f"catch_up: a parameter of shape {tuple(parameter.shape)} is not among those of this "
                f"{type(self).__name__}; give one that it was made with"
            )

    def attach(self, module: torch.nn.Module) -> list[RemovableHandle]:
        """Have a layer bring the rows that it is about to read up to date, and all rows before it is saved or loaded.

        Parameters
        ----------
        module : torch.nn.Embedding or torch.nn.EmbeddingBag
            Its `weight` is a parameter of this optimizer.

        Returns
        -------
        list of RemovableHandle
            Of the hooks; `handle.remove()` takes one away.
        """
        if not isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)):
            raise TypeError(f"attach takes an Embedding or EmbeddingBag, found {type(module).__name__}")

        def before_forward(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.catch_up(module.weight, args[0] if args else kwargs["input"])

        def before_others(module: Any, *_: Any) -> None:
            self.catch_up(module.weight)

        return [
            module.register_forward_pre_hook(before_forward, with_kwargs=True),
            module.register_state_dict_pre_hook(before_others),  # type: ignore[no-untyped-call]
            module.register_load_state_dict_pre_hook(before_others),  # type: ignore[no-untyped-call]
        ]

    def state_dict(self) -> dict[str, Any]:
        self.catch_up()
        return super().state_dict()

    def __getstate__(self) -> dict[str, Any]:
        self.catch_up()
        return {**super().__getstate__(), "_catches_up": self._catches_up}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # What rows missed belongs to the state that is being replaced.
        self._tables = {}
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
