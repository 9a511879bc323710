"""Every pair of legal strategies that may run together gives the same scores in block and in step mode."""

from itertools import combinations

import numpy as np
import pytest

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.contract.composition import Composition, Member, compose
from evaladapt.contract.registry import find, installed, load
from evaladapt.engine.loop import Engine, Settings
from evaladapt.testing.compositions import strategy_type
from tests.strategies import Honest
from tests.tiny import stream_of, tiny_model

BUILT_IN = "evaladapt"
SMALL = {"ttt": {"chunk": 6}, "ttt-document": {"chunk": 6}, "lora-ttt": {"chunk": 6}}


def adaptive():
    names = sorted({one.alias for one in installed() if one.distribution == BUILT_IN})
    types = [load(find(name).qualified) for name in names]
    return [one for one in types if one.capabilities.stage != Stage.PLAN and not one.capabilities.peeks]


def valid_pairs():
    """Every two, in the order of their stages, and hedge last."""
    ordered = sorted(adaptive(), key=lambda one: (one.capabilities.stage, one.alias == "hedge", one.alias))
    return [(first.alias, second.alias) for first, second in combinations(ordered, 2)]


def charged(names, mode):
    found = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            found.append(scored.logprobs.numpy())

    options = {name: SMALL[name] for name in names if name in SMALL}
    composition = compose(list(names), {"sliding": {"stride": 4, "context": 8}, **options})
    listening = Composition((*composition.members, Member(strategy_type(Listen), None)))
    stream = stream_of([2, 3, 4, 5, 6] * 3, [9, 4, 5])
    Engine(tiny_model(), stream, listening, Settings(batch=2, mode=mode)).run()
    return np.concatenate(found)


@pytest.mark.parametrize("pair", valid_pairs(), ids="+".join)
def test_a_pair_scores_the_same_in_both_modes(pair):
    block, step = charged(pair, "block"), charged(pair, "step")
    assert np.abs(block - step).max() < 1e-4


def test_all_stages_are_among_the_pairs():
    stages = {one.capabilities.stage for one in adaptive()}
    assert stages == {Stage.WEIGHTS, Stage.HIDDEN, Stage.LOGITS, Stage.PROBS}
