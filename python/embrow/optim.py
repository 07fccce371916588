"""Optimizers: steps that cost what the batch costs for tables with sparse gradients, PyTorch's own for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError('embrow.optim needs PyTorch: pip install "embrow[torch]"') from error
from torch import Tensor

from embrow import _core
from embrow._row_table import Numbers
from embrow._sharding import is_shared, is_split_by_rows, local_rows, of_every_process, row_numbers
from embrow._sparse_rows import RowsState, SparseRows, goes_by_whole_rows, new_step
from embrow._table_memory import filled_like, is_large

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "RowwiseAdagrad", "clip_grad_norm_"]


class _SparseAdam(SparseRows):
    def _step_table(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any], grad_scale: float) -> None:
        grad = parameter.grad
        assert grad is not None
        if (
            grad.layout is not torch.sparse_coo
            or (parameter in self._tables and grad.sparse_dim() == 1)
            or goes_by_whole_rows(parameter, grad)
            or self._catches_up
            or parameter in self._masks
            or parameter in self._seeds
            or is_shared(parameter)
            or group["amsgrad"]
            or group["weight_decay"]
        ):
            super()._step_table(parameter, group, state, grad_scale)
            return
        # Entries that are no rows, or rows with gaps: SparseAdam takes them.
        self._drop_table(parameter)
        _, _, count = self._rows_state(parameter, state, group)
        beta1, beta2 = map(float, group["betas"])
        torch.optim._functional.sparse_adam(
            [parameter],
            [grad if grad_scale == 1 else grad / grad_scale],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [count + 1],
            eps=group["eps"],
            beta1=beta1,
            beta2=beta2,
            lr=float(group["lr"]),
            maximize=group["maximize"],
        )
        state["step"] += 1

    def _rows_state(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> RowsState:
        if not state:
            state["step"] = new_step(group)
            state["exp_avg"] = filled_like(parameter, 0)
            state["exp_avg_sq"] = filled_like(parameter, 0)
        greatest = None
        if group["amsgrad"]:
            if "max_exp_avg_sq" not in state:
                state["max_exp_avg_sq"] = filled_like(parameter, 0)
            greatest = state["max_exp_avg_sq"]
        rule = _core.UpdateRule.adam if greatest is None else _core.UpdateRule.amsgrad
        return rule, [state["exp_avg"], state["exp_avg_sq"], greatest], int(state["step"])

    def _rows_numbers(self, group: dict[str, Any], step: int, exact: bool) -> Numbers:
        lr = float(group["lr"])
        beta1, beta2 = map(float, group["betas"])
        decay = float(group["weight_decay"])
        root = math.sqrt(1 - beta2**step)
        # SparseAdam adds eps to sqrt(v), Adam to sqrt(v) / sqrt(1 - beta2^step).
        eps = group["eps"] * root if exact else group["eps"]
        size = lr * root / (1 - beta1**step)
        decoupled = group.get("decoupled_weight_decay", isinstance(self, torch.optim.AdamW))
        if decoupled:
            return (size, 0.0, eps, beta1, beta2, 0.0, 0.0, 1 - lr * decay)
        return (size, 0.0, eps, beta1, beta2, 0.0, decay, 1.0)


class Adam(_SparseAdam, torch.optim.Adam):
    """`torch.optim.Adam` that takes sparse gradients.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, amsgrad, foreach, maximize, capturable, differentiable, fused, \
decoupled_weight_decay
        As in `torch.optim.Adam`; they go for parameters with dense gradients, which get PyTorch's own step.
    catch_up : bool
        Give tables with sparse gradients the numbers of `torch.optim.Adam` with dense ones: before a row is updated or
        saved it makes up for the steps in which it had no gradient, with the learning rate then in force. The rows of
        a batch must be brought up to date before they are read, by :meth:`catch_up` or :meth:`attach`.
        Otherwise the numbers are those of `torch.optim.SparseAdam`: only rows with a gradient move.
    stochastic_rounding : bool
        Round each element of a table, and of its state, up or down at random such that the mean is right, instead of
        to the nearest: small steps are not lost. For bfloat16 and float16.
    seed : int
        Of the random bits, 0 to 2^64 - 1. They depend on it, the step, the row and the column alone, so that training
        that goes on from a `state_dict`, with the same seed, goes on with the same bits.
    rows : dict of parameter to bool tensor, shape (rows,), optional
        Train only the rows where the tensor, which is copied, is True: the other rows and their state keep their bits,
        whatever their gradients, momentum and weight decay. For a parameter of one dimension each element is a row.

    Raises
    ------
    ValueError
        `stochastic_rounding` is given for a parameter of another dtype, `rows` a mask of another shape or dtype, or for
        a parameter that is not among `params`.

    Notes
    -----
    A step costs what the rows with a gradient cost, whatever the size of the table. State has the table's dtype;
    arithmetic on 16-bit tables is in float32. Without `catch_up`, weight decay touches rows with a gradient only.
    With it, weight decay and betas of which beta1 > 0.995 sqrt(beta2) cost a row as many steps as it missed.
    The results are the same bits for every number of threads.

    `stochastic_rounding`, `seed` and `rows`, there one mask for all, may stand in a param group. They and `catch_up`
    are no part of a `state_dict`. Parameters that they concern may have dense gradients too, with the
    numbers of `torch.optim.Adam`. The random bits are those of Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel
    random numbers: as easy as 1, 2, 3", 2011).

    Examples
    --------
    >>> layer = torch.nn.Embedding(1000, 8, sparse=True)
    >>> optimizer = Adam(layer.parameters(), lr=0.01, catch_up=True)
    >>> hooks = optimizer.attach(layer)
    >>> layer(torch.tensor([3, 7])).sum().backward()
    >>> optimizer.step()
    """


class AdamW(_SparseAdam, torch.optim.AdamW):
    """`torch.optim.AdamW` that takes sparse gradients: :class:`Adam` with decoupled weight decay.

    Without `catch_up` a row is decayed in the steps in which it has a gradient; with it, it makes up for the others at
    the learning rate then in force. Parameters and state are those of :class:`Adam`; `weight_decay` is 0.01 by default.
    """


class SGD(SparseRows, torch.optim.SGD):
    """`torch.optim.SGD` that takes sparse gradients.

    Parameters
    ----------
    params, lr, momentum, dampening, weight_decay, nesterov, maximize, foreach, differentiable, fused
        As in `torch.optim.SGD`.
    catch_up : bool
        Let a row make up for the momentum and weight decay it missed before it is read, as in :class:`Adam`.
    stochastic_rounding, seed, rows
        As in :class:`Adam`.

    Notes
    -----
    Without momentum a step costs what the rows with a gradient cost, and weight decay touches those rows only.
    Momentum moves every row in every step, as in PyTorch with dense gradients: with `catch_up` rows make up for it
    when they are read, without it each step is a pass over the table and decays all of it.
    The results are the same bits for every number of threads.

    Examples
    --------
    >>> layer = torch.nn.Embedding(1000, 8, sparse=True)
    >>> optimizer = SGD(layer.parameters(), lr=0.1)
    >>> layer(torch.tensor([3, 7])).sum().backward()
    >>> optimizer.step()
    """

    _torch_takes_sparse = True

    def _rows_state(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> RowsState:
        if group["momentum"] == 0:
            return _core.UpdateRule.sgd, [None, None, None], 0
        buffer = state.get("momentum_buffer")
        started = buffer is not None
        if buffer is None or buffer.layout is not torch.strided:
            # PyTorch's own keeps a sparse buffer for sparse gradients.
            buffer = filled_like(parameter, 0) if buffer is None else buffer.to_dense()
            state["momentum_buffer"] = buffer
        return _core.UpdateRule.momentum, [buffer, None, None], int(started)

    def _rows_numbers(self, group: dict[str, Any], step: int, exact: bool) -> Numbers:
        lr = float(group["lr"])
        momentum = float(group["momentum"])
        decay = float(group["weight_decay"])
        if momentum == 0:
            return (0.0, lr, 0.0, 0.0, 1.0, 0.0, 0.0, 1 - lr * decay)
        gain = 1.0 if step == 1 else 1 - group["dampening"]
        size, direct = (lr * momentum, lr) if group["nesterov"] else (lr, 0.0)
        return (size, direct, 0.0, momentum, 1.0, gain, decay, 1.0)


class Adagrad(SparseRows, torch.optim.Adagrad):
    """`torch.optim.Adagrad` with one fused kernel for sparse gradients, weight decay included.

    Parameters
    ----------
    params, lr, lr_decay, weight_decay, initial_accumulator_value, eps, foreach, maximize, differentiable, fused
        As in `torch.optim.Adagrad`.
    catch_up : bool
        Let a row make up for the weight decay it missed before it is read, as in :class:`Adam`. Costs a row as many
        steps as it missed.
    stochastic_rounding, seed, rows
        As in :class:`Adam`.

    Notes
    -----
    A step costs what the rows with a gradient cost. Without `catch_up`, weight decay touches those rows only.
    The results are the same bits for every number of threads.

    Examples
    --------
    >>> layer = torch.nn.Embedding(1000, 8, sparse=True)
    >>> optimizer = Adagrad(layer.parameters(), lr=0.1)
    >>> layer(torch.tensor([3, 7])).sum().backward()
    >>> optimizer.step()
    """

    _torch_takes_sparse = True

    def _remake_state(self) -> None:
        number = self.defaults["initial_accumulator_value"]
        for parameter, state in self.state.items():
            if is_large(parameter.nbytes):
                # First, since two of them may be too many.
                del state["sum"]
                state["sum"] = filled_like(parameter, complex(number, number) if parameter.is_complex() else number)

    def _rows_state(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> RowsState:
        if not state:
            state["step"] = new_step(group)
            state["sum"] = filled_like(parameter, self.defaults["initial_accumulator_value"])
        return _core.UpdateRule.adagrad, [None, state["sum"], None], int(state["step"])

    def _rows_numbers(self, group: dict[str, Any], step: int, exact: bool) -> Numbers:
        return _adagrad_numbers(group, step)


class RowwiseAdagrad(SparseRows):
    """Adagrad that keeps one sum for each row of a table: `s += mean(g^2)`, `row -= lr * g / (sqrt(s) + eps)`.

    Parameters
    ----------
    params, lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize
        As in `torch.optim.Adagrad`. For a parameter of one dimension each element is a row.
    stochastic_rounding, seed, rows
        As in :class:`Adam`.

    Notes
    -----
    State is `sum`, float32, shape (rows,), whatever the table's dtype. Weight decay touches rows with a gradient only.
    A step with sparse gradients costs what the rows with a gradient cost.

    Examples
    --------
    >>> layer = torch.nn.Embedding(1000, 8, sparse=True)
    >>> optimizer = RowwiseAdagrad(layer.parameters(), lr=0.1)
    >>> layer(torch.tensor([3, 7])).sum().backward()
    >>> optimizer.step()
    >>> optimizer.state[layer.weight]["sum"].shape
    torch.Size([1000])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        stochastic_rounding: bool = False,
        seed: int = 0,
        rows: Mapping[Tensor, Tensor] | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        for name, value in defaults.items():
            if not float(value) >= 0:
                raise ValueError(f"RowwiseAdagrad: {name} must be 0 or more, found {value}")
        super().__init__(
            params,
            {**defaults, "differentiable": False},
            stochastic_rounding=stochastic_rounding,
            seed=seed,
            rows=rows,
        )

    @torch.no_grad()
    def _step_all(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if self._goes_by_rows(parameter):
                    self._step_rows(parameter, group)
                else:
                    self._step_dense(parameter, group)
        return loss

    def _step_dense(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        _, (_, sums, _), count = self._rows_state(parameter, state, group)
        size, _, eps, *_, decay, _ = self._rows_numbers(group, count + 1, exact=True)
        grad = parameter.grad
        assert grad is not None
        assert sums is not None
        if group["maximize"]:
            grad = -grad
        # As in the kernels, 16-bit numbers are squared and subtracted in float32, and roots are of float64.
        grad = grad.to(torch.promote_types(parameter.dtype, torch.float32))
        if decay:
            grad = grad.add(parameter, alpha=decay)
        if grad.numel():
            flat = grad.reshape(sums.numel(), -1)
            squares = flat.abs().pow(2)
            sums += squares.mean(1)
            sizes = (size / (sums.double().sqrt() + eps)).to(squares.dtype)
            parameter.sub_((flat * sizes.unsqueeze(1)).reshape(grad.shape))
        state["step"] += 1

    def _rows_state(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> RowsState:
        if not state:
            state["step"] = new_step(group)
            state["sum"] = row_numbers(parameter, float(group["initial_accumulator_value"]))
        return _core.UpdateRule.rowwise_adagrad, [None, state["sum"], None], int(state["step"])

    def _rows_numbers(self, group: dict[str, Any], step: int, exact: bool) -> Numbers:
        return _adagrad_numbers(group, step)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # PyTorch's casts the sums to the parameters' dtype, between the hooks of others.
        loaded: list[dict[str, Any]] = []

        def keep(_: Any, found: dict[str, Any]) -> None:
            loaded.append(found)

        def restore(_: Any) -> None:
            (found,) = loaded
            saved = [found["state"].get(i) for group in found["param_groups"] for i in group["params"]]
            parameters = [parameter for group in self.param_groups for parameter in group["params"]]
            for parameter, state in zip(parameters, saved, strict=True):
                if state:
                    self.state[parameter]["sum"] = state["sum"].to(parameter.device, torch.float32, copy=True)

        hooks = [
            self.register_load_state_dict_pre_hook(keep),
            self.register_load_state_dict_post_hook(restore, prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()


def _adagrad_numbers(group: dict[str, Any], step: int) -> Numbers:
    size = float(group["lr"]) / (1 + (step - 1) * group["lr_decay"])
    return (size, 0.0, group["eps"], 0.0, 1.0, 0.0, float(group["weight_decay"]), 1.0)


@torch.no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale gradients so that their norm, all taken as one vector, is at most `max_norm`.

    `torch.nn.utils.clip_grad_norm_` for sparse gradients too, of which entries for the same row are summed first. Of
    parameters that processes share, all of them must call it, and the norm is that of the whole gradient.

    Parameters
    ----------
    parameters : tensor or iterable of tensors
        Those without a gradient are passed over.
    max_norm : float
    norm_type : float
        The p of the p-norm; infinity for the largest magnitude.
    error_if_nonfinite : bool
        Raise where the norm is not a finite number.
    foreach : bool, optional
        Has no effect.

    Returns
    -------
    tensor, 0-dim: the norm before scaling

    Raises
    ------
    RuntimeError
        The norm is not finite and `error_if_nonfinite` is given; no gradient has been changed.

    Examples
    --------
    >>> layer = torch.nn.Embedding(10, 4, sparse=True)
    >>> layer(torch.tensor([2, 2])).sum().backward()
    >>> clip_grad_norm_(layer.parameters(), 1.0)
    tensor(4.)
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm_type = float(norm_type)
    holders = [parameter for parameter in parameters if parameter.grad is not None]
    for parameter in holders:
        if parameter.grad.layout is torch.sparse_coo:  # type: ignore[union-attr]
            parameter.grad = parameter.grad.coalesce()  # type: ignore[union-attr]
    values = [
        grad._values() if grad.layout is torch.sparse_coo else grad
        for grad in (holder.grad for holder in holders)
        if grad is not None
    ]
    if not values:
        return torch.tensor(0.0)
    device = values[0].device
    norms = [_norms(holder, value, norm_type).to(device) for holder, value in zip(holders, values, strict=True)]
    total: Tensor = torch.linalg.vector_norm(torch.cat(norms), norm_type)
    if error_if_nonfinite and not torch.isfinite(total):
        raise RuntimeError(
            f"clip_grad_norm_: The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            f"{total.item()}, so it cannot be clipped; to scale them all the same, set `error_if_nonfinite=False`"
        )
    scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for value in values:
        value.mul_(scale.to(value.device))
    return total


def _norms(parameter: Tensor, value: Tensor, norm_type: float) -> Tensor:
    """Return norms, shape (any,), of parts of a gradient: where processes share it, of the parts of all of them."""
    split = is_shared(parameter) and is_split_by_rows(value if is_shared(value) else parameter)
    here = local_rows(value) if split else value
    # Nothing has no largest magnitude.
    norm: Tensor = torch.linalg.vector_norm(here, norm_type) if here.numel() else here.new_zeros(())
    if split:
        parts = of_every_process(norm, parameter)
        # The norm of order 0 counts the entries that are not zero.
        return parts.sum().reshape(1) if norm_type == 0 else parts
    return (norm.full_tensor() if is_shared(norm) else norm).reshape(1)  # type: ignore[attr-defined]
