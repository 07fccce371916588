"""Embedding layers whose tables are split by rows over processes."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from embrow._embedding import embedding
from embrow._embedding_bag import embedding_bag
from embrow._outside_graphs import outside_graphs
from embrow._row_exchange import Fetched, Settings, fetch
from embrow._sharding import first_row, local_rows
from embrow._table_memory import prefer_huge_pages
from embrow.nn import Embedding, EmbeddingBag

# Rows are drawn in blocks of so many, each from a seed of its own, whichever process draws them.
_block_rows = 1024


class _Sharded:
    """What the layers share; `weight` is a DTensor."""

    averages: bool

    def share(self, averages: bool) -> None:
        self.averages = averages
        self._gather_pre_hooks: OrderedDict[int, Callable[[Tensor, Tensor], None]] = OrderedDict()

    def register_gather_pre_hook(self, hook: Callable[[Tensor, Tensor], None]) -> RemovableHandle:
        """Have `hook` called with the weight and the rows about to be read here: int64, counted from the first here."""
        handle = RemovableHandle(self._gather_pre_hooks)
        self._gather_pre_hooks[handle.id] = hook
        return handle

    @torch.no_grad()
    def reset_parameters(self: Any) -> None:
        """Draw the rows anew from the normal distribution, zeros for padding; every process of the mesh must call it.

        The numbers follow from the state of the CPU's generator in the mesh's first process, and are the same for every
        number of processes.
        """
        here = local_rows(self.weight)
        if here.is_meta:
            return
        prefer_huge_pages(here)
        mesh = self.weight.device_mesh
        group = mesh.get_group()
        # What PyTorch's generator keeps of a seed.
        seed = torch.randint(1 << 32, (1,)).to(mesh.device_type)
        dist.broadcast(seed, dist.get_global_rank(group, 0), group)
        first, rows = first_row(self.weight), here.size(0)
        generator = torch.Generator(here.device)
        for block in range(first // _block_rows, -(-(first + rows) // _block_rows)):
            generator.manual_seed((int(seed) + block) % (1 << 32))
            start = block * _block_rows
            # All of it, as what a row gets depends on the rows before.
            drawn = here.new_empty(_block_rows, here.size(1)).normal_(generator=generator)
            begin, end = max(start, first), min(start + _block_rows, first + rows)
            here[begin - first : end - first] = drawn[begin - start : end - start]
        if self.padding_idx is not None and first <= self.padding_idx < first + rows:
            here[self.padding_idx - first] = 0

    def _fetch(
        self: Any, ids: Tensor, probe: Callable[[Tensor, Tensor], Any], error: Callable[..., Exception]
    ) -> Fetched:
        """Fetch rows; `probe` looks ids up in a table of one row, and so finds what else is wrong with the batch."""
        refused = None
        try:
            if isinstance(ids, Tensor) and ids.device != self.weight.device:
                raise ValueError(f"a table on {self.weight.device} is looked up by ids on {ids.device}")
            with torch.no_grad():
                probe(torch.zeros_like(ids), local_rows(self.weight).new_zeros(1, 1))
        except Exception as found:
            refused = found
        settings = Settings(
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.sparse,
            self.averages,
            [functools.partial(hook, self.weight) for hook in self._gather_pre_hooks.values()],
        )
        return fetch(ids, self.weight, settings, refused, error)


class ShardedEmbedding(_Sharded, Embedding):
    """An :class:`embrow.nn.Embedding` whose rows are split over processes; :func:`embrow.distributed.shard_rows` makes
    it."""

    @outside_graphs
    def forward(self, input: Tensor) -> Tensor:
        def probe(ids: Tensor, row: Tensor) -> Tensor:
            return embedding(ids, row)

        fetched = self._fetch(input, probe, _bad_id)
        return embedding(fetched.places, fetched.rows, fetched.padding, scale_grad_by_freq=self.scale_grad_by_freq)


class ShardedEmbeddingBag(_Sharded, EmbeddingBag):
    """An :class:`embrow.nn.EmbeddingBag` whose rows are split over processes; :func:`embrow.distributed.shard_rows`
    makes it."""

    @outside_graphs
    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        def pool(ids: Tensor, rows: Tensor, padding: int | None = None) -> Tensor:
            return embedding_bag(
                ids,
                rows,
                offsets,
                scale_grad_by_freq=self.scale_grad_by_freq,
                mode=self.mode,
                per_sample_weights=per_sample_weights,
                include_last_offset=self.include_last_offset,
                padding_idx=padding,
            )

        fetched = self._fetch(input, pool, _bad_bag_id)
        return pool(fetched.places, fetched.rows, fetched.padding)


def _bad_id(position: int, value: int, rows: int, process: int | None) -> IndexError:
    where = "" if process is None else f"in process {process}, "
    table = f"the table has rows 0 to {rows - 1}" if rows else "the table has no rows"
    return IndexError(f"index out of range in self: {where}position {position} of the ids is {value}, {table}")


def _bad_bag_id(position: int, value: int, rows: int, process: int | None) -> RuntimeError:
    where = "" if process is None else f" in process {process}"
    return RuntimeError(
        f"Index {position} of input{where} takes value {value} which is not in the valid range [0, {rows}): Expected "
        f"idx >= 0 && idx < num_embeddings but found idx to be {value}"
    )
