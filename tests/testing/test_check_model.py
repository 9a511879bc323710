"""check_model complains of every kind of model that cannot be relied on, and of no other."""

from dataclasses import replace

import pytest
import torch

from evaladapt.audit.toy import ToyModel
from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.model.roles import WeightRole
from evaladapt.model.transformer import Transformer
from evaladapt.testing import ModelFailsCheck, check_model
from tests.model.features import CONFIGS, stirred_model
from tests.tiny import tiny_model


def broken(**methods):
    """A tiny transformer in which some methods are replaced."""
    cls = type("Broken", (Transformer,), methods)
    model = tiny_model()
    model.__class__ = cls
    return model


def looks_ahead(self, tokens):
    hidden = Transformer.hidden(self, tokens)
    return hidden + 1e-3 * hidden.mean(dim=1, keepdim=True)


def looks_aside(self, tokens):
    hidden = Transformer.hidden(self, tokens)
    return hidden + 1e-3 * hidden.mean(dim=0, keepdim=True)


def drops_out(self, tokens):
    return torch.nn.functional.dropout(Transformer.hidden(self, tokens), 0.1)


def forgets(self, tokens, cache):
    states = Transformer.extend(self, tokens, cache)
    return states * (1.0 if cache.length < 9 else 1.01)


def one_role_less(self):
    return dict(list(Transformer.weight_roles(self).items())[:-1])


def first_layer_only(self):
    return {name: WeightRole(role.roles, 0) for name, role in Transformer.weight_roles(self).items()}


def nothing_known(self):
    return {name: WeightRole(("other",), role.layer) for name, role in Transformer.weight_roles(self).items()}


def odd_names(self):
    roles = Transformer.weight_roles(self)
    return roles | {name: WeightRole(("other",), 0) for name in roles if "blocks.0" in name}


def capped_elsewhere(self, tokens):
    return 2 * Transformer.forward(self, tokens)


def detached(self, tokens):
    return Transformer.forward(self, tokens).detach()


def leaves_places(self, cache, columns, sinks):
    for place in cache.places:
        place.keys[:, :, sinks : place.length - columns] = place.keys[:, :, sinks + columns : place.length].clone()
        place.length -= columns + (columns == 1)


def bare(self, tokens, layers):
    return replace(Transformer.below(self, tokens, layers), place=self.layers)


CASES = {
    "states before position": {"hidden": looks_ahead},
    "rows are not independent": {"hidden": looks_aside},
    "the second time": {"hidden": drops_out},
    "states continued from the cache differ": {"extend": forgets},
    "forgetting columns one after the other": {"forget": leaves_places},
    "begun above its first 0 layers": {"below": bare},
    "hidden_from": {"hidden_from": lambda self, tokens, first: self.hidden(tokens)[:, first - 1 :]},
    "head is not head_cap": {"head_cap": property(lambda self: 7.0)},
    "weight_roles and named_parameters differ": {"weight_roles": one_role_less},
    "the model says that it has 2": {"weight_roles": first_layer_only},
    "no weight has the role embedding": {"weight_roles": nothing_known},
    "other logits than head": {"forward": capped_elsewhere},
    "gradients: RuntimeError": {"forward": detached},
    "hidden gives shape": {"hidden": lambda self, tokens: Transformer.hidden(self, tokens)[:, 1:]},
    "not finite": {"head": lambda self, hidden: Transformer.head(self, hidden) / 0},
    "context is 0": {"context": property(lambda self: 0)},
}


@pytest.mark.parametrize("complaint", CASES)
def test_a_model_that_cannot_be_relied_on_is_told_why(complaint):
    with pytest.raises(ModelFailsCheck, match=complaint):
        check_model(broken(**CASES[complaint]))


def test_what_is_no_model_is_told_what_it_lacks():
    with pytest.raises(ModelFailsCheck, match=r"it lacks vocab_size, .*hidden, head"):
        check_model(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - {"multi-token heads", "all"}))
def test_our_transformer_passes_with_every_feature_and_lacks_nothing(name):
    assert check_model(stirred_model(CONFIGS[name])).lacks == ()


def test_what_a_model_leaves_out_is_told_with_what_it_costs():
    lacks = check_model(ToyModel(8)).lacks
    assert any("weight_roles" in one and "ttt.freeze is refused" in one for one in lacks)
    assert any("cache" in one for one in lacks)
    (lacks,) = check_model(broken(weight_roles=odd_names)).lacks
    assert "matrices without a role" in lacks
    assert "blocks.0.attention.query" in lacks


def test_an_artifact_is_checked_with_its_tokenizer(tiny_artifact):
    checked = check_model(str(tiny_artifact))
    assert checked.lacks == checked.notes == ()


def test_a_tokenizer_of_another_size_or_with_a_text_for_its_start_is_refused():
    with pytest.raises(ModelFailsCheck, match="the model has 24 ids, the tokenizer says 257"):
        check_model(tiny_model(), RawBytes())

    class Opening(RawBytes):
        bos_id = 65
        piece_bytes = tuple(b"" if byte in (65, 256) else bytes([byte % 256]) for byte in range(257))

    with pytest.raises(ModelFailsCheck, match="becomes the id that opens a document"):
        check_model(tiny_model(vocabulary=257), Opening())
