"""Ids to label scores: Embedding, pooling, Linear."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from embrow.nn import Embedding

POOLINGS = ("flatten", "mean", "max")


def tokens_read(pooling: str, width: int, max_length: int | None) -> int | None:
    """Return how many tokens of a text a model reads that is trained on `width` columns, None for all.

    With "flatten" each column has weights of its own, so there are none for a column beyond those.
    """
    return width if pooling == "flatten" else max_length


class TextModel(nn.Module):
    """Embedding, pooling and one Linear layer.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    outputs : int
        Columns of the scores: 1 for two classes, else one a class.
    padding_idx : int
        The id of padding; its row is zero and stays so.
    width : int
        Columns of the id matrix; ``pooling="flatten"`` alone depends on it.
    pooling : {"flatten", "mean", "max"}
        How the rows of a text become one; mean and max leave padding out, and a text of padding alone gives zeros.
    weight : float tensor, shape (num_embeddings, embedding_dim), optional
        The table to start from. Default: N(0, 1) from torch's generator.
    freeze : bool
        Leave the table as it is.
    sparse : bool
        Give the table sparse gradients.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        outputs: int,
        *,
        padding_idx: int,
        width: int,
        pooling: str = "flatten",
        weight: Tensor | None = None,
        freeze: bool = False,
        sparse: bool = True,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.padding_idx = padding_idx
        # The Linear layer first: its start then depends on the seed alone, not on whether a table had to be drawn.
        columns = embedding_dim * width if pooling == "flatten" else embedding_dim
        self.linear = nn.Linear(columns, outputs, dtype=torch.float32)
        self.embedding = Embedding(
            num_embeddings,
            embedding_dim,
            padding_idx=padding_idx,
            sparse=sparse,
            _weight=weight,
            _freeze=freeze,
            dtype=torch.float32,
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Return the scores before sigmoid or softmax: (rows, width) int64 -> (rows, outputs) float32."""
        rows = self.embedding(ids)
        if self.pooling == "flatten":
            pooled = rows.flatten(1)
        elif self.pooling == "mean":
            # The padding row is zero, so it adds nothing to the sum.
            count = (ids != self.padding_idx).sum(1, keepdim=True).clamp_(min=1)
            pooled = rows.sum(1) / count
        else:
            pooled = _max_over_tokens(rows, ids != self.padding_idx)
        scores: Tensor = self.linear(pooled)
        return scores


def _max_over_tokens(rows: Tensor, is_token: Tensor) -> Tensor:
    if rows.shape[1] == 0:
        return rows.sum(1)
    pooled = rows.masked_fill(~is_token.unsqueeze(2), float("-inf")).amax(1)
    return pooled.masked_fill(~is_token.any(1, keepdim=True), 0.0)
