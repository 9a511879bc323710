"""The loss of many tokens in stretches is the loss, and so are its gradients."""

import pytest
import torch
import torch.nn.functional as F

from evaladapt.contract import HIDDEN_TARGET, Capabilities, Stage
from evaladapt.engine.hooks.host import host_for
from evaladapt.system.processes import ALONE
from tests.tiny import VOCABULARY, tiny_model

TRAINS = Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream")


@pytest.mark.parametrize("memory", [1, 16 * VOCABULARY * 5])
def test_in_stretches_as_at_once(memory):
    model = tiny_model()
    tokens = torch.randint(VOCABULARY, (2, 13), generator=torch.Generator().manual_seed(0))
    targets = tokens.roll(-1, 1)
    targets[:, -1] = HIDDEN_TARGET
    leaves = {name: (1.1 * weight).detach().requires_grad_() for name, weight in model.named_parameters()}
    found = []
    for host in (host_for(TRAINS, model, ALONE, memory), host_for(TRAINS, model, ALONE)):
        loss = host.loss(tokens, targets, overrides=leaves)
        found.append((loss, torch.autograd.grad(3 * loss, list(leaves.values()))))
    (loss, gradients), (expected, wanted) = found
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, one, other in zip(leaves, gradients, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6), name


def test_without_overrides_it_is_the_model_s_own():
    model, tokens = tiny_model(), torch.arange(8)[None]
    loss = host_for(TRAINS, model, ALONE, 1).loss(tokens, tokens)
    assert loss.item() == pytest.approx(F.cross_entropy(model(tokens)[0], tokens[0]).item(), rel=1e-6)
