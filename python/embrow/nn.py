"""Embedding layers that stand in for PyTorch's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError('embrow.nn needs PyTorch: pip install "embrow[torch]"') from error
from torch import Tensor
from torch.nn.functional import embedding as _torch_embedding

from embrow import functional

if TYPE_CHECKING:
    from embrow.vectors import WordVectors
    from embrow.vocab import Vocab

__all__ = ["Embedding"]

_Layer = TypeVar("_Layer", bound=torch.nn.Embedding)


class Embedding(torch.nn.Embedding):
    """A table of `num_embeddings` rows, looked up by id: `torch.nn.Embedding` over embrow's kernels.

    Arguments, attributes, initialisation, state_dict and behaviour are those of `torch.nn.Embedding`; see
    :func:`embrow.functional.embedding` for what each argument of the lookup does and when PyTorch's kernels serve
    instead.

    Parameters
    ----------
    num_embeddings : int
        Rows.
    embedding_dim : int
        Columns.
    padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        As in :func:`embrow.functional.embedding`. The padding row starts as zeros.
    device, dtype
        Of the table.

    Examples
    --------
    >>> layer = Embedding(8, 3, padding_idx=1)
    >>> layer(torch.tensor([[4, 1]])).shape
    torch.Size([1, 2, 3])
    >>> layer.weight[1]
    tensor([0., 0., 0.], grad_fn=<SelectBackward0>)
    """

    def forward(self, input: Tensor) -> Tensor:
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return _torch_embedding(
                input,
                self.weight,
                self.padding_idx,
                self.max_norm,
                self.norm_type,
                self.scale_grad_by_freq,
                self.sparse,
            )
        else:
            return functional._embedding(
                input,
                self.weight,
                self.padding_idx,
                self.max_norm,
                self.norm_type,
                self.scale_grad_by_freq,
                self.sparse,
            )

    @classmethod
    def from_nn(cls, module: torch.nn.Embedding) -> Embedding:
        """Make a layer that shares the Parameter of `module`.

        Parameters
        ----------
        module : torch.nn.Embedding

        Returns
        -------
        Embedding
            With the settings and training mode of `module`; training either trains both.

        Raises
        ------
        TypeError
            `module` is not a torch.nn.Embedding.
        """
        if not isinstance(module, torch.nn.Embedding):
            raise TypeError(f"Embedding.from_nn takes a torch.nn.Embedding, found {type(module).__name__}")
        return _share(module, cls)

    def to_nn(self) -> torch.nn.Embedding:
        """Make a torch.nn.Embedding that shares this layer's Parameter, for code that asks for that very type."""
        return _share(self, torch.nn.Embedding)

    @classmethod
    def from_vectors(
        cls,
        vocab: Vocab,
        vectors: WordVectors | str,
        *,
        oov: str = "normal",
        freeze: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> Embedding:
        """Make the layer of a vocabulary from pretrained vectors.

        Parameters
        ----------
        vocab : Vocab
            Row i of the table belongs to token i.
        vectors : WordVectors, or the path or name of a vectors file
        oov : str
            How rows of tokens without a vector are filled; see :func:`embrow.embedding_matrix`.
        freeze : bool
            Whether the table is kept from training.
        seed : int
            Of the random rows.
        **kwargs
            Further arguments of `from_pretrained`: `max_norm`, `norm_type`, `scale_grad_by_freq`, `sparse`, and
            `padding_idx`, which is `vocab.pad_id` unless given.

        Returns
        -------
        Embedding, of len(vocab) rows
        """
        from embrow.vectors import embedding_matrix

        matrix = embedding_matrix(vocab, vectors, oov=oov, seed=seed)
        kwargs.setdefault("padding_idx", vocab.pad_id)
        layer: Embedding = cls.from_pretrained(  # type: ignore[no-untyped-call]
            torch.from_numpy(matrix.weight), freeze=freeze, **kwargs
        )
        return layer


def _share(module: torch.nn.Embedding, kind: type[_Layer]) -> _Layer:
    layer = kind(
        module.num_embeddings,
        module.embedding_dim,
        padding_idx=module.padding_idx,
        max_norm=module.max_norm,
        norm_type=module.norm_type,
        scale_grad_by_freq=module.scale_grad_by_freq,
        sparse=module.sparse,
        _weight=module.weight,
    )
    layer.weight = module.weight
    return layer.train(module.training)
