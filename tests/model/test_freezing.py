"""A family that takes its models apart otherwise than they can be put together is told what is wrong."""

import pytest
import torch

from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.errors import ArtifactError, ModelError
from evaladapt.model.family import FrozenModel
from evaladapt.model.freezing import freeze
from tests.model.strangers import Packing

OPENED = Packing().open("", torch.device("cpu"))
WEIGHTS = dict(OPENED.backend.named_parameters())
BARE = {name.removeprefix("module."): weight for name, weight in WEIGHTS.items()}
WRONG = {
    "'family' 'other' in its configuration": {"freeze": FrozenModel({"family": "other"}, WEIGHTS, b"x")},
    "freeze has a weight '0.weight' and the model has none": {"freeze": FrozenModel({}, WEIGHTS | BARE, b"x")},
    "the model has a weight 'module.0.weight' and freeze has none": {"freeze": FrozenModel({}, {}, b"x")},
    "an empty tokenizer": {"freeze": FrozenModel({}, WEIGHTS, b"")},
    "a tokenizer of sha256": {"thaw_tokenizer": RawBytes(1, 0)},
}


def test_what_is_frozen_has_the_familys_name():
    frozen = freeze("mine", Packing(), OPENED)
    assert frozen.config == {"context": 16, "family": "mine"}
    assert frozen.tensors.keys() == WEIGHTS.keys()


@pytest.mark.parametrize("message", WRONG)
def test_what_could_not_be_opened_again_is_told(message, monkeypatch):
    for name, value in WRONG[message].items():
        monkeypatch.setattr(Packing, name, lambda self, *_, value=value: value)
    with pytest.raises(ModelError, match=rf"family 'mine': .*{message}.*MODELS\.md"):
        freeze("mine", Packing(), OPENED)


def test_a_tokenizer_that_is_not_taken_is_told(monkeypatch):
    def refuses(self, config, content):
        raise ArtifactError("no tokenizer of mine")

    monkeypatch.setattr(Packing, "thaw_tokenizer", refuses)
    with pytest.raises(ModelError, match="does not take what freeze gives: no tokenizer of mine"):
        freeze("mine", Packing(), OPENED)
