"""torchtext's vocabulary and transforms over embrow's compiled table.

torchtext 0.18 was its last release and does not load beside a current PyTorch. These modules have its names,
signatures, defaults, order of ties, error types and messages: put ``embrow.compat.torchtext`` where a program imports
``torchtext``.

=====================================  ===============================================================================
torchtext                              embrow
=====================================  ===============================================================================
``build_vocab_from_iterator(rows)``    ``Vocab.build(rows, ties="token", specials=...)``
``min_freq=``, ``special_first=``      ``min_freq=``, ``specials_first=``
``max_tokens=``                        ``max_size=``, which is applied after `min_freq` and after leaving out specials
``vocab(ordered_dict)``                ``Vocab(list(ordered_dict))``
``v.set_default_index(v["<unk>"])``    ``unk_token="<unk>"``
``v[token]``, ``token in v``           the same; unknown with no unk token is a ``KeyError``
``v(tokens)``, ``v.lookup_indices``    ``v.encode([tokens])``, ``v.encode_ragged(rows)``
``v.lookup_tokens(ids)``               ``v.decode(ids, skip_special_tokens=False)``
``v.get_itos()``, ``v.get_stoi()``     ``v.tokens``, ``v.to_dict()``
``v.insert_token``, ``append_token``   none: a ``Vocab`` does not change
``transforms.VocabTransform``          ``v.encode(rows)``
``transforms.Truncate``                ``v.encode(rows, max_length=...)``
``transforms.AddToken``                ``v.encode(rows, bos_token=..., eos_token=...)``
``transforms.ToTensor``                ``v.encode(rows, return_tensors="pt")``
``transforms.PadTransform``            ``v.encode(rows, max_length=...)``, ``pad_sequences``
=====================================  ===============================================================================

One call of ``Vocab.encode`` does what a chain of transforms does, and splits text as well.

Not here: scripting (``torch.jit.script`` of a vocabulary raises), tokenizers, datasets and vectors; for the last see
``embrow.load_vectors``.

A pickle that torchtext wrote is read with these modules in the place of its own::

    import sys
    import torch
    from embrow.compat import torchtext

    sys.modules["torchtext"] = torchtext
    sys.modules["torchtext._torchtext"] = torchtext._torchtext
    sys.modules["torchtext.vocab"] = torchtext.vocab
    sys.modules["torchtext.vocab.vocab"] = sys.modules["embrow.compat.torchtext.vocab.vocab"]
    vocab = torch.load("vocab.pt", weights_only=False)
"""

from __future__ import annotations

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('embrow.compat.torchtext needs PyTorch: pip install "embrow[torch]"') from error

from embrow.compat.torchtext import _torchtext, functional, transforms, vocab

__all__ = ["_torchtext", "functional", "transforms", "vocab"]
