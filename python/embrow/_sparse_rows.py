"""Parameters with sparse gradients: what the optimizers share of updating and catching up their rows."""

from __future__ import annotations

import functools
import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd import profiler
from torch.optim import optimizer as _torch_optimizer
from torch.utils.hooks import RemovableHandle

from embrow import _core, _gpu
from embrow._arguments import integer
from embrow._attached_layers import hook_layer
from embrow._eager import elements
from embrow._outside_graphs import outside_graphs
from embrow._row_table import Numbers, Table, row_count
from embrow._sharding import first_row, is_shared, is_split_by_rows, local_rows

# Odd, and without a pattern in its bits: 2^64 over the golden ratio.
_GOLDEN = 0x9E3779B97F4A7C15

# What a param group may hold that goes to its parameters.
_of_parameters = ("stochastic_rounding", "seed", "rows")
_rounded_dtypes = (torch.bfloat16, torch.float16)
RowsState = tuple[_core.UpdateRule, list[Tensor | None], int]


def _is_profiled() -> bool:
    """Whether a profiler watches this thread, or all of them."""
    return profiler._is_profiler_enabled or torch._C._autograd._profiler_enabled()


def new_step(group: dict[str, Any]) -> Tensor:
    """Return a count of steps as PyTorch keeps it."""
    double = not group.get("fused") and torch.get_default_dtype() is torch.float64
    return torch.zeros((), dtype=torch.float64 if double else torch.float32, device="cpu")


def _check_served(name: str, parameter: Tensor, grad: Tensor) -> None:
    """Raise for a parameter that the kernels do not serve."""
    is_sparse = grad.layout is torch.sparse_coo
    why = "a sparse gradient" if is_sparse else "stochastic rounding or a mask of rows"
    about = f"{name}: a parameter of shape {tuple(parameter.shape)} with {why}"
    if is_shared(parameter):
        if not is_split_by_rows(parameter):
            raise ValueError(
                f"{about} that processes share must be split by rows over a mesh of one dimension, found "
                f"{parameter.placements}"  # type: ignore[attr-defined]
            )
        parameter, grad = local_rows(parameter), _local_grad(parameter, grad)
    if not (parameter.is_cpu or _gpu.holds(parameter)):
        raise ValueError(
            f"{about} must lie on the CPU, or on a CUDA device where embrow was built with its CUDA kernels; found "
            f"{parameter.device}"
        )
    if grad.device != parameter.device:
        raise ValueError(f"{about} lies on {parameter.device} and its gradient on {grad.device}")
    if parameter.dtype not in elements:
        found = str(parameter.dtype).removeprefix("torch.")
        raise TypeError(f"{about} must be float32, float64, bfloat16 or float16, found {found}")


def goes_by_whole_rows(parameter: Tensor, grad: Tensor) -> bool:
    """Whether the entries of a sparse gradient are rows, and the parameter's lie as the kernels read them."""
    return (
        grad.sparse_dim() == 1
        and parameter.layout is torch.strided
        and (parameter.is_contiguous() or (parameter.dim() == 2 and parameter.stride(1) == 1))
    )


def _local_grad(parameter: Any, grad: Any) -> Tensor:
    """Return the gradient of the rows of a parameter that lie here."""
    if not is_shared(parameter):
        found: Tensor = grad
        return found
    if is_shared(grad):
        if tuple(grad.placements) != tuple(parameter.placements):
            raise ValueError(f"a parameter is split as {parameter.placements} and its gradient as {grad.placements}")
        return local_rows(grad)
    # Sparse, with the rows' numbers in the whole table, of rows that lie here.
    here = local_rows(parameter)
    ids = grad._indices() - first_row(parameter)
    return torch.sparse_coo_tensor(ids, grad._values(), here.shape, check_invariants=False)


def _check_rounded(name: str, parameter: Tensor) -> None:
    if parameter.dtype not in _rounded_dtypes:
        found = str(parameter.dtype).removeprefix("torch.")
        raise ValueError(
            f"{name}: stochastic_rounding is for parameters of bfloat16 and float16, found {found}, shape "
            f'{tuple(parameter.shape)}; give such parameters a group with "stochastic_rounding": False'
        )


def _check_mask(name: str, parameter: Tensor, mask: Any) -> None:
    """Raise for what is no mask of a parameter's rows."""
    expected = (row_count(parameter),)
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool or tuple(mask.shape) != expected:
        found = f"{mask.dtype}, shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"{name}: rows of a parameter of shape {tuple(parameter.shape)} must be a bool tensor of shape {expected}, "
            f"found {found}"
        )


def _copy_mask(name: str, parameter: Tensor, mask: Any) -> Tensor:
    """Return the mask of trained rows as the kernels read it."""
    _check_mask(name, parameter, mask)
    copied: Tensor = mask.detach().to("cpu", copy=True).contiguous()
    return copied


class SparseRows(torch.optim.Optimizer):
    """What the optimizers share: parameters with sparse gradients leave the lists that PyTorch's step works on.

    So do those whose rows are masked or rounded stochastically, whatever their gradients.
    """

    _tables: dict[Tensor, Table]
    _masks: dict[Tensor, Tensor]
    _seeds: dict[Tensor, int]
    _catches_up: bool
    # Whether PyTorch's optimizer of the same name takes sparse gradients.
    _torch_takes_sparse = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        taken = list(inspect.signature(cls.__init__).parameters.values())
        of_torch = super(SparseRows, cls).__init__  # noqa: UP008
        if cls.__init__ is SparseRows.__init__ and of_torch is not torch.optim.Optimizer.__init__:
            # What it hands on to PyTorch's, then what it takes itself.
            own = [p for p in taken if p.kind is p.KEYWORD_ONLY]
            taken = [*inspect.signature(of_torch).parameters.values(), *own]

            # One of its own, for those who ask it what it takes.
            def __init__(self: SparseRows, *args: Any, **kwargs: Any) -> None:
                SparseRows.__init__(self, *args, **kwargs)

            __init__.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
            __init__.__module__, __init__.__qualname__ = cls.__module__, f"{cls.__qualname__}.__init__"
            cls.__init__ = __init__  # type: ignore[method-assign]
        cls.__signature__ = inspect.Signature([p for p in taken if p.name != "self"])  # type: ignore[attr-defined]

    def __init__(
        self,
        params: Any,
        *args: Any,
        catch_up: bool = False,
        stochastic_rounding: bool = False,
        seed: int = 0,
        rows: Mapping[Tensor, Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        self._tables = {}
        self._masks = {}
        self._seeds = {}
        self._catches_up = catch_up
        self._rounding = (stochastic_rounding, seed)
        super().__init__(params, *args, **kwargs)
        self._remake_state()
        if not isinstance(rows, Mapping | None):
            raise TypeError(f"{type(self).__name__}: rows is a {type(rows).__name__}; it is a dict parameter -> mask")
        for parameter, mask in (rows or {}).items():
            if not self._has(parameter):
                raise ValueError(
                    f"{type(self).__name__}: rows names a parameter of shape {tuple(parameter.shape)} that is not "
                    "among those to optimize"
                )
            self._masks[parameter] = _copy_mask(type(self).__name__, parameter, mask)

    def _remake_state(self) -> None:
        """Put on large pages what PyTorch's constructor has made of the state."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, as in PyTorch.

        Parameters
        ----------
        param_group : dict
            May hold `stochastic_rounding`, `seed` and `rows`, there one mask for each of its parameters. They go to the
            parameters and not into :attr:`param_groups`, which PyTorch's optimizer of the same name can load.
        """
        stochastic, seed = self._rounding
        mask = None
        if isinstance(param_group, dict) and not param_group.keys().isdisjoint(_of_parameters):
            param_group = dict(param_group)
            stochastic = param_group.pop("stochastic_rounding", stochastic)
            seed = param_group.pop("seed", seed)
            mask = param_group.pop("rows", None)
        name = type(self).__name__
        seed = integer(f"{name}: seed", seed)
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"{name}: seed must be 0 to 2^64 - 1, found {seed}")
        super().add_param_group(param_group)
        parameters = self.param_groups[-1]["params"]
        masks = {}
        # Only PyTorch's tells which parameters a group holds.
        try:
            for parameter in parameters:
                if stochastic:
                    _check_rounded(name, parameter)
                if mask is not None:
                    masks[parameter] = _copy_mask(name, parameter, mask)
        except Exception:
            self.param_groups.pop()
            raise
        # They may come from another group, whose settings they leave behind.
        for parameter in parameters:
            self._drop_table(parameter)
            self._seeds.pop(parameter, None)
            self._masks.pop(parameter, None)
        if stochastic:
            self._seeds.update(dict.fromkeys(parameters, seed))
        self._masks.update(masks)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters.

        Parameters
        ----------
        set_to_none : bool
            Set them to None. Otherwise they become zero.
        """
        if torch.compiler.is_compiling() or not set_to_none or _is_profiled():
            return super().zero_grad(set_to_none)
        # PyTorch's names itself to profilers first, which costs several times what is to be done.
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        return None

    @staticmethod
    def profile_hook_step(func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a step that serves hooks and profilers, as PyTorch's does; each class's step becomes one.

        What watches operators without a profiler, as an ExecutionTraceObserver alone, does not get the step's name.
        """
        watched = torch.optim.Optimizer.profile_hook_step(func)

        @functools.wraps(func)
        def step(self: SparseRows, *args: Any, **kwargs: Any) -> Any:
            # PyTorch's costs a third of a small step where there is nobody to serve.
            if _is_profiled() or self._has_hooks():
                return watched(self, *args, **kwargs)
            return func(self, *args, **kwargs)

        # A graph would hold what PyTorch's kernels do, and nothing of what ours did while it was made.
        return outside_graphs(step)

    def _has_hooks(self) -> bool:
        return bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or _torch_optimizer._global_optimizer_pre_hooks
            or _torch_optimizer._global_optimizer_post_hooks
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step. `torch.compile` leaves it out of its graphs.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the model again and returns the loss.

        Returns
        -------
        What `closure` returned, or None
        """
        by_rows = self._all_by_rows() if closure is None else None
        if by_rows is None:
            return self._step_all(closure)
        with torch.no_grad():
            for parameter, group in by_rows:
                self._step_rows(parameter, group)
        return None

    def _all_by_rows(self) -> list[tuple[Tensor, dict[str, Any]]] | None:
        """Return the parameters that have gradients, with their groups, where a step of all is the kernels' work."""
        found = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if self._goes_by_rows(parameter):
                    found.append((parameter, group))
                elif parameter.grad is not None:
                    return None
        return found

    def _step_all(self, closure: Callable[[], Any] | None) -> Any:
        """Take PyTorch's step, which asks `_init_group` for the parameters that are left to it."""
        step: Any = super().step
        if hasattr(step, "hooked"):
            # Its class has been used, too; hooks and profilers are served already.
            return step.__wrapped__(self, closure)
        return step(closure)

    def _has(self, parameter: Tensor) -> bool:
        return any(p is parameter for group in self.param_groups for p in group["params"])

    def _goes_by_rows(self, parameter: Tensor) -> bool:
        """Whether a step of the parameter is the kernels' work."""
        grad = parameter.grad
        if grad is None:
            return False
        if grad.layout is torch.sparse_coo:
            table = self._tables.get(parameter)
            is_known = table is not None and table.dtype is parameter.dtype and grad.sparse_dim() == 1
            if is_known or not self._is_torchs(parameter, grad):
                return True
        return parameter in self._masks or parameter in self._seeds

    def _is_torchs(self, parameter: Tensor, grad: Tensor) -> bool:
        """Whether PyTorch's step takes a sparse gradient that the kernels do not."""
        return (
            self._torch_takes_sparse
            and not self._catches_up
            and not is_shared(parameter)
            and not (
                parameter.dtype in elements
                and goes_by_whole_rows(parameter, grad)
                # Made before half() or double().
                and all(
                    value.dtype is parameter.dtype
                    for name, value in self.state.get(parameter, {}).items()
                    if name != "step" and isinstance(value, Tensor)
                )
            )
        )

    def _init_group(self, group: dict[str, Any], *lists: Any) -> Any:
        ours = [p for p in group["params"] if self._goes_by_rows(p)]
        if ours:
            with torch.no_grad():
                for parameter in ours:
                    self._step_rows(parameter, group)
            rest = {id(p) for p in ours}
            group = {**group, "params": [p for p in group["params"] if id(p) not in rest]}
        if self._tables:
            for parameter in group["params"]:
                # PyTorch's step is about to move every row.
                if parameter.grad is not None:
                    self._drop_table(parameter)
        return super()._init_group(group, *lists)  # type: ignore[misc]

    def _drop_table(self, parameter: Tensor) -> None:
        """Bring all rows up to date for the last time."""
        if parameter in self._tables:
            self._tables[parameter].catch_up()
            del self._tables[parameter]

    def _step_rows(self, parameter: Tensor, group: dict[str, Any]) -> None:
        if self._is_captured(parameter):
            raise RuntimeError(
                f"{type(self).__name__}: a step with sparse gradients cannot become part of a CUDA graph, which would "
                "repeat its learning rate and count of steps; capture the forward and backward passes alone"
            )
        if group["differentiable"]:
            raise ValueError(
                f"{type(self).__name__}: differentiable=True is for dense gradients without a mask or stochastic "
                f"rounding; a parameter of shape {tuple(parameter.shape)} goes by rows"
            )
        found_inf = getattr(self, "found_inf", None)
        if found_inf is not None and found_inf.item():
            return
        grad_scale = getattr(self, "grad_scale", None)
        scale = 1.0 if grad_scale is None else float(grad_scale.item())
        state = self.state[parameter]
        known = set(state)
        try:
            self._step_table(parameter, group, state, scale)
        except BaseException:
            # What was made for a step that was not taken would tell of one.
            for name in set(state) - known:
                del state[name]
            raise
        if scale != 1 and parameter.grad is not None:
            # PyTorch's fused steps, to which a GradScaler leaves it, unscale gradients in place.
            parameter.grad.div_(scale)

    def _step_table(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any], grad_scale: float) -> None:
        """Update the table by its gradient over `grad_scale`, which is left as it is."""
        grad = parameter.grad
        assert grad is not None
        table = self._tables.get(parameter)
        rule, states, count = self._rows_state(parameter, state, group)
        if table is not None and (table.rule is not rule or table.has_changed()):
            table.catch_up()
            table = None
        is_new = table is None
        if table is None:
            table = self._make_table(rule, parameter, states, count)
            self._tables[parameter] = table
        else:
            table.states = states
        seed = self._seeds.get(parameter)
        if seed is not None:
            if is_shared(parameter):
                # Each process counts its rows from 0, and is to round them in another way than the others.
                seed = (seed + first_row(parameter) * _GOLDEN) % 2**64
            if "step" not in state:
                state["step"] = new_step(group)
            table.round_stochastically(seed, int(state["step"]) + 1)
        scale = (-1.0 if group["maximize"] else 1.0) / grad_scale
        # Dense gradients have PyTorch's dense numbers.
        exact = self._catches_up or grad.layout is not torch.sparse_coo
        try:
            table.step(_local_grad(parameter, grad), scale, self._rows_numbers(group, count + 1, exact))
        except BaseException:
            if is_new:
                # Of a step that was refused, its rows would be asked for before each forward pass.
                self._tables.pop(parameter, None)
            raise
        if not self._catches_up:
            table.catch_up()
        if "step" in state:
            state["step"] += 1

    def _make_table(self, rule: _core.UpdateRule, parameter: Tensor, states: list[Tensor | None], count: int) -> Table:
        name = type(self).__name__
        assert parameter.grad is not None
        _check_served(name, parameter, parameter.grad)
        if parameter in self._seeds:
            _check_rounded(name, parameter)
        trained = self._masks.get(parameter)
        if trained is not None:
            # The parameter may have changed its shape.
            _check_mask(name, parameter, trained)
            if is_shared(parameter):
                first = first_row(parameter)
                trained = trained[first : first + row_count(local_rows(parameter))]
        late = self._catches_up or rule is _core.UpdateRule.momentum
        return Table(name, rule, parameter, states, count, late, trained)

    @abstractmethod
    def _rows_state(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> RowsState:
        """Return the rule, its states `first`, `second`, `greatest`, made where missing, and the steps taken."""

    @abstractmethod
    def _rows_numbers(self, group: dict[str, Any], step: int, exact: bool) -> Numbers:
        """Return the numbers of step `step`, counted from 1; `exact`: those of dense gradients."""

    def catch_up(self, parameter: Tensor | None = None, ids: Tensor | None = None) -> None:
        """Bring rows up to date with the steps in which they had no gradient.

        With `catch_up=True` this must come before rows are read: of the ids of a batch before its forward pass, of all
        rows before a table is saved, copied, evaluated as a whole or given another shape. `state_dict`, `step` and
        `load_state_dict`, under a table that has not been written to, see to it themselves, and :meth:`attach` has an
        embedding layer do it. Otherwise it does nothing.

        Parameters
        ----------
        parameter : Parameter, optional
            A table of this optimizer. Default: all of them.
        ids : int32 or int64 tensor, any shape, optional
            The rows. Default: all of them. Not of a table that processes share, where :meth:`attach` knows which.

        Raises
        ------
        ValueError
            The parameter is not one of this optimizer's, or `ids` are on another device or of a shared table.
        TypeError
            `ids` are neither int32 nor int64, or were given without the parameter.
        IndexError
            An id is outside the table; no row has been changed. On a GPU it is raised later, as by a lookup.
        RuntimeError
            A CUDA graph is being captured: call it before each replay.

        Notes
        -----
        Costs nothing for rows that are up to date, and no more than an update of them for the others, however many
        steps they missed.
        """
        if parameter is None:
            if ids is not None:
                raise TypeError("catch_up: ids were given without the parameter that they are rows of")
            for table in list(self._tables.values()):
                self._check_uncaptured(table.parameter)
                table.catch_up()
            return
        if ids is not None and is_shared(parameter):
            raise ValueError(
                "catch_up: the rows of a table that processes share are brought up to date before they are read by "
                "attach(layer); leave the ids out for all rows"
            )
        table_or_none = self._tables.get(parameter)
        if table_or_none is not None:
            if ids is not None and not (isinstance(ids, Tensor) and ids.dtype in (torch.int32, torch.int64)):
                found = str(ids.dtype).removeprefix("torch.") if isinstance(ids, Tensor) else type(ids).__name__
                raise TypeError(f"catch_up: ids must be int32 or int64, found {found}")
            if ids is not None and ids.device != parameter.device:
                raise ValueError(f"catch_up: ids must lie on the parameter's {parameter.device}, found {ids.device}")
            self._check_uncaptured(parameter)
            table_or_none.catch_up(ids)
        elif not self._has(parameter):
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

        Raises
        ------
        TypeError
            It is another module, or its table is shared by processes and not made so by embrow.distributed.shard_rows.
        ValueError
            Its weight is not a parameter of this optimizer.

        Notes
        -----
        Copies of the layer, as an `AveragedModel` holds, and pickles of it are of the rows as
        they are: call :meth:`catch_up` before. The hooks do nothing there; a layer that was copied together with its
        optimizer must be attached anew.

        Where the layer's class has a forward pass of its own, or a hook that follows may change the ids, all rows are
        brought up to date before each forward pass. Attach a layer before it is compiled, and not with
        `fullgraph=True`, since no graph can hold what the hooks do; `torch.jit.script` takes none with hooks, and
        `torch.fx` and `torch.export` record none: call :meth:`catch_up` before. Rows are written to when they are
        brought up to date, so where one backward pass follows several forward passes that need the table for it, as
        with trained `per_sample_weights`, call :meth:`catch_up` for all their ids first; for all rows on a GPU, which
        is not asked which rows were behind. Processes that read other rows round other rows of 16-bit tables that are
        behind. A CUDA graph would repeat the count of steps: with `catch_up=True` a forward pass of an attached layer
        is not captured but raises a RuntimeError; capture the layer before it is attached, and call :meth:`catch_up`
        before each replay.
        """
        if not isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)):
            raise TypeError(f"attach takes an Embedding or EmbeddingBag, found {type(module).__name__}")
        if not self._has(module.weight):
            raise ValueError(
                f"attach: the weight of shape {tuple(module.weight.shape)} is not among the parameters of this "
                f"{type(self).__name__}"
            )
        return hook_layer(module, self._table_of)

    def _table_of(self, weight: Tensor) -> Table | None:
        """Return what layers that are attached bring up to date."""
        if not self._catches_up:
            # Each step leaves all rows up to date.
            return None
        self._check_uncaptured(weight)
        return self._tables.get(weight)

    def _is_captured(self, parameter: Tensor) -> bool:
        """Whether what is done to a parameter's rows now would become part of a CUDA graph."""
        return _gpu.holds(parameter) and _gpu.is_capturing() and self._has(parameter)

    def _check_uncaptured(self, parameter: Tensor) -> None:
        if not torch.compiler.is_dynamo_compiling() and self._is_captured(parameter):
            raise RuntimeError(
                f"{type(self).__name__}: catching up cannot become part of a CUDA graph, which would repeat its count "
                "of steps; capture a layer that is not attached, and call catch_up before each replay"
            )

    def state_dict(self) -> dict[str, Any]:
        self.catch_up()
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for table in list(self._tables.values()):
            # What has been loaded into a table has missed nothing.
            if table.is_as_left():
                table.catch_up()
        super().load_state_dict(state_dict)

    def __getstate__(self) -> dict[str, Any]:
        self.catch_up()
        ours = {name: getattr(self, name) for name in ("_catches_up", "_masks", "_seeds", "_rounding")}
        return {**super().__getstate__(), **ours}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # What rows missed belongs to the state that is being replaced.
        self._tables = {}
        if "defaults" not in state:
            # Of load_state_dict. What it lacks, as that of SparseAdam lacks much, stays as it is in each group.
            for group, found in zip(self.param_groups, state["param_groups"], strict=True):
                for name in self.defaults.keys() & group.keys():
                    found.setdefault(name, group[name])
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
