import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.testing import check_strategy
from evaladapt.toolbox.mixing import switching_bound
from evaladapt_plugins.bias import Bias
from evaladapt_plugins.gate import Gate
from evaladapt_plugins.hedge import Hedge
from evaladapt_plugins.ngram import Ngram
from tests.plugins.runs import distance, engine, few_words, interrupted_and_resumed, logprobs, nats, sampled
from tests.strategies import Honest
from tests.tiny import random_stream, stream_of


def test_it_keeps_the_contract():
    check_strategy(Gate)


class TooSure(Honest):
    """Squares every distribution."""

    capabilities = Capabilities(stage=Stage.LOGITS)

    @hookimpl
    def transform_logits(self, logits):
        return 2.0 * logits


def test_a_strategy_that_is_too_sure_of_itself_is_softened_beyond_what_a_hedge_can_do():
    """The text comes from between the frozen model and its square, where no expert is."""
    stream = sampled(600, sharpness=1.4)
    plain, hedged, gated = (nats(*one, stream=stream) for one in ((), (TooSure, Hedge), (TooSure, Gate)))
    assert gated < hedged - 0.02
    assert gated < plain - 0.02


def test_on_text_as_the_model_writes_it_nothing_is_lost():
    stream = sampled(2400)
    plain = nats(stream=stream)
    assert nats(Gate, stream=stream) < plain * 1.0002


@pytest.mark.parametrize("share", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize("text", [few_words, sampled, random_stream])
def test_a_run_costs_at_most_the_bound_more_than_its_best_entry(text, share):
    stream = text()
    entries = [engine(*classes, stream=stream).run().nats for classes in ((), (Bias,), (Bias, Ngram))]
    gated = engine(Bias, Ngram, Gate, stream=stream, more_options={"gate": {"share": share}}).run().nats
    assert gated <= min(entries) + switching_bound(4, stream.targets, 0, share) + 1e-2


@pytest.mark.parametrize("batch", [1, 4])
def test_block_and_step_agree(batch):
    stream = random_stream()
    block, step = (logprobs(TooSure, Ngram, Gate, stream=stream, batch=batch, mode=mode) for mode in ("block", "step"))
    assert distance(block, step) < 1e-4


def test_exponents_move_within_a_batch():
    stream = few_words()
    together = nats(TooSure, Gate, stream=stream, batch=1000)
    assert together < nats(TooSure, stream=stream, batch=1000) - 0.1


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, Ngram, Gate, after=3, stream=few_words())
    assert resumed.digest == whole.digest
    assert "exponent 1" in whole.closing.scalars["gate"]


def test_impossible_numbers_of_one_entry_do_not_spoil_the_state():
    """An entry that gives a target e^-80 moves exponents, but they stay finite and the bound holds."""

    class Certain(Honest):
        capabilities = Capabilities(stage=Stage.PROBS)

        @hookimpl
        def mix(self, logprobs):
            wrong = torch.full_like(logprobs, -80.0)
            wrong[..., 0] = 0.0
            return torch.log_softmax(wrong, -1)

    stream = stream_of([3, 4, 5, 6] * 30)
    plain = engine(stream=stream).run().nats
    gated = engine(Certain, Gate, stream=stream).run().nats
    assert gated <= plain + switching_bound(3, stream.targets, 0, 1e-3) + 1e-2
