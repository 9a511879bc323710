import numpy as np
import pytest
import torch

from evaladapt.contract import Past
from evaladapt.contract.composition import compose
from evaladapt.engine.loop import Settings
from evaladapt.errors import UsageError
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.side import SideInformation
from evaladapt.testing.compositions import composition_of
from evaladapt_plugins.slot_cascade import SlotCascade
from evaladapt_plugins.slot_hidden import SlotHidden, SlotHiddenStream
from evaladapt_plugins.slot_lbfgs import SlotLbfgs
from evaladapt_replicas.joint_fit import Lbfgs, minimise_jointly
from evaladapt_replicas.replica_675 import Replica675
from evaladapt_replicas.replica_1128 import Replica1128
from evaladapt_replicas.replica_1318 import Replica1318, Replica1318Options
from evaladapt_replicas.replica_1350 import Replica1350, Replica1350Options
from evaladapt_replicas.replica_1372 import Replica1372, Replica1372Options
from evaladapt_replicas.shared_delta import before_spans
from tests.plugins.runs import STRIDE, distance, engine, logprobs, nats
from tests.tiny import random_stream, stream_of, tiny_model

LEGAL = {
    Replica675: SlotHidden,
    Replica1128: SlotHiddenStream,
    Replica1318: SlotLbfgs,
    Replica1350: SlotLbfgs,
    Replica1372: SlotCascade,
}
NAMES = {
    "replica-675": "slot-hidden",
    "replica-1128": "slot-hidden-stream",
    "replica-1318": "slot-lbfgs",
    "replica-1350": "slot-lbfgs",
    "replica-1372": "slot-cascade",
}
NOISE = random_stream((160,), seed=11)


@pytest.mark.parametrize(("name", "relative"), NAMES.items())
def test_without_the_flag_it_is_refused_and_the_legal_form_named(name, relative):
    with pytest.raises(UsageError, match="it breaks C1, C3") as refused:
        compose([name])
    assert f"The legal form is '{relative}'" in str(refused.value)
    assert "--allow-noncausal" in str(refused.value)
    compose([relative])
    assert compose([name], allow_noncausal=True).peeking


def unassuming_model():
    """The tiny model with logits so small that it expects every token: on random tokens there is nothing to gain."""
    model = tiny_model()
    with torch.no_grad():
        model.embedding.mul_(0.1)
    return model


@pytest.mark.parametrize(("replica", "legal"), LEGAL.items())
def test_on_noise_it_claims_what_no_honest_strategy_can_have(replica, legal):
    """Batches of 32 windows as published; 31 of 32 spans are then context of another row."""
    setting = {"stream": random_stream((16 + 2 * 32 * STRIDE,), seed=11), "model": unassuming_model(), "batch": 32}
    plain, honest = nats(**setting), nats(legal, **setting)
    options = {"lr": 0.2} if replica is Replica1128 else None
    claimed = nats(replica, options=options, allow_noncausal=True, **setting)
    assert honest > plain - 0.005
    assert claimed < plain - 0.01
    assert claimed < honest - 0.01


@pytest.mark.parametrize("replica", LEGAL)
def test_what_is_predicted_for_a_target_depends_on_that_target(replica):
    """One token is exchanged: the scores before it move too, which is the leak."""
    tokens = NOISE.tokens[1:].tolist()
    changed = [*tokens[:99], 2 + (tokens[99] - 1) % 20, *tokens[100:]]
    assert changed != tokens
    first, second = (logprobs(replica, stream=stream_of(text), allow_noncausal=True) for text in (tokens, changed))
    plain = [logprobs(stream=stream_of(text)) for text in (tokens, changed)]
    assert distance(plain[0][:99], plain[1][:99]) == 0
    assert np.abs(first - second)[80:99].max() > 1e-6


@pytest.mark.parametrize("replica", LEGAL)
def test_the_whole_prediction_hangs_on_what_it_says_it_fitted(replica):
    """Told in steps so coarse that all of it rounds to zero, the frozen model is left."""
    composition = composition_of(replica, options={"sliding": {"stride": STRIDE}}, allow_noncausal=True)
    outcome = InlineRun(tiny_model(), NOISE, composition, Settings(batch=4), side=SideInformation(1e9)).run()
    assert outcome.nats == pytest.approx(engine(stream=NOISE).run().nats, abs=1e-4)


def test_the_context_mask_stops_at_the_span_and_is_as_long_as_it():
    positions = torch.tensor([[-1, 3, 4, 5, 6, 7], [5, 6, 7, 8, 9, -1]])
    in_span = torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 0]]).bool()
    past = Past(positions, positions, positions > 0, positions, in_span, torch.zeros_like(positions))
    assert positions[before_spans(past, None)].tolist() == [4, 5, 8]
    assert positions[before_spans(past, 3)].tolist() == [3, 4, 5, 6, 7, 8]


def test_the_published_focus_is_the_same_for_a_window_that_scores_all_it_holds():
    """The first window scores every target it has; it too is fitted to the last few, without the very last."""
    chosen = []

    class Watched(Replica1318):
        def _fit_where(self, mask, past, settings, clamp):
            chosen.append(past.positions[mask].tolist())

    positions = torch.arange(1, 21).view(1, -1)
    everywhere, nowhere = positions > 0, torch.zeros_like(positions)
    past = Past(positions, positions, everywhere, positions, everywhere, nowhere, logits=torch.zeros(1, 20, 30))
    Watched(Replica1318Options(focal=8)).adapt(past)
    assert chosen == [list(range(13, 20))]
    assert Replica1318Options().focal == 128


def test_two_phases_without_weighting_end_near_one_long_phase():
    targets = torch.randint(0, 4, (3, 20), generator=torch.Generator().manual_seed(0))
    logits = torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(1))
    positions = torch.arange(1, 21).expand(3, -1)
    past = Past(targets, targets, targets >= 0, positions, positions > 15, torch.zeros_like(targets), logits=logits)
    deltas = []
    for strategy in (Replica1350(Replica1350Options(context=15)), Replica1372(Replica1372Options(context=15))):
        strategy._delta = torch.zeros(1, 1, 4)
        strategy.adapt(past)
        deltas.append(strategy._delta - strategy._delta.mean())
    assert distance(*deltas) < 1e-2
    assert deltas[0].abs().max() > 0.1


def test_the_joint_fit_minimises_over_all_parameters_and_leaves_them_plain():
    a, b = torch.zeros(2), torch.zeros(3)
    started_at = minimise_jointly([a, b], lambda: ((a - 1) ** 2).sum() + ((b + 2) ** 2).sum(), Lbfgs(20, 10, 0.1, 4))
    assert torch.allclose(a, torch.ones(2), atol=1e-4)
    assert torch.allclose(b, torch.full((3,), -2.0), atol=1e-4)
    assert started_at < 14
    assert not a.requires_grad
    assert a.grad is None
