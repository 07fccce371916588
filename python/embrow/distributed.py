"""Tables larger than one process: rows split over the processes of torch.distributed."""

from __future__ import annotations

from typing import Any, TypeVar

try:
    import torch
    import torch.distributed as dist
except ModuleNotFoundError as error:
    raise ImportError('embrow.distributed needs PyTorch: pip install "embrow[torch]"') from error

if not dist.is_available():
    raise ImportError("embrow.distributed needs a PyTorch that was built with torch.distributed")

from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

# By these names embrow.patch leaves PyTorch's layers alone.
from torch.nn.modules import sparse as _torch_nn

from embrow._sharded_layers import ShardedEmbedding, ShardedEmbeddingBag
from embrow._sharding import bounds, is_shared
from embrow.nn import lookup_forwards

__all__ = ["shard_rows"]

_Layer = TypeVar("_Layer", bound=_torch_nn.Embedding | _torch_nn.EmbeddingBag)


def shard_rows(
    module: _Layer, mesh: DeviceMesh, *, average_gradients: bool = True, src_data_rank: int | None = 0
) -> _Layer:
    """Make a layer whose rows are split over the processes of a mesh, each holding its own alone.

    Every process looks up its own batch, of any size: ids go to the processes that hold their rows, rows come back, and
    in the backward pass gradients go to where the rows are. `embrow.optim` then updates them there. No step sends
    anything of the table's size.

    Parameters
    ----------
    module : torch.nn.Embedding or torch.nn.EmbeddingBag, of whatever settings
        Its table; the same settings in every process. On the meta device there need be no table anywhere: give the
        layer made memory by `.to_empty(device=...)` and numbers by `.reset_parameters()`, or load a checkpoint.
    mesh : DeviceMesh, of one dimension
        The processes. Of n, each holds ceil(rows / n) rows in turn, the last ones what is left, as `Shard(0)` splits.
    average_gradients : bool
        Whether gradients of the processes' losses are averaged, as DistributedDataParallel and `fully_shard` do it, so
        that the table learns from the mean of the losses; otherwise they are added up.
    src_data_rank : int, optional
        The process of the mesh whose table is split and sent to the others, once. None: each cuts its rows out of its
        own table, and nothing is sent. Others than 0 and None need PyTorch 2.7.

    Returns
    -------
    Embedding or EmbeddingBag
        Its `weight` is a DTensor of the table's shape and `Shard(0)`; results are plain tensors, those of `module`.
        `sparse=True` gives sparse gradients, a plain COO tensor of the table's shape with entries for rows that lie
        here, which `embrow.optim` takes; otherwise gradients are DTensors like the weight, for any optimizer, and cost
        a pass over the rows that lie here.

    Raises
    ------
    TypeError
        `module` is another layer, has a forward pass of its own, hooks, or a weight that is computed, or its table is
        split already.
    ValueError
        The mesh has more than one dimension; take one of it by name.

    Notes
    -----
    Every process of the mesh must run forward and backward passes alike, as with any collective; a batch may be empty.
    If one has an id outside the table, or a batch of a wrong type, forward raises in all of them: the error of
    the layer there, with position and value; the others name the process. No process is left waiting.

    For a batch of u distinct ids that lie in other processes a step sends 8 u bytes of ids and as many rows forth, as
    many rows of gradients back, and 32 bytes to each process to agree on the numbers. On a GPU it waits for the device.

    `max_norm` scales rows where they lie, of all batches of a step. `scale_grad_by_freq` counts ids within the batch of
    a process, as under DistributedDataParallel. Rows are drawn by `reset_parameters` to the same bits for every number
    of processes; a trained table differs by rounding, as gradients of different batches are added in another order.

    DistributedDataParallel must leave the table alone: wrap the rest of the model, or name the table to
    `DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, ["table.weight"])` first; give
    `fully_shard` its `ignored_params`, for which it needs PyTorch 2.7. `embrow.optim.clip_grad_norm_` takes the
    norm of all processes' gradients; torch.amp.GradScaler sees infinities of the rows that lie here alone, so it is
    no match for a sharded table.

    `state_dict` holds DTensors, and so does the state of optimizers, which `torch.distributed.checkpoint` saves,
    and loads into any number of processes: see `get_state_dict` and `set_state_dict` in its `state_dict` module.
    `catch_up=True` asks for `optimizer.attach(layer)`, which brings rows up to date where they lie. Optimizers'
    masks of trained rows are of the whole table. `stochastic_rounding` draws other bits for other numbers of
    processes. Second derivatives are refused.

    Examples
    --------
    A mesh of this one process; `torchrun` starts more.

    >>> from torch.distributed.device_mesh import init_device_mesh
    >>> from embrow import nn, optim
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    >>> layer = shard_rows(nn.Embedding(1000, 8, sparse=True, device="meta"), mesh)
    >>> layer = layer.to_empty(device="cpu")
    >>> layer.reset_parameters()
    >>> optimizer = optim.Adam(layer.parameters(), lr=0.01)
    >>> layer(torch.tensor([[3, 7, 3]])).sum().backward()
    >>> optimizer.step()
    >>> layer.weight.to_local().shape
    torch.Size([1000, 8])
    >>> dist.destroy_process_group()
    """
    kinds: dict[type, Any] = {_torch_nn.Embedding: ShardedEmbedding, _torch_nn.EmbeddingBag: ShardedEmbeddingBag}
    kind = next((ours for theirs, ours in kinds.items() if isinstance(module, theirs)), None)
    if kind is None:
        raise TypeError(f"shard_rows takes an Embedding or EmbeddingBag, found {type(module).__name__}")
    if is_shared(module.weight):
        raise TypeError(f"shard_rows takes a layer that has a table of its own, found {type(module.weight).__name__}")
    _check_plain(module)
    if mesh.ndim != 1:
        raise ValueError(
            f"shard_rows takes a mesh of one dimension, found {mesh.ndim}, {mesh.mesh_dim_names}; give one of them, as "
            'in mesh["data"]'
        )
    names = [name for name in kind.__constants__ if hasattr(module, name)]
    layer: Any = kind(
        **{name: getattr(module, name) for name in names}, _weight=_split(module.weight.detach(), mesh, src_data_rank)
    )
    layer.weight.requires_grad_(module.weight.requires_grad)
    layer.share(average_gradients)
    layer.train(module.training)
    return layer  # type: ignore[no-any-return]


def _check_plain(module: Any) -> None:
    """Raise for a layer that does more than look up rows of a Parameter, which the layer made of it would not."""
    name = type(module).__name__
    if getattr(type(module), "forward", None) not in lookup_forwards:
        raise TypeError(f"shard_rows: {name} has a forward pass of its own; give an Embedding or EmbeddingBag")
    if not isinstance(module.weight, torch.nn.Parameter):
        raise TypeError(f"shard_rows: the weight of {name} is computed; remove its parametrizations first")
    if module._forward_pre_hooks or module._forward_hooks or module._backward_pre_hooks or module._backward_hooks:
        raise TypeError(f"shard_rows: {name} has hooks; register them on the layer that shard_rows returns")


def _split(table: torch.Tensor, mesh: DeviceMesh, src_data_rank: int | None) -> DTensor:
    if src_data_rank is not None and not table.is_meta:
        # PyTorch 2.6 has no such argument.
        source: dict[str, int] = {} if src_data_rank == 0 else {"src_data_rank": src_data_rank}
        return distribute_tensor(table, mesh, [Shard(0)], **source)
    first, last = bounds(table.size(0), mesh.size())[mesh.get_local_rank() :][:2]
    # A copy, so that the table may go.
    here = table[first:last].clone(memory_format=torch.contiguous_format)
    shape, stride = table.shape, (table.size(1), 1)
    return DTensor.from_local(here, mesh, [Shard(0)], run_check=False, shape=shape, stride=stride)
