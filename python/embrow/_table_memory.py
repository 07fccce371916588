"""Memory for tables and their state, on pages of 2 MB where the system has them."""

from __future__ import annotations

import mmap

import torch
from torch import Tensor

from embrow import _core, _gpu, _openmp
from embrow._core import TableState
from embrow._eager import is_plain
from embrow._openmp import few_elements
from embrow._sharding import local_rows

# Larger blocks the C library maps anew each time (its greatest M_MMAP_THRESHOLD), which are zero until written; smaller
# ones it has at hand, and clearing them is cheaper than page faults.
_lazy_bytes = 32 << 20
# Larger tables our kernels clear sooner than PyTorch.
brief_table_bytes = 8 << 20


def zero_table(rows: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make a table of zeros."""
    if device.type != "cpu" or not is_large(rows * dim * dtype.itemsize):
        return torch.zeros((rows, dim), dtype=dtype, device=device)
    # torch.zeros writes all of them.
    size = rows * dim * dtype.itemsize
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no memory for a table of {size} bytes, shape {(rows, dim)}") from error
    flat = torch.frombuffer(pages, dtype=dtype)
    # Not a view of `flat`, since what becomes .grad may have to be detached in place.
    return torch.empty(0, dtype=dtype, device="cpu").set_(flat.untyped_storage(), 0, (rows, dim), (dim, 1))


def scatter_table(rows: int, dim: int, count: int, grad: Tensor) -> tuple[Tensor, TableState]:
    """Make a table for the scattering kernels to sum `count` rows into; tell those of the CPU what they find in it.

    Those of a GPU find zeros, and need not be told.
    """
    table_bytes = rows * dim * grad.itemsize
    if _gpu.holds(grad) or is_large(table_bytes):
        return zero_table(rows, dim, grad.dtype, grad.device), TableState.untouched
    if (
        few_elements <= rows * dim
        and table_bytes <= brief_table_bytes
        # To sum more, a helper is woken, which may as well begin by clearing.
        and count * dim * grad.itemsize <= _core.alone_bytes
        and _openmp.is_sooner()
    ):
        return torch.zeros((rows, dim), dtype=grad.dtype, device=grad.device), TableState.zeros
    return torch.empty((rows, dim), dtype=grad.dtype, device=grad.device), TableState.anything


def is_large(table_bytes: int) -> bool:
    """Whether the memory of a table comes from the system alone, fresh."""
    return table_bytes > _lazy_bytes


def filled_like(table: Tensor, value: complex) -> Tensor:
    """Make a tensor of the shape and layout of `table`."""
    made = torch.empty_like(table, memory_format=torch.preserve_format)
    prefer_huge_pages(local_rows(made))
    return made.fill_(value) if value else made.zero_()


def prefer_huge_pages(table: Tensor) -> None:
    """Ask for pages of 2 MB for a table that is about to be written for the first time.

    To read a row of a large table on small pages is to miss the address of its page, too.
    """
    if table.is_cpu and not torch.compiler.is_compiling() and is_plain(table):
        _core.prefer_huge_pages(table.data_ptr(), table.nbytes)
