"""The model that strategies are tried out on where the real one is large."""

import torch

from evaladapt.engine.player.stand_in import StandIn
from evaladapt.model.roles import of_role
from evaladapt.testing import check_model
from tests.tiny import tiny_model


def test_it_is_a_whole_model_of_the_same_sizes():
    real = tiny_model(vocabulary=300)
    found = StandIn(real)
    assert (found.vocab_size, found.context, found.layers) == (300, 16, 2)
    assert check_model(found).lacks == ()
    for role in ("attention.query", "attention.out", "mlp.gate", "mlp.down", "embedding", "head", "norm"):
        assert of_role(found.weight_roles(), role), role
    assert sum(weight.numel() for weight in found.parameters()) < 20_000
    assert found(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 5, 300)
