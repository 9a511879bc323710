"""``stream``: windows that are read on, which is ``sliding`` where a layer cannot tell."""

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from evaladapt.contract import Capabilities, ModelInfo, Stage, StreamInfo, UsageError, hookimpl
from evaladapt.contract.composition import Composition, Member, compose_types
from evaladapt.contract.registry import load
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.model.transformer import Transformer
from evaladapt.testing import check_strategy
from evaladapt.testing.compositions import strategy_type
from evaladapt_plugins.stream import Stream, StreamOptions
from tests.plugins.runs import LETTERS
from tests.strategies import Honest
from tests.tiny import random_stream, stream_of, tiny_model

MODEL = ModelInfo(vocab_size=24, hidden_size=16, context=16, layers=2)
TEXT = random_stream((50, 35))
SMALL = {"ttt": {"chunk": 16}, "ttt-document": {"chunk": 16}}
COMPOSITIONS = [(), ("bias",), ("ttt", "slot-lbfgs", "ngram", "hedge"), ("ttt-document", "slot-hidden", "gate")]


def charged(*names, plan="stream", model=None, text=TEXT, mode="block", batch=4, **options):
    """What was charged for every target: [N]."""
    found = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            found.append(scored.logprobs.numpy())

    given = {plan: {"stride": 4, **options}, **{name: SMALL[name] for name in names if name in SMALL}}
    composition = compose_types([load(plan), *map(load, names)], given)
    listening = Composition((*composition.members, Member(strategy_type(Listen), None)))
    settings = Settings(batch=batch, mode=mode)
    InlineRun(model or tiny_model(), text, listening, settings, vocabulary=LETTERS).run()
    return np.concatenate(found)


def shallow():
    """Of one layer, whose keys and values are those of a token and not of what came before it."""
    deep = tiny_model()
    model = Transformer(replace(deep.config, layers=1))
    model.load_state_dict({name: one for name, one in deep.state_dict().items() if not name.startswith("blocks.1")})
    return model.requires_grad_(False)


def test_in_one_layer_it_is_sliding():
    assert np.abs(charged(model=shallow(), sinks=0) - charged(plan="sliding", model=shallow())).max() < 1e-4


@pytest.mark.parametrize("names", [(), ("ttt", "slot-lbfgs")])
def test_read_again_for_every_window_it_is_sliding(names):
    assert np.abs(charged(*names, rebuild=1) - charged(*names, plan="sliding")).max() < 1e-4


def test_in_two_layers_every_option_makes_a_function_of_its_own():
    options = [{}, {"rebuild": 1}, {"rebuild": 3}, {"sinks": 0}, {"sinks": 2}]
    for one, other in combinations([charged(**given) for given in options], 2):
        assert np.abs(one - other).max() > 1e-3


def test_what_was_read_further_back_than_the_window_still_tells():
    changed = TEXT.tokens.tolist()
    changed[3] = 2 + (changed[3] - 1) % 22
    other = replace(TEXT, tokens=np.array(changed, dtype=np.int32))
    apart = np.abs(charged(sinks=0) - charged(sinks=0, text=other))
    assert apart[22:30].max() > 1e-4
    assert np.abs(charged(plan="sliding") - charged(plan="sliding", text=other))[22:].max() == 0.0


@pytest.mark.parametrize("names", COMPOSITIONS, ids=",".join)
def test_both_modes_charge_the_same_in_every_composition(names):
    assert np.abs(charged(*names, rebuild=5) - charged(*names, rebuild=5, mode="step")).max() < 1e-4


@pytest.mark.parametrize("batch", [1, 32])
def test_how_many_windows_go_together_changes_nothing(batch):
    assert np.abs(charged("slot-lbfgs", batch=batch) - charged("slot-lbfgs")).max() < 1e-5


def test_documents_may_be_rows_of_their_own():
    alone = charged(text=stream_of(TEXT.tokens[52:].tolist()))
    apart = charged(documents="independent")
    assert np.abs(apart[-35:] - alone[-35:]).max() < 1e-4
    assert np.abs(apart[-35:] - charged()[-35:]).max() > 1e-3


def test_it_keeps_the_contract():
    findings = check_strategy(Stream, options={"stride": 3}, on=["transformer"], may_do_nothing=True)
    assert {one.probe for one in findings if one.outcome == "pass"} >= {"FLIP", "STEP", "REPEAT"}


def test_windows_are_read_again_when_their_turn_comes():
    plan = Stream(StreamOptions(stride=4, rebuild=3)).plan(StreamInfo(40, (0,), 1), MODEL)
    assert [window.continues for window in plan] == [False, True, True, False, True, True, False]


@pytest.mark.parametrize("options", [{"context": 17}, {"stride": 17}])
def test_windows_longer_than_the_models_are_refused(options):
    with pytest.raises(UsageError, match=r"-o stream.context=16"):
        Stream(StreamOptions(**options)).plan(StreamInfo(9, (0,), 1), MODEL)


def test_a_model_that_cannot_forget_is_refused():
    model = tiny_model()
    names = ("vocab_size", "hidden_size", "context", "layers", "hidden", "head", "named_parameters")
    stranger = SimpleNamespace(**{name: getattr(model, name) for name in names})
    with pytest.raises(UsageError, match="cannot let go of what it read"):
        charged(model=stranger)


def test_several_processes_are_refused():
    with pytest.raises(UsageError, match="read on from one another"):
        InlineRun(tiny_model(), TEXT, compose_types([load("stream")]), processes=SimpleNamespace(rank=0, count=2))
