"""Each feature against its formula, its gradient, causality, and step mode."""

import numpy as np
import pytest
import torch
from torch import Tensor

from evaladapt.audit.bench import SMALL, Bench
from evaladapt.audit.finding import PASS
from evaladapt.audit.probes import BY_NAME
from evaladapt.audit.subject import Subject
from evaladapt.contract.composition import compose
from evaladapt.engine.loop import Settings
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from evaladapt.train.loss import training_loss
from tests.model.features import CONFIGS, PLAIN, documents, stirred_model
from tests.model.naive import NaiveTransformer
from tests.tiny import random_stream

ALONE = [name for name in CONFIGS if name != "all"]
ONLY_IN_TRAINING = "multi-token heads"
each_feature = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def in_double(config: ModelConfig) -> Transformer:
    return stirred_model(config).double()


def naive(model: Transformer) -> NaiveTransformer:
    return NaiveTransformer(model.config, dict(model.named_parameters()))


@each_feature
def test_the_formula_equals_the_naive_reference(config: ModelConfig) -> None:
    model, tokens = in_double(config), documents(9)
    with torch.no_grad():
        assert torch.allclose(model(torch.tensor([tokens]))[0], naive(model).logits(tokens), rtol=0, atol=1e-9)


@each_feature
def test_the_gradient_equals_that_of_the_naive_reference(config: ModelConfig) -> None:
    model, tokens = in_double(config), documents(7)
    towards = torch.randn(7, config.vocab_size, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weights = {name: weight for name, weight in model.named_parameters() if not name.startswith("mtp.")}

    def gradients(logits: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((logits * towards).sum(), list(weights.values()))

    ours, theirs = gradients(model(torch.tensor([tokens]))[0]), gradients(naive(model).logits(tokens))
    for name, mine, reference in zip(weights, ours, theirs, strict=True):
        assert torch.allclose(mine, reference, rtol=1e-7, atol=1e-9), name
        assert mine.any(), f"{name} has no gradient"


@each_feature
@pytest.mark.parametrize("first", [0, 5, 11])
def test_a_tail_of_states_is_that_of_all_states(config: ModelConfig, first: int) -> None:
    model, tokens = in_double(config), torch.tensor([documents(12), documents(12, seed=1)])
    with torch.no_grad():
        assert torch.allclose(model.hidden_from(tokens, first), model.hidden(tokens)[:, first:], rtol=0, atol=1e-12)


@each_feature
def test_documents_kept_apart_are_those_in_rows_of_their_own(config: ModelConfig) -> None:
    model, tokens = in_double(config), documents(12)
    starts = [0, 1, 6]
    with torch.no_grad():
        packed = model.hidden(torch.tensor([tokens]), documents_apart=True)[0]
        alone = [
            model.hidden(torch.tensor([tokens[start:stop]]))[0]
            for start, stop in zip(starts, [*starts[1:], 12], strict=True)
        ]
    assert torch.allclose(packed, torch.cat(alone), rtol=0, atol=1e-5)  # angles are kept in float32


@pytest.mark.parametrize("name", [name for name in ALONE if name not in (ONLY_IN_TRAINING, "QK gain")])
def test_a_feature_changes_what_is_predicted(name: str) -> None:
    tokens = torch.tensor([documents(9)])
    changed, plain = stirred_model(CONFIGS[name]), stirred_model(PLAIN)
    shared = dict(plain.named_parameters())
    with torch.no_grad():
        for weight_name, weight in changed.named_parameters():
            if weight_name in shared:
                weight.copy_(shared[weight_name])
        assert not torch.allclose(changed(tokens), plain(tokens), atol=1e-2)


@each_feature
def test_the_model_probe_finds_the_feature_causal(config: ModelConfig) -> None:
    stream = random_stream((20, 12), vocabulary=config.vocab_size)
    subject = Subject(model=stirred_model(config), stream=stream, composition=compose(["sliding"]), settings=Settings())
    finding = BY_NAME["MODEL"].run(Bench(subject, effort=SMALL))
    assert finding.outcome == PASS, finding


@torch.no_grad()
@each_feature
@pytest.mark.parametrize("sizes", [[20], [1] * 20, [9, *[1] * 11], [5, 3, 1, 7, 4]])
def test_a_row_read_in_pieces_has_the_states_of_a_row_read_at_once(config: ModelConfig, sizes: list[int]) -> None:
    model = stirred_model(config)
    tokens = torch.tensor([documents(20), documents(20, seed=1)])
    cache = model.start_cache(2, 24)
    states = torch.cat([model.extend(piece, cache) for piece in tokens.split(sizes, dim=1)], dim=1)
    assert torch.allclose(states, model.hidden(tokens), atol=2e-5)


@pytest.mark.parametrize("name", ["all"])
def test_step_mode_charges_what_block_mode_does(name: str) -> None:
    stream = random_stream((20, 12), vocabulary=PLAIN.vocab_size)
    subject = Subject(
        model=stirred_model(CONFIGS[name]),
        stream=stream,
        composition=compose(["sliding"], {"sliding": {"context": 16, "stride": 4}}),
        settings=Settings(),
    )
    finding = BY_NAME["STEP"].run(Bench(subject, effort=SMALL))
    assert finding.outcome == PASS, finding


@each_feature
def test_every_weight_of_a_new_model_learns(config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = Transformer(config)
    tokens = torch.tensor(np.random.default_rng(0).integers(0, config.vocab_size, (4, 17)))
    for _ in range(3):
        model.zero_grad()
        torch.autograd.backward(training_loss(model, tokens[:, :-1], tokens[:, 1:]))
        with torch.no_grad():
            for weight in model.parameters():
                assert weight.grad is not None
                weight.sub_(0.1 * weight.grad)
    assert [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()] == []
