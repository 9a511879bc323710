from functools import partial

import pytest
import torch

from evaladapt.bench.solver import example_windows
from evaladapt.toolbox.bias_prior import prior_named
from evaladapt.toolbox.logit_bias import fit, fit_mm
from evaladapt_plugins.slot_lbfgs import USUAL_STRENGTH, SlotLbfgs, SlotLbfgsOptions
from tests.plugins.runs import distance, few_words, logprobs, nats, past_of, sampled
from tests.tiny import random_stream

SOLVERS = ("mm", "lbfgs")
PRIORS = (("gamma", 2.0), ("gaussian", 1.0))
WEAK = {"strength": 0.5}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("prior", ["gamma", "gaussian"])
def test_a_text_of_few_words_gets_cheaper(solver, prior):
    stream = few_words()
    options = {**WEAK, "solver": solver, "prior": prior}
    assert nats(SlotLbfgs, stream=stream, options=options) < nats(stream=stream) - 0.5


def test_text_of_the_models_own_is_left_almost_alone():
    stream = sampled()
    assert abs(nats(SlotLbfgs, stream=stream, options={"strength": 10.0}) - nats(stream=stream)) < 0.02


@pytest.mark.parametrize("options", [{}, WEAK, {**WEAK, "focal": 5}, {**WEAK, "solver": "lbfgs"}])
def test_neither_mode_nor_batch_changes_the_scores(options):
    stream = random_stream()
    block = logprobs(SlotLbfgs, stream=stream, options=options)
    assert distance(block, logprobs(stream=stream)) > 1e-3
    assert distance(block, logprobs(SlotLbfgs, stream=stream, options=options, mode="step")) < 1e-4
    for batch in (1, 32):
        assert distance(block, logprobs(SlotLbfgs, stream=stream, options=options, batch=batch)) < 1e-4


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("prior", "strength"), PRIORS)
def test_every_solver_ends_within_1e_4_nats_per_token_of_the_optimum(solver, prior, strength):
    windows = example_windows(rows=4, tokens=96, vocabulary=200)
    strategy = SlotLbfgs(SlotLbfgsOptions(solver=solver, prior=prior, strength=strength, clamp=None))
    strategy.adapt(past_of(windows.targets, logits=windows.logits))
    exact = fit(windows.logits, windows.targets, prior_named(prior, strength, USUAL_STRENGTH),
                solver=partial(fit_mm, tolerance=1e-7, iterations=5000))  # fmt: skip
    reached = fit(windows.logits, windows.targets, prior_named(prior, strength, USUAL_STRENGTH), start=strategy._delta,
                  solver=partial(fit_mm, iterations=0))  # fmt: skip
    assert float((reached.value - exact.value).max()) / 96 < 1e-4


def test_the_default_reaches_the_optimum_at_the_size_of_a_real_window():
    windows = example_windows(rows=2, tokens=384, vocabulary=1024)
    strategy = SlotLbfgs(SlotLbfgsOptions(clamp=None))
    strategy.adapt(past_of(windows.targets, logits=windows.logits))
    prior = prior_named("gamma", SlotLbfgsOptions().strength, USUAL_STRENGTH)
    still = partial(fit_mm, iterations=0)
    reached = fit(windows.logits, windows.targets, prior, start=strategy._delta, solver=still)
    assert float(reached.gap.max()) / 384 < 1e-4


def test_focal_is_how_far_back_the_fit_looks():
    stream = few_words()
    all_of_it, near = (logprobs(SlotLbfgs, stream=stream, options={**WEAK, "focal": focal}) for focal in ("none", "3"))
    assert distance(all_of_it[:16], logprobs(stream=stream)[:16]) < 1e-6
    assert distance(all_of_it, near) > 1e-3


def test_no_number_of_delta_passes_the_clamp():
    windows = example_windows(rows=2, tokens=64, vocabulary=50)
    strategy = SlotLbfgs(SlotLbfgsOptions(strength=0.01, clamp=0.5))
    strategy.adapt(past_of(windows.targets, logits=windows.logits))
    assert float(strategy._delta.abs().max()) == pytest.approx(0.5)


def test_a_row_without_a_past_keeps_its_logits():
    strategy = SlotLbfgs(SlotLbfgsOptions())
    windows = example_windows(rows=2, tokens=5, vocabulary=9)
    targets = windows.targets.clone()
    targets[1] = -100
    strategy.adapt(past_of(targets, logits=windows.logits))
    logits = torch.randn(2, 3, 9)
    changed = strategy.transform_logits(logits)
    assert not torch.equal(changed[0], logits[0])
    assert torch.equal(changed[1], logits[1])
