import numpy as np
import pytest

from evaladapt_plugins.bias import Bias
from tests.plugins.runs import distance, few_words, interrupted_and_resumed, logprobs, nats, sampled


def test_a_text_with_other_frequencies_gets_cheaper():
    stream = few_words()
    assert nats(Bias, stream=stream) < nats(stream=stream) - 1.0


def test_text_of_the_models_own_is_left_almost_alone():
    stream = sampled()
    assert abs(nats(Bias, stream=stream) - nats(stream=stream)) < 0.03


@pytest.mark.parametrize("options", [{}, {"prior": 1.0, "half_life": 20.0}])
def test_block_and_step_agree(options):
    stream = few_words(documents=2)
    block, step = (logprobs(Bias, stream=stream, options=options, mode=mode) for mode in ("block", "step"))
    assert distance(block, step) < 1e-4


def test_nothing_changes_in_the_first_batch():
    stream = few_words()
    adapted, plain = logprobs(Bias, stream=stream), logprobs(stream=stream)
    first = 16
    assert distance(adapted[:first], plain[:first]) < 1e-5
    assert np.abs(adapted - plain)[first:].max() > 0.5


def test_a_short_memory_follows_a_change_faster():
    stream = few_words(documents=4)
    fading = nats(Bias, stream=stream, options={"prior": 1.0, "half_life": 60.0})
    assert fading < nats(Bias, stream=stream, options={"prior": 1.0, "half_life": 1e9})


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, Bias, after=3, stream=few_words())
    assert resumed.digest == whole.digest
