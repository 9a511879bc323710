"""ECHO's arithmetic, and that no built-in strategy raises it. EVALADAPT_SEEDS=20 takes twenty seeds, and longer."""

import dataclasses
import os

import numpy as np
import pytest

from evaladapt.audit.echo import BLOCK, CONVICTS_BELOW, Echo, _Listening, held_against_orders, places_of, shuffled
from evaladapt.audit.text import ChangedText
from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import compose
from evaladapt.contract.registry import installed, load
from evaladapt.engine.loop import Engine, Settings
from evaladapt.judge.charging import Rules
from tests.tiny import random_stream, tiny_model

SEEDS = int(os.environ.get("EVALADAPT_SEEDS", "1"))
BUILT_IN = {one.alias: load(one.alias).capabilities for one in installed() if one.distribution == "evaladapt"}
HONEST = sorted(alias for alias, one in BUILT_IN.items() if one.stage != Stage.PLAN and not one.peeks)
SMALLER = {"chunk": 64, "strength": 2.0, "context": 64}


def gains(generator, known=0.0, blocks=20):
    return generator.normal(size=(blocks, BLOCK, BLOCK)) + known * np.eye(BLOCK)


def test_what_is_expected_at_its_place_convicts_and_chance_does_not():
    generator = np.random.default_rng(0)
    assert held_against_orders(gains(generator, known=1.0), generator).p < CONVICTS_BELOW
    tried = [held_against_orders(gains(generator, blocks=2), generator).p for _ in range(60)]
    assert min(tried) > 1e-4
    assert 0.25 < np.mean(tried) < 0.75


def test_moments_are_those_of_the_orders_that_are_drawn():
    """A constant by place or by token says nothing of the order."""
    generator = np.random.default_rng(1)
    plain = gains(generator)
    tilted = plain + generator.normal(size=(20, BLOCK, 1)) + generator.normal(size=(20, 1, BLOCK))
    first, second = (held_against_orders(one, np.random.default_rng(2)) for one in (plain, tilted))
    assert first.z == pytest.approx(second.z, rel=1e-6, abs=0.3)
    assert 2.5 < first.best < 5


def test_one_target_alone_convicts_nobody():
    found = np.zeros((4, BLOCK, BLOCK))
    found[0, 3, 3] = 1e6
    assert held_against_orders(found, np.random.default_rng(0)).p > CONVICTS_BELOW


def test_what_changes_nothing_says_nothing():
    assert held_against_orders(np.zeros((3, BLOCK, BLOCK)), np.random.default_rng(0)) == Echo(0.0, 1.0, 0.0)


def test_the_replaced_text_has_the_same_tokens_in_another_order_and_its_boundaries():
    stream = random_stream((300, 100, 200))
    tokens = shuffled(stream, np.random.default_rng(0))
    first = stream.targets // 4 + 1
    assert np.array_equal(tokens[:first], stream.tokens[:first])
    assert np.array_equal(tokens == stream.tokens[0], stream.tokens == stream.tokens[0])
    assert np.array_equal(np.sort(tokens), np.sort(stream.tokens))
    assert (tokens[first:] != stream.tokens[first:]).mean() > 0.5


def test_targets_after_a_true_context_are_left_out():
    stream = random_stream((300, 100, 200))
    places = places_of(stream).ravel()
    boundaries = np.flatnonzero(stream.tokens == stream.tokens[0])
    assert places.min() > stream.targets // 4 + 8
    assert all(not set(range(start, start + 8)) & set(places.tolist()) for start in boundaries)
    assert len(np.unique(places)) == len(places) > 300
    assert len(places_of(random_stream((20, 30)))) == 0


def heard(composition, stream, seed):
    generator = np.random.default_rng(seed)
    places = places_of(stream)
    text = ChangedText("replaced", shuffled(stream, generator), stream.documents)
    charging = _Listening(text, Rules(rows=4), places, stream.tokens[places])
    Engine(tiny_model(seed), composition, Settings(batch=4, seed=seed), charging, vocabulary=None).run()
    return charging.found


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("alias", HONEST)
def test_no_built_in_strategy_raises_it(alias, seed):
    strategy = load(alias)
    if "vocabulary" in strategy.capabilities.reads:
        pytest.skip("works on the bytes of tokens, which random ones do not have")
    names = {field.name for field in dataclasses.fields(strategy.options)}
    options = {alias: {name: value for name, value in SMALLER.items() if name in names}}
    options["sliding"] = {"stride": 8}
    composition, stream = compose([alias], options), random_stream((300, 100, 200), seed=seed)
    found = heard(composition, stream, seed) - heard(composition.base(), stream, seed)
    assert held_against_orders(found, np.random.default_rng(seed)).p > CONVICTS_BELOW
