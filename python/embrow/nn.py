"""Embedding layers that stand in for PyTorch's."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError('embrow.nn needs PyTorch: pip install "embrow[torch]"') from error
from torch import Tensor
from torch.nn.functional import embedding as _torch_embedding
from torch.nn.functional import embedding_bag as _torch_embedding_bag

# By these names embrow.patch leaves PyTorch's layers alone.
from torch.nn.modules import sparse as _torch_nn

from embrow import _embedding, _embedding_bag
from embrow._table_memory import prefer_huge_pages

if TYPE_CHECKING:
    from embrow._files import StrPath
    from embrow.vectors import WordVectors
    from embrow.vocab import Vocab

__all__ = ["Embedding", "EmbeddingBag"]

_Layer = TypeVar("_Layer", bound=_torch_nn.Embedding | _torch_nn.EmbeddingBag)


# ABCMeta, so that classes may inherit from a layer and an abstract class at once.
class _StandIn(ABCMeta):
    """Whoever asks `isinstance(layer, torch.nn.Embedding)` under `embrow.patch` means PyTorch's layers, too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls._asked_for(), instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return type.__subclasscheck__(cls._asked_for(), subclass)

    def _asked_for(cls) -> type:
        base: type | None = cls.__base__
        return base if base is not None and getattr(torch.nn, cls.__name__, None) is cls else cls


class Embedding(_torch_nn.Embedding, metaclass=_StandIn):
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

    def reset_parameters(self) -> None:
        prefer_huge_pages(self.weight)
        # Under embrow.patch classes made before it call this with layers of theirs.
        if Embedding in type(self).__mro__:
            super().reset_parameters()
        else:
            _torch_nn.Embedding.reset_parameters(self)

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
            return _embedding.embedding(
                input,
                self.weight,
                self.padding_idx,
                self.max_norm,
                self.norm_type,
                self.scale_grad_by_freq,
                self.sparse,
            )

    @classmethod
    def from_nn(cls, module: _torch_nn.Embedding) -> Embedding:
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
            `module` is not a torch.nn.Embedding, or its weight is no Parameter.
        """
        if not isinstance(module, _torch_nn.Embedding):
            raise TypeError(f"Embedding.from_nn takes a torch.nn.Embedding, found {type(module).__name__}")
        return _share(module, cls)

    def to_nn(self) -> _torch_nn.Embedding:
        """Make a torch.nn.Embedding that shares this layer's Parameter, for code that asks for that very type."""
        return _share(self, _torch_nn.Embedding)

    @classmethod
    def from_vectors(
        cls,
        vocab: Vocab | Sequence[str] | Mapping[str, int],
        vectors: WordVectors | StrPath,
        *,
        oov: str = "normal",
        freeze: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> Embedding:
        """Make the layer of a vocabulary from pretrained vectors.

        Parameters
        ----------
        vocab : Vocab, sequence of str, or dict of str to int
            Row i of the table belongs to token i; see :func:`embrow.embedding_matrix`.
        vectors : WordVectors, or the path or name of a vectors file
        oov : str
            How rows of tokens without a vector are filled; see :func:`embrow.embedding_matrix`.
        freeze : bool
            Whether the table is kept from training.
        seed : int
            Of the random rows.
        **kwargs
            Further arguments of `from_pretrained`: `max_norm`, `norm_type`, `scale_grad_by_freq`, `sparse`, and
            `padding_idx`, which is the Vocab's `pad_id` unless given.

        Returns
        -------
        Embedding, of len(vocab) rows
        """
        from embrow.vectors import embedding_matrix

        matrix = embedding_matrix(vocab, vectors, oov=oov, seed=seed)
        kwargs.setdefault("padding_idx", getattr(vocab, "pad_id", None))
        layer: Embedding = cls.from_pretrained(  # type: ignore[no-untyped-call]
            torch.from_numpy(matrix.weight), freeze=freeze, **kwargs
        )
        return layer


class EmbeddingBag(_torch_nn.EmbeddingBag, metaclass=_StandIn):
    """A table of `num_embeddings` rows, pooled by bags of ids: `torch.nn.EmbeddingBag` over embrow's kernels.

    Arguments, attributes, initialisation, state_dict and behaviour are those of `torch.nn.EmbeddingBag`; see
    :func:`embrow.functional.embedding_bag` for what each argument of the lookup does and when PyTorch's kernels serve
    instead.

    Parameters
    ----------
    num_embeddings : int
        Rows.
    embedding_dim : int
        Columns.
    max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset, padding_idx
        As in :func:`embrow.functional.embedding_bag`. The padding row starts as zeros.
    device, dtype
        Of the table.

    Examples
    --------
    >>> layer = EmbeddingBag(8, 3, mode="sum")
    >>> layer(torch.tensor([4, 1, 2]), offsets=torch.tensor([0, 2])).shape
    torch.Size([2, 3])
    """

    def reset_parameters(self) -> None:
        prefer_huge_pages(self.weight)
        if EmbeddingBag in type(self).__mro__:
            super().reset_parameters()
        else:
            _torch_nn.EmbeddingBag.reset_parameters(self)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return _torch_embedding_bag(
                input,
                self.weight,
                offsets,
                self.max_norm,
                self.norm_type,
                self.scale_grad_by_freq,
                self.mode,
                self.sparse,
                per_sample_weights,
                self.include_last_offset,
                self.padding_idx,
            )
        else:
            return _embedding_bag.embedding_bag(
                input,
                self.weight,
                offsets,
                self.max_norm,
                self.norm_type,
                self.scale_grad_by_freq,
                self.mode,
                self.sparse,
                per_sample_weights,
                self.include_last_offset,
                self.padding_idx,
            )

    @classmethod
    def from_nn(cls, module: _torch_nn.EmbeddingBag) -> EmbeddingBag:
        """Make a layer that shares the Parameter of `module`.

        Parameters
        ----------
        module : torch.nn.EmbeddingBag

        Returns
        -------
        EmbeddingBag
            With the settings and training mode of `module`; training either trains both.

        Raises
        ------
        TypeError
            `module` is not a torch.nn.EmbeddingBag, or its weight is no Parameter.
        """
        if not isinstance(module, _torch_nn.EmbeddingBag):
            raise TypeError(f"EmbeddingBag.from_nn takes a torch.nn.EmbeddingBag, found {type(module).__name__}")
        return _share(module, cls)

    def to_nn(self) -> _torch_nn.EmbeddingBag:
        """Make a torch.nn.EmbeddingBag that shares this layer's Parameter, for code that asks for that very type."""
        return _share(self, _torch_nn.EmbeddingBag)


def _share(module: _torch_nn.Embedding | _torch_nn.EmbeddingBag, kind: type[_Layer]) -> _Layer:
    if not isinstance(module.weight, torch.nn.Parameter):
        raise TypeError(
            f"the weight of the {type(module).__name__} is no Parameter but a {type(module.weight).__name__}, made of "
            "others before each lookup; make the layer before it is parametrized"
        )
    names = [name for name in kind.__constants__ if hasattr(module, name)]
    settings = {name: getattr(module, name) for name in names}
    # What the layer is made with is of the shape that its settings tell, which the Parameter's may not be.
    shape = (settings["num_embeddings"], settings["embedding_dim"])
    layer = kind(**settings, _weight=torch.empty(shape, device="meta"))
    layer.weight = module.weight
    layer.train(module.training)
    return layer


# They read the rows that their input names, and do no more.
lookup_forwards = frozenset(
    layer.forward for layer in (_torch_nn.Embedding, _torch_nn.EmbeddingBag, Embedding, EmbeddingBag)
)
