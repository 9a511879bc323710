import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.toolbox.mixing import fixed_share, switching_bound, uniform_log_weights
from evaladapt_plugins.bias import Bias
from evaladapt_plugins.hedge import Hedge
from evaladapt_plugins.ngram import Ngram
from evaladapt_plugins.tilt import Tilt
from tests.plugins.runs import distance, engine, few_words, interrupted_and_resumed, logprobs, nats, sampled
from tests.tiny import random_stream


@pytest.mark.parametrize("share", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize("text", [few_words, sampled])
def test_a_run_costs_at_most_the_bound_more_than_its_best_expert(text, share):
    stream = text()
    experts = [engine(*classes, stream=stream).run().nats for classes in ((), (Bias,), (Bias, Ngram))]
    composition = engine(Hedge, stream=stream, options={"share": share})
    assert composition.run().nats == pytest.approx(experts[0], abs=1e-2)
    mixed = _mixed(stream, share)
    assert mixed <= min(experts) + switching_bound(3, stream.targets, 0, share) + 1e-2


def _mixed(stream, share):
    class Given(Hedge):
        def __init__(self, options):
            super().__init__(options)
            self._share = share

    return engine(Bias, Ngram, Given, stream=stream).run().nats


@settings(max_examples=40, deadline=None)
@given(
    charges=st.lists(st.lists(st.floats(-20, -0.01), min_size=3, max_size=3), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    share=st.floats(1e-4, 0.5),
)
def test_against_any_sequence_of_experts_the_loss_is_within_the_bound(charges, cuts, share):
    realised = torch.tensor(charges, dtype=torch.float64)
    weights = fixed_share(uniform_log_weights(3), realised, share).at_targets
    mixed = -torch.logsumexp(weights + realised, -1).sum()
    ends = [*sorted({cut for cut in cuts if 0 < cut < len(charges)}), len(charges)]
    starts = [0, *ends[:-1]]
    best = sum(-realised[first:last].sum(0).max() for first, last in zip(starts, ends, strict=True))
    assert mixed <= best + switching_bound(3, len(charges), len(ends) - 1, share) + 1e-6


def test_a_strategy_that_hurts_is_left_aside():
    class Trusting(Ngram):
        def _learn(self, targets, model): ...

    stream = sampled()
    plain = nats(stream=stream)
    assert nats(Trusting, stream=stream) > plain + 0.3
    assert nats(Trusting, Hedge, stream=stream) < plain + 0.02


@pytest.mark.parametrize("batch", [1, 4])
def test_block_and_step_agree(batch):
    stream = random_stream()
    block, step = (
        logprobs(Bias, Ngram, Tilt, Hedge, stream=stream, batch=batch, mode=mode) for mode in ("block", "step")
    )
    assert distance(block, step) < 1e-4


def test_weights_move_within_a_batch():
    stream = few_words()
    adapted = logprobs(Ngram, Hedge, stream=stream, batch=1000)
    assert adapted.mean() > logprobs(stream=stream, batch=1000).mean() + 1.0


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, Ngram, Hedge, after=3, stream=few_words())
    assert resumed.digest == whole.digest
    assert np.isclose(sum(whole.closing.scalars["hedge"].values()), 1.0)
