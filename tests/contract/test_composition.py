from dataclasses import dataclass, replace

import pytest

from evaladapt.contract import Capabilities, Stage, Window, hookimpl, option
from evaladapt.contract.composition import compose_types
from evaladapt.errors import UsageError
from evaladapt.testing.compositions import strategy_type


class Base:
    contract_version = 1

    def __init__(self, options):
        self.options = options


@dataclass(frozen=True, kw_only=True)
class Options:
    rate: float = option(1.0, "a rate")


class Plan(Base):
    capabilities = Capabilities(stage=Stage.PLAN)

    @hookimpl
    def plan(self, stream):
        yield Window(0, 1, stream.targets + 1)


class Train(Base):
    capabilities = Capabilities(stage=Stage.WEIGHTS, scope="stream", writes_weights=True)
    Options = Options


class Bias(Base):
    capabilities = Capabilities(stage=Stage.LOGITS)


class Cache(Base):
    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")


class Peeker(Base):
    capabilities = Capabilities(stage=Stage.LOGITS, peeks=True, breaks=("C1", "C3"), legal_relative="bias")


def compose(*classes, **arguments):
    return compose_types([strategy_type(cls) for cls in classes], **arguments)


def refused(*classes, **arguments):
    with pytest.raises(UsageError) as caught:
        compose(*classes, **arguments)
    return str(caught.value)


def test_order_is_the_users_and_options_reach_their_strategy():
    built = compose(Plan, Train, Bias, Cache, options={"train": {"rate": "3"}})
    assert built.line == "plan,train,bias,cache"
    assert built.members[1].options == Options(rate=3.0)
    assert built.base().line == "plan"


def test_a_decreasing_stage_is_refused_with_the_corrected_line():
    message = refused(Plan, Cache, Bias, Train)
    assert "cache (probs), bias (logits), train (weights)" in message
    assert "--plugins plan,train,bias,cache" in message


def test_the_same_strategy_twice_is_refused():
    assert "'bias' is named twice" in refused(Plan, Bias, Bias)


def of_two_distributions(**arguments):
    """Two strategies that are both called ``bias``."""
    ours = strategy_type(Train, "bias")
    theirs = replace(strategy_type(Cache, "bias"), listing=replace(ours.listing, distribution="elsewhere"))
    return compose_types([strategy_type(Plan), ours, theirs], **arguments)


def test_two_strategies_of_one_alias_take_part_under_their_qualified_names():
    built = of_two_distributions(options={"not-installed:bias": {"rate": "3"}})
    assert built.line == "plan,not-installed:bias,elsewhere:bias"
    assert built.members[1].options == Options(rate=3.0)
    assert compose(Plan, Bias).line == "plan,bias"
    assert compose(Plan, Bias).qualified == "not-installed:plan,not-installed:bias"


def test_an_option_for_one_of_two_strategies_of_one_alias_says_which():
    with pytest.raises(UsageError, match="Taking part: plan, not-installed:bias, elsewhere:bias"):
        of_two_distributions(options={"bias": {"rate": "3"}})


def test_two_plans_are_refused():
    other = type("OtherPlan", (Plan,), {})
    assert "plan and otherplan both plan" in refused(Plan, other)


def test_an_option_for_a_strategy_that_takes_no_part_is_refused():
    assert "Did you mean 'train'?" in refused(Plan, Train, options={"trian": {"rate": "3"}})


def test_a_peeking_strategy_needs_the_flag_and_is_told_its_legal_relative():
    message = refused(Plan, Peeker)
    assert "breaks C1, C3" in message
    assert "--plugins bias" in message
    assert "--allow-noncausal" in message
    assert compose(Plan, Peeker, allow_noncausal=True).peeking[0].alias == "peeker"
