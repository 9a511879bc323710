"""The training loss, and that heads which look farther ahead train the network and stay out of the file."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from evaladapt.model.config import ModelConfig
from evaladapt.model.multi_token import for_scoring
from evaladapt.model.transformer import Transformer
from evaladapt.train.loss import training_loss
from tests.model.features import CONFIGS, PLAIN, stirred_model
from tests.model.naive import NaiveTransformer, rms_norm

TOKENS = torch.randint(0, PLAIN.vocab_size, (2, 9), generator=torch.Generator().manual_seed(4))
HEADS = CONFIGS["multi-token heads"]


def naive_loss(model: Transformer, distance: int) -> torch.Tensor:
    """Mean nats of the tokens ``distance`` places beyond the next, token by token; 0 is the model itself."""
    weights, cap = dict(model.named_parameters()), model.config.logit_softcap
    nats = []
    for row in TOKENS.tolist():
        states = NaiveTransformer(model.config, weights).states(row[:-1])
        for place, state in enumerate(states[: len(states) - distance]):
            if distance:
                state = rms_norm(state + weights[f"mtp.{distance - 1}.projection"] @ state)
            logits = cap * torch.tanh(weights["embedding"] @ state / cap)
            nats.append(-torch.log_softmax(logits, dim=0)[row[place + 1 + distance]])
    return torch.stack(nats).mean()


def test_the_loss_and_its_gradient_equal_the_definition() -> None:
    model = stirred_model(replace(HEADS, mtp_weight=0.3)).double()
    ours = training_loss(model, TOKENS[:, :-1], TOKENS[:, 1:])
    theirs = naive_loss(model, 0) + 0.3 * (naive_loss(model, 1) + naive_loss(model, 2)) / 2
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    weights = list(model.parameters())
    for mine, reference in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(theirs, weights), strict=True):
        assert torch.allclose(mine, reference, atol=1e-6)


def test_without_heads_it_is_the_mean_of_the_next_token() -> None:
    model = stirred_model()
    expected = F.cross_entropy(model(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten())
    assert torch.equal(training_loss(model, TOKENS[:, :-1], TOKENS[:, 1:]), expected)


def test_documents_apart_cost_what_they_cost_alone() -> None:
    model, tokens = stirred_model().double(), TOKENS[:1].clone()
    tokens[0, 4] = PLAIN.bos_id
    packed = training_loss(model, tokens[:, :-1], tokens[:, 1:], documents_apart=True)
    parts = [
        training_loss(model, tokens[:, start:stop], tokens[:, start + 1 : stop + 1]) for start, stop in ((0, 4), (4, 8))
    ]
    assert packed.item() == pytest.approx(sum(part.item() for part in parts) / 2, abs=1e-6)
    assert packed.item() != pytest.approx(training_loss(model, tokens[:, :-1], tokens[:, 1:]).item(), abs=1e-6)


def test_the_heads_reach_the_network_from_the_first_step() -> None:
    """As published they were in no optimiser and started at zero, so neither they nor the network ever felt them."""

    def embedding_gradient(config: ModelConfig) -> torch.Tensor:
        torch.manual_seed(0)
        model = Transformer(config)
        return torch.autograd.grad(training_loss(model, TOKENS[:, :-1], TOKENS[:, 1:]), [model.embedding])[0]

    assert not torch.allclose(embedding_gradient(HEADS), embedding_gradient(PLAIN), rtol=1e-3)


def test_the_weights_for_scoring_are_those_of_the_model_without_heads() -> None:
    kept = for_scoring(dict(stirred_model(HEADS).named_parameters()))
    assert list(kept) == [name for name, _ in Transformer(HEADS.for_scoring()).named_parameters()]
