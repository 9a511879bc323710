"""No false alarms: honest strategies, built-in and of the tests, alone and stacked, over seeds.

EVALADAPT_SEEDS=20 runs all of them, and every valid pair, over twenty seeds, in a quarter of an hour; without it a
strategy has one seed, stacks have five, and one pair of twenty is run.
"""

import dataclasses
import os

import pytest

from evaladapt.audit.bench import SMALL, Bench
from evaladapt.audit.full import audit, probes_named
from evaladapt.audit.subject import Subject
from evaladapt.audit.toy import toy_stream
from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import compose_types
from evaladapt.contract.registry import installed, load
from evaladapt.engine.loop import Settings
from evaladapt.testing.compositions import strategy_type
from tests.plugins.test_pairs import valid_pairs
from tests.strategies import EVERY_KIND, DocumentUnigram, Hedge
from tests.tiny import tiny_model

SEEDS = range(int(os.environ.get("EVALADAPT_SEEDS", "1")))
PROBES = probes_named(["REPEAT", "FLIP", "STEP"])
EFFORT = dataclasses.replace(SMALL, flips=2, step_targets=24)
SMALLER = {"chunk": 6, "strength": 2.0, "context": 8}
"""Options that make a strategy act on a text of forty tokens, where it has them."""
BUILT_IN = [one.alias for one in installed() if one.distribution == "evaladapt"]
PEEKING = {alias for alias in BUILT_IN if load(alias).capabilities.peeks}
HONEST = sorted(set(BUILT_IN) - PEEKING)


def subject(types, seed):
    options = {"sliding": {"stride": 2}}
    for one in types:
        names = {field.name for field in dataclasses.fields(one.options)}
        options.setdefault(one.alias, {name: value for name, value in SMALLER.items() if name in names})
    if any(one.capabilities.stage == Stage.PLAN and one.alias != "sliding" for one in types):
        del options["sliding"]
    return Subject(
        model=tiny_model(seed=seed, context=8),
        stream=toy_stream((21, 12), vocabulary=24, seed=seed),
        composition=compose_types(types, options),
        settings=Settings(batch=3, seed=seed),
    )


def refuse_alarms(types, seed):
    findings = audit(Bench(subject(types, seed), effort=EFFORT, seed=seed), PROBES)
    assert not [str(one) for one in findings if one.outcome == "fail"]
    assert sum(one.outcome == "pass" for one in findings) >= 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alias", HONEST)
def test_a_built_in_strategy_raises_no_alarm(alias, seed):
    refuse_alarms([load(alias)], seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cls", [*EVERY_KIND, DocumentUnigram, Hedge], ids=lambda cls: cls.__name__)
def test_a_small_honest_strategy_raises_no_alarm(cls, seed):
    refuse_alarms([strategy_type(cls)], seed)


@pytest.mark.parametrize("seed", range(max(5, len(SEEDS))))
def test_strategies_on_top_of_each_other_raise_no_alarm(seed):
    """One strategy of every stage, another one each time."""
    stages = [[load(alias) for alias in HONEST if load(alias).capabilities.stage == stage] for stage in Stage]
    refuse_alarms([types[seed % len(types)] for types in stages if types], seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pair", valid_pairs()[:: 1 if len(SEEDS) > 1 else 20], ids=",".join)
def test_a_pair_raises_no_alarm(pair, seed):
    refuse_alarms([load(alias) for alias in pair], seed)
