"""Every pair of legal strategies, in every order that may run, gives the same scores in block and in step mode."""

from contextlib import suppress
from functools import cache
from itertools import permutations

import numpy as np
import pytest

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.contract.composition import DEFAULT_PLAN, Composition, Member, compose_types
from evaladapt.contract.registry import find, installed, load
from evaladapt.engine.loop import Settings
from evaladapt.errors import UsageError
from evaladapt.judge.inline import InlineRun
from evaladapt.testing.compositions import strategy_type
from tests.plugins.runs import LETTERS
from tests.strategies import Honest
from tests.tiny import stream_of, tiny_model

BUILT_IN = "evaladapt"
SMALL = {"ttt": {"chunk": 6}, "ttt-document": {"chunk": 6}, "lora-ttt": {"chunk": 6}, "ppm": {"bits": 10}}


@cache
def adaptive():
    names = sorted({one.alias for one in installed() if one.distribution == BUILT_IN})
    types = [load(find(name).qualified) for name in names]
    return [one for one in types if one.capabilities.stage != Stage.PLAN and not one.capabilities.peeks]


@cache
def plan():
    return load(DEFAULT_PLAN)


def valid_pairs():
    """Every two in every order that does not decrease in stage: both orders where they act at one stage."""
    return [
        (first.alias, second.alias)
        for first, second in permutations(adaptive(), 2)
        if first.capabilities.stage <= second.capabilities.stage
    ]


def charged(names, mode):
    found = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            found.append(scored.logprobs.numpy())

    options = {name: SMALL[name] for name in names if name in SMALL}
    chosen = [one for name in names for one in adaptive() if one.alias == name]
    composition = compose_types([plan(), *chosen], {DEFAULT_PLAN: {"stride": 4, "context": 8}, **options})
    listening = Composition((*composition.members, Member(strategy_type(Listen), None)))
    stream = stream_of([2, 3, 4, 5, 6] * 3, [9, 4, 5])
    InlineRun(tiny_model(), stream, listening, Settings(batch=2, mode=mode), vocabulary=LETTERS).run()
    return np.concatenate(found)


@pytest.mark.parametrize("pair", valid_pairs(), ids="+".join)
def test_a_pair_scores_the_same_in_both_modes(pair):
    block, step = charged(pair, "block"), charged(pair, "step")
    assert np.abs(block - step).max() < 1e-4


def test_pairs_are_all_orders_that_a_composition_accepts():
    accepted = set()
    for first, second in permutations(adaptive(), 2):
        with suppress(UsageError):
            compose_types([plan(), first, second])
            accepted.add((first.alias, second.alias))
    assert set(valid_pairs()) == accepted
    assert ("ngram", "tilt") in accepted
    assert ("tilt", "ngram") in accepted


def test_all_stages_are_among_the_pairs():
    stages = {one.capabilities.stage for one in adaptive()}
    assert stages == {Stage.WEIGHTS, Stage.HIDDEN, Stage.LOGITS, Stage.PROBS}
