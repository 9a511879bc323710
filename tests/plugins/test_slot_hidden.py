import pytest
import torch

from evaladapt.engine.hooks.host import HeadHost
from evaladapt_plugins.slot_hidden import SlotHidden, SlotHiddenOptions, SlotHiddenStream
from tests.plugins.runs import distance, few_words, interrupted_and_resumed, logprobs, nats, past_of, sampled
from tests.tiny import random_stream, tiny_model

FORMS = (SlotHidden, SlotHiddenStream)
LBFGS = {"precision": 1.0}
ADAMW = {"solver": "adamw", "precision": 1.0, "lr": 0.05, "lr_last": 0.005, "steps": 12, "weight_decay": 0.01}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [LBFGS, ADAMW])
def test_a_text_of_few_words_gets_cheaper(form, options):
    stream = few_words()
    assert nats(form, stream=stream, options=options) < nats(stream=stream) - 0.2


@pytest.mark.parametrize("form", FORMS)
def test_text_of_the_models_own_is_left_almost_alone(form):
    stream = sampled()
    assert abs(nats(form, stream=stream) - nats(stream=stream)) < 0.02


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [LBFGS, {**LBFGS, "focal": 5}, ADAMW])
def test_step_mode_and_block_mode_charge_the_same(form, options):
    stream = random_stream()
    block = logprobs(form, stream=stream, options=options)
    assert distance(block, logprobs(stream=stream)) > 1e-3
    assert distance(block, logprobs(form, stream=stream, options=options, mode="step")) < 1e-4


@pytest.mark.parametrize("options", [LBFGS, ADAMW])
def test_a_windows_delta_does_not_depend_on_its_batch(options):
    stream = random_stream()
    alone, together = (logprobs(SlotHidden, stream=stream, options=options, batch=batch) for batch in (1, 32))
    assert distance(alone, together) < 1e-4


def test_the_delta_of_the_stream_outlives_a_kill(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(
        tmp_path, monkeypatch, SlotHiddenStream, after=3, stream=random_stream(), options=ADAMW
    )
    assert resumed.digest == whole.digest


def fitted(form, options, seed=0):
    """A strategy fitted to random hidden states, the past and the model."""
    generator = torch.Generator().manual_seed(seed)
    model = tiny_model()
    past = past_of(
        torch.randint(0, 24, (3, 20), generator=generator), hidden=torch.randn(3, 20, 16, generator=generator)
    )
    strategy = form(SlotHiddenOptions(**options))
    strategy.adapt(past, HeadHost(model))
    return strategy, past, model


@pytest.mark.parametrize("options", [{"steps": 100}, {"solver": "adamw", "steps": 800, "lr_last": 0.0001}])
def test_the_fit_is_a_stationary_point_of_its_objective(options):
    strategy, past, model = fitted(SlotHidden, {"precision": 3.0, **options})
    delta = strategy._delta.clone().requires_grad_()
    logits = model.head(past.hidden + delta[:, None])
    likelihood = torch.nn.functional.cross_entropy(logits.flatten(0, 1), past.targets.flatten(), reduction="sum")
    (likelihood + 1.5 * delta.square().sum()).backward()
    assert float(delta.grad.abs().max()) / 20 < 1e-3


def test_a_strong_prior_keeps_delta_small():
    sizes = [float(fitted(SlotHidden, {"precision": precision})[0]._delta.norm()) for precision in (0.0, 10.0, 1000.0)]
    assert sizes[0] > 2 * sizes[1] > 20 * sizes[2]


def test_rows_without_a_past_are_not_moved():
    strategy, past, model = fitted(SlotHidden, {"precision": 1.0})
    past.targets[1] = -100
    strategy.adapt(past, HeadHost(model))
    hidden = torch.randn(3, 4, 16)
    changed = strategy.transform_hidden(hidden)
    assert torch.equal(changed[1], hidden[1])
    assert not torch.equal(changed[0], hidden[0])
