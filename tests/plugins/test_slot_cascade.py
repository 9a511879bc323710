import torch

from evaladapt.bench.solver import example_windows
from evaladapt.toolbox.bias_prior import GammaPrior
from evaladapt.toolbox.logit_bias import fit
from evaladapt_plugins.slot_cascade import SlotCascade, SlotCascadeOptions
from tests.plugins.runs import distance, few_words, logprobs, nats, past_of, sampled
from tests.tiny import random_stream

PLAIN = {"strength": 0.5, "hard": 0.0}
HARD = {"strength": 0.5, "hard": 0.7}


def test_a_text_of_few_words_gets_cheaper():
    stream = few_words()
    for options in (PLAIN, HARD):
        assert nats(SlotCascade, stream=stream, options=options) < nats(stream=stream) - 0.5


def test_text_of_the_models_own_is_left_almost_alone():
    stream = sampled()
    assert abs(nats(SlotCascade, stream=stream, options={"strength": 10.0}) - nats(stream=stream)) < 0.02


def test_neither_mode_nor_batch_changes_the_scores():
    stream = random_stream()
    block = logprobs(SlotCascade, stream=stream, options=HARD)
    assert distance(block, logprobs(stream=stream)) > 1e-3
    assert distance(block, logprobs(SlotCascade, stream=stream, options=HARD, mode="step")) < 1e-4
    for batch in (1, 32):
        assert distance(block, logprobs(SlotCascade, stream=stream, options=HARD, batch=batch)) < 1e-4


def fitted(hard=0.0, **options):
    """Delta of the strategy on example windows, and the windows."""
    windows = example_windows(rows=3, tokens=96, vocabulary=100)
    strategy = SlotCascade(SlotCascadeOptions(strength=2.0, hard=hard, **options))
    strategy.adapt(past_of(windows.targets, logits=windows.logits))
    return strategy._delta, windows


def test_two_phases_without_weighting_end_at_the_optimum_of_one():
    delta, windows = fitted()
    assert torch.allclose(delta, fit(windows.logits, windows.targets, GammaPrior(2.0)).delta, atol=2e-2)


def test_the_second_phase_goes_on_from_the_first():
    short, _ = fitted(first_iterations=1, iterations=1)
    longer, windows = fitted(first_iterations=5, iterations=1)
    best = fit(windows.logits, windows.targets, GammaPrior(2.0)).delta
    assert distance(longer, best) < distance(short, best)


def test_hard_tokens_pull_harder():
    plain, windows = fitted()
    hard, _ = fitted(hard=1.0)
    chosen = windows.targets.unsqueeze(-1)
    before = torch.softmax(windows.logits, -1).gather(-1, chosen)[..., 0]
    gain = {
        name: (torch.softmax(windows.logits + delta[:, None], -1).gather(-1, chosen)[..., 0] / before).log()
        for name, delta in (("plain", plain), ("hard", hard))
    }
    hardest = before < before.quantile(0.3)
    assert gain["hard"][hardest].mean() > gain["plain"][hardest].mean()
