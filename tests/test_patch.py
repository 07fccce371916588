"""embrow.patch: the names of PyTorch's layers mean ours, and nothing else changes."""

from __future__ import annotations

import abc
import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.modules import sparse

import embrow
from embrow.nn import Embedding, EmbeddingBag

IDS = torch.tensor([[1, 2], [2, 4]])


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    assert torch.nn.Embedding is sparse.Embedding and torch.nn.EmbeddingBag is sparse.EmbeddingBag


def make_model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Embedding(5, 3, padding_idx=1), torch.nn.Flatten(), torch.nn.Linear(6, 2))


def test_the_names_mean_ours_within_the_block() -> None:
    with embrow.patch():
        assert torch.nn.Embedding is Embedding and torch.nn.EmbeddingBag is EmbeddingBag
        assert sparse.Embedding is not Embedding and sparse.EmbeddingBag is not EmbeddingBag
        assert torch.nn.modules.Embedding is sparse.Embedding
        assert type(torch.nn.Embedding.from_pretrained(torch.ones(2, 2))) is Embedding
        assert type(make_model()[0]) is Embedding  # type: ignore[index]
    assert type(make_model()[0]) is sparse.Embedding  # type: ignore[index]


def test_an_error_ends_the_block_too() -> None:
    with pytest.raises(KeyError), embrow.patch():
        raise KeyError


def test_blocks_nest() -> None:
    with embrow.patch():
        with embrow.patch():
            assert torch.nn.Embedding is Embedding
        assert torch.nn.Embedding is Embedding


def test_one_patch_serves_several_blocks() -> None:
    patch = embrow.patch()
    assert torch.nn.Embedding is Embedding
    for _ in range(2):
        with patch:
            assert torch.nn.Embedding is Embedding and torch.nn.EmbeddingBag is EmbeddingBag
            with patch:
                assert torch.nn.Embedding is Embedding
            assert torch.nn.Embedding is Embedding and torch.nn.EmbeddingBag is EmbeddingBag
        assert torch.nn.Embedding is sparse.Embedding and torch.nn.EmbeddingBag is sparse.EmbeddingBag


def test_a_plain_call_lasts() -> None:
    code = (
        "import embrow, torch; embrow.patch(); assert torch.nn.Embedding is embrow.nn.Embedding\n"
        "with embrow.patch(): pass\n"
        "assert torch.nn.EmbeddingBag is embrow.nn.EmbeddingBag"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_someone_else_changed_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(sparse.Embedding):
        pass

    with monkeypatch.context() as changed:
        changed.setattr(torch.nn, "Embedding", Other)
        with embrow.patch():
            assert torch.nn.Embedding is Embedding
        assert torch.nn.Embedding is Other


@pytest.mark.parametrize("name", ["Embedding", "EmbeddingBag"])
def test_isinstance_holds_for_both(name: str) -> None:
    theirs, ours = getattr(sparse, name)(3, 2), getattr(embrow.nn, name)(3, 2)
    assert isinstance(ours, getattr(torch.nn, name)) and not isinstance(theirs, type(ours))
    assert not issubclass(type(theirs), type(ours))
    with embrow.patch():
        asked = getattr(torch.nn, name)
        assert isinstance(theirs, asked) and isinstance(ours, asked)
        assert issubclass(type(theirs), asked) and issubclass(asked, asked)
        assert isinstance(ours, getattr(sparse, name))
        assert not isinstance(torch.nn.Linear(1, 1), asked) and not issubclass(torch.nn.Linear, asked)
    assert not isinstance(theirs, type(ours))


def test_classes_may_inherit() -> None:
    with embrow.patch():

        class Abstract(abc.ABC):  # noqa: B024
            pass

        class Scaled(torch.nn.Embedding, Abstract):
            def forward(self, input: torch.Tensor) -> torch.Tensor:
                return super().forward(input) * 2

        layer = Scaled(5, 3)
        assert torch.equal(layer(IDS), layer.weight[IDS] * 2)
        assert not isinstance(sparse.Embedding(5, 3), Scaled)
    assert isinstance(layer, torch.nn.Embedding)


def test_layers_change_kind_under_the_patch() -> None:
    theirs = sparse.Embedding(5, 3)
    with embrow.patch():
        ours = Embedding.from_nn(theirs)
        assert type(ours) is Embedding and type(ours.to_nn()) is sparse.Embedding
        bag = EmbeddingBag.from_nn(sparse.EmbeddingBag(5, 3))
        assert type(bag) is EmbeddingBag and type(bag.to_nn()) is sparse.EmbeddingBag


def saved(model: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return file


def test_models_cross_the_patch_both_ways() -> None:
    theirs = make_model()
    with embrow.patch():
        ours = make_model()
        pickled = (
            pickle.loads(pickle.dumps(theirs)),
            copy.deepcopy(theirs),
            torch.load(saved(theirs), weights_only=False),
        )
        for model in pickled:
            assert type(model[0]) is sparse.Embedding
            assert torch.equal(model(IDS), theirs(IDS))
        dumped, stored, checkpoint = pickle.dumps(ours), saved(ours), saved(ours.state_dict())
        ours.load_state_dict(torch.load(saved(theirs.state_dict()), weights_only=True))
        assert torch.equal(ours(IDS), theirs(IDS))
        checkpoint = saved(ours.state_dict())
    for model in (pickle.loads(dumped), torch.load(stored, weights_only=False), copy.deepcopy(ours)):
        assert type(model[0]) is Embedding
        model.load_state_dict(torch.load(checkpoint, weights_only=True))
        assert torch.equal(model(IDS), theirs(IDS))
        checkpoint.seek(0)
    again = make_model()
    again.load_state_dict(torch.load(checkpoint, weights_only=True))
    assert torch.equal(again(IDS), theirs(IDS))


def test_models_compile_and_script_under_the_patch() -> None:
    torch._dynamo.reset()
    with embrow.patch():
        model = make_model()
        expected = model(IDS)
        assert torch.equal(torch.compile(model, backend="aot_eager", fullgraph=True)(IDS), expected)
        assert torch.equal(torch.jit.script(model)(IDS), expected)
        assert torch.equal(torch.jit.script(sparse.Embedding(5, 3))(IDS).isfinite(), torch.ones(2, 2, 3).bool())


def test_a_hidden_import_names_the_extra() -> None:
    code = "import sys; sys.modules['torch'] = None; import embrow; embrow.patch()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.rstrip().endswith('ImportError: embrow.patch needs PyTorch: pip install "embrow[torch]"')


class Initialised(torch.nn.Embedding):
    """A class made before the patch that names PyTorch's layer."""

    def reset_parameters(self) -> None:
        torch.nn.Embedding.reset_parameters(self)


def test_layers_from_before_are_reset_through_the_names() -> None:
    theirs = sparse.EmbeddingBag(3, 2)
    with embrow.patch():
        assert Initialised(3, 2).weight.shape == (3, 2)
        torch.nn.EmbeddingBag.reset_parameters(theirs)


class Zero(torch.nn.Embedding):
    def reset_parameters(self) -> None:
        torch.nn.init.zeros_(self.weight)


class Both(Embedding, Zero):
    pass


def test_other_classes_have_their_turn() -> None:
    assert not Both(3, 2).weight.any()
