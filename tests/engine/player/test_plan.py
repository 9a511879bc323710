"""The base's recipe: the plan of a composition alone, whatever it was called."""

import pytest

from evaladapt.engine.player import plan
from evaladapt.engine.player.plan import plan_alone
from evaladapt.errors import EvaladaptError, PluginError


def recipe(*names, **options):
    return {"names": list(names), "options": options, "allow_noncausal": False, "base": True}


@pytest.mark.parametrize("names", [("bias",), ("sliding", "bias"), ("evaladapt:sliding", "bias")])
def test_it_has_the_plan_and_its_options(names):
    given = recipe(*names, sliding={"stride": "32"}, bias={"prior": "2"})
    alone = plan_alone(given)
    assert alone == {**given, "names": ["evaladapt:sliding"], "options": {"evaladapt:sliding": {"stride": "32"}}}


def test_another_plan_is_its_own_base():
    assert plan_alone(recipe("stream", "bias"))["names"] == ["evaladapt:stream"]


def test_what_is_wrong_with_the_composition_is_said():
    with pytest.raises(EvaladaptError, match="no strategy 'bais' is installed"):
        plan_alone(recipe("bais"))


@pytest.mark.parametrize("said", [b"", b"[1]", b'{"plan": "evaladapt:stream"}', b"{}"])
def test_a_fork_that_talks_nonsense_is_an_error(monkeypatch, said):
    monkeypatch.setattr(plan, "_composed", lambda _: said)
    with pytest.raises(PluginError, match="bias: which of them is the plan"):
        plan_alone(recipe("bias"))
