"""Embedding lookups as functions of a table, with the signatures of `torch.nn.functional`."""

from __future__ import annotations

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError('embrow.functional needs PyTorch: pip install "embrow[torch]"') from error
from torch import Tensor
from torch.nn.functional import embedding as _torch_embedding
from torch.nn.functional import embedding_bag as _torch_embedding_bag

from embrow import _embedding, _embedding_bag

__all__ = ["embedding", "embedding_bag"]


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Look up rows of a table: `torch.nn.functional.embedding` over embrow's kernels.

    Parameters
    ----------
    input : int32 or int64 tensor, any shape
        Ids of rows, 0 to rows - 1.
    weight : tensor, shape (rows, dim)
        The table.
    padding_idx : int, optional
        A row that gets no gradient. A negative one counts from the end.
    max_norm : float, optional
        Rows looked up whose norm is larger are scaled down to it, in place.
    norm_type : float
        The p of the p-norm that `max_norm` bounds.
    scale_grad_by_freq : bool
        Divide a row's gradient by how often the batch holds its id.
    sparse : bool
        Make the table's gradient an uncoalesced sparse COO tensor of one entry per id.
    out : contiguous tensor, shape (*input.shape, dim), dtype and device of weight, optional
        Where the rows go, instead of fresh memory; must not overlap the table. As in PyTorch, not where a gradient
        would be recorded. After an IndexError it holds part of the rows.

    Returns
    -------
    tensor, shape (*input.shape, dim), dtype of weight

    Raises
    ------
    ValueError
        `out` has another shape, dtype or device, or is not contiguous.
    RuntimeError
        `out` is given, and a gradient would be recorded.
    IndexError
        An id is outside the table; names its position in the flattened input. Of CUDA tensors it is raised later: by
        the next call for the device that finds it recorded, or by :func:`embrow.cuda.synchronize`.

    Notes
    -----
    Plain tensors of float32, float64, bfloat16 and float16 use embrow's kernels: on the CPU on as many threads as
    `torch.get_num_threads()` says, and on CUDA devices where embrow was built with its CUDA kernels. Everything else is
    handed to PyTorch: other dtypes and devices, tensor subclasses, functorch transforms, forward-mode differentiation,
    tracing, scripting and exporting, and on CUDA `max_norm`. So are, on the CPU, rows of fewer than 32,768 elements in
    all, as PyTorch's operator costs less to call, and of less than 1 MB where OpenMP's threads are sooner at work than
    embrow's, unless `out` or `max_norm` is given; where a dense gradient is recorded, of no more than 64 ids and a
    table of no more than 8 MB (docs/kernels/scatter.md has the other limits). `torch.compile` puts embrow's operators
    in its graph where a table on the CPU is trained, which is where they are faster.
    The results are the same bits for every number of threads, and on CUDA, where
    :func:`embrow.cuda.allow_atomic_gradients` can give that up and a few gradients are PyTorch's to compute: second
    ones, and of bags those of maxima and of `per_sample_weights`.

    Examples
    --------
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> embedding(torch.tensor([[2, 0]]), table)
    tensor([[[5., 6.],
             [1., 2.]]])
    """
    # Scripting compiles neither the condition nor its else, but all that follows.
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        rows = _torch_embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        if out is None:
            return rows
        if out.shape != rows.shape or out.dtype != rows.dtype:
            raise ValueError("embedding: out must be of the shape (*input.shape, dim) and of the weight's dtype")
        return out.copy_(rows)
    else:
        return _embedding.embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, out)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Pool the rows of bags of ids: `torch.nn.functional.embedding_bag` over embrow's kernels.

    Parameters
    ----------
    input : int32 or int64 tensor, shape (bags, width) or (ids,)
        Ids of rows, 0 to rows - 1.
    weight : tensor of a float dtype, shape (rows, dim)
        The table.
    offsets : int32 or int64 tensor, shape (bags,), optional
        Where in a 1-D `input` each bag starts; the first is 0.
    max_norm : float, optional
        Rows looked up whose norm is larger are scaled down to it, in place.
    norm_type : float
        The p of the p-norm that `max_norm` bounds.
    scale_grad_by_freq : bool
        Divide a row's gradient by how often the batch holds its id. Not for "max".
    mode : {"mean", "sum", "max"}
        What a bag's rows are pooled to.
    sparse : bool
        Make the table's gradient an uncoalesced sparse COO tensor of one entry per id. Not for "max".
    per_sample_weights : tensor, shape and dtype of `input` and `weight`, optional
        What each id's row is multiplied by. For "sum" only.
    include_last_offset : bool
        `offsets` has one entry more, shape (bags + 1,): where the last bag ends.
    padding_idx : int, optional
        A row that is left out of its bags and gets no gradient. A negative one counts from the end.

    Returns
    -------
    tensor, shape (bags, dim), dtype of weight
        The row of a bag without ids is zero.

    Raises
    ------
    RuntimeError
        An id is outside the table; names its position in the flattened input. Offsets do not start at 0, or end
        beyond the ids. Of CUDA tensors both are raised later, as those of :func:`embedding`.
    ValueError
        Shapes or arguments do not fit together.

    Notes
    -----
    What :func:`embedding` says of devices, dtypes, threads and bits holds here too. `torch.compile` uses embrow's
    operators for "sum" and "mean" alone, and only without `offsets`, `per_sample_weights`, `max_norm`,
    `scale_grad_by_freq` and `sparse`. No row is copied on the way: a bag's rows are added up where they lie, and a
    dense gradient is summed straight from the bags' own. bfloat16 and float16 are added in float32.
    `scale_grad_by_freq` counts as :func:`embedding` does, where PyTorch on a CPU mistakes the ids it counts, also in
    what `torch.compile` makes. Where embrow's kernels serve, the backward pass can be differentiated again, which
    PyTorch's cannot.

    Examples
    --------
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> embedding_bag(torch.tensor([[2, 0]]), table)
    tensor([[3., 4.]])
    >>> embedding_bag(torch.tensor([2, 0, 1]), table, offsets=torch.tensor([0, 2]), mode="sum")
    tensor([[6., 8.],
            [3., 4.]])
    """
    # Scripting compiles neither the condition nor its else, but all that follows.
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return _torch_embedding_bag(
            input,
            weight,
            offsets,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            per_sample_weights,
            include_last_offset,
            padding_idx,
        )
    else:
        return _embedding_bag.embedding_bag(
            input,
            weight,
            offsets,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            per_sample_weights,
            include_last_offset,
            padding_idx,
        )
