import numpy as np
import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from tests.engine.runs import engine, logprobs
from tests.strategies import (
    EVERY_KIND,
    Hedge,
    Honest,
    Train,
    WindowBias,
)


def test_the_trail_holds_the_frozen_model_and_what_every_strategy_left():
    trails, charges = [], []

    class Watch(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream", reads=frozenset({"trail"}))

        @hookimpl
        def mix(self, logprobs, query):
            trails.append(len(query.trail))
            assert torch.equal(query.trail[-1], logprobs)
            return logprobs

        @hookimpl
        def observe(self, scored):
            charges.append(scored.trail)

    outcome = engine(*EVERY_KIND, Watch, boundaries="charged").run()
    frozen = engine(boundaries="charged").run()
    assert set(trails) == {len(EVERY_KIND) + 1}
    charged = torch.cat(charges, dim=1)
    assert float(-charged[0].sum()) == pytest.approx(frozen.nats, abs=1e-3)
    trained = engine(Train, boundaries="charged").run()
    assert float(-charged[1].sum()) == pytest.approx(trained.nats, abs=1e-3)
    assert float(-charged[len(EVERY_KIND)].sum()) == pytest.approx(outcome.nats, abs=1e-3)


def test_a_bayesian_mixture_over_the_trail_costs_at_most_ln_k_more_than_its_best_entry():
    entries = [engine().run().nats, engine(Train).run().nats, engine(Train, WindowBias).run().nats]
    mixed = engine(Train, WindowBias, Hedge).run().nats
    assert mixed <= min(entries) + np.log(3) + 1e-3
    exact = -np.logaddexp.reduce([-nats - np.log(3) for nats in entries])
    assert mixed == pytest.approx(exact, abs=1e-2)


class StreamNothing(Honest):
    """Changes nothing, but adds an entry to the trail."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")


def test_a_strategy_cannot_spoil_the_trail_of_the_next():
    class Spoiler(Honest):
        capabilities = Hedge.capabilities

        @hookimpl
        def mix(self, logprobs, query):
            same = logprobs.clone()
            for one in (logprobs, *query.trail):
                one.fill_(0)
            return same

    spoiled, plain = (engine(WindowBias, one, Hedge).run().nats for one in (Spoiler, StreamNothing))
    assert spoiled == pytest.approx(plain, abs=1e-4)


def test_a_recursion_over_the_trail_is_the_same_in_both_modes_and_for_any_batch():
    block = logprobs(WindowBias, Hedge)
    assert np.abs(block - logprobs(WindowBias, Hedge, mode="step")).max() < 1e-4
    assert np.abs(block - logprobs(WindowBias, Hedge, batch=1)).max() < 1e-4
