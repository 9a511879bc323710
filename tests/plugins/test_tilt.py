import numpy as np
import pytest
import torch

from evaladapt.contract import hookimpl
from evaladapt.toolbox.long_matches import LongMatches
from evaladapt_plugins.tilt import Tilt, TiltOptions, choose_hints
from tests.plugins.runs import distance, interrupted_and_resumed, logprobs, nats, repeated_document, sampled


def matches(*candidates):
    """One target with these (token, length) candidates."""
    tokens, lengths = zip(*candidates, strict=True)
    return LongMatches(np.array([tokens]), np.array([lengths]))


def test_a_text_that_repeats_itself_gets_cheaper():
    stream = repeated_document()
    assert nats(Tilt, stream=stream) < nats(stream=stream) - 1.0


def test_text_of_the_models_own_is_left_almost_alone():
    stream = sampled()
    assert abs(nats(Tilt, stream=stream) - nats(stream=stream)) < 0.02


@pytest.mark.parametrize("batch", [1, 16])
def test_block_and_step_agree(batch):
    stream = repeated_document()
    block, step = (logprobs(Tilt, stream=stream, batch=batch, mode=mode) for mode in ("block", "step"))
    assert distance(block, step) < 1e-4


def test_every_distribution_sums_to_one():
    sums = []

    class Raw(Tilt):
        @hookimpl
        def mix(self, logprobs, query):
            mixed = super().mix(logprobs, query)
            sums.append(mixed[query.valid].double().exp().sum(-1))
            return mixed

    logprobs(Raw, stream=repeated_document())
    assert (torch.cat(sums) - 1.0).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("candidates", "token"),
    [
        ([(5, 16), (5, 16)], 5),
        ([(5, 16)], -1),
        ([(5, 9), (5, 9)], -1),
        ([(5, 9), (5, 9), (5, 8)], 5),
        ([(5, 9), (5, 9), (6, 8), (7, 8)], -1),
        ([(5, 16), (5, 15), (6, 8), (6, 8), (6, 8), (6, 8)], 5),
        ([(0, 0), (0, 0), (0, 0)], -1),
    ],
)
def test_a_hint_needs_enough_matches_that_agree(candidates, token):
    assert choose_hints(matches(*candidates), TiltOptions()).tokens.tolist() == [token]


def test_strength_follows_confidence_and_agreement():
    options = TiltOptions(strength=2.0, agreement=0.1)
    assert choose_hints(matches((5, 16), (5, 16)), options).nats == pytest.approx([2.0 + 0.2])
    assert choose_hints(matches((5, 16), (5, 16), (6, 16)), options).nats == pytest.approx([4 / 3 + 0.2])


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, Tilt, after=3, stream=repeated_document())
    assert resumed.digest == whole.digest
