import pytest

from tests.zoo.hidden import HIDDEN, run
from tests.zoo.hiding import BlockOnly, LargeBatches
from tests.zoo.test_zoo import _nothing_is_left_behind  # noqa: F401
from tests.zoo.undetected import Actor, TextInCode


@pytest.mark.parametrize("setting", HIDDEN, ids=[f"{one.cls.__name__}: {one.said[:40]}" for one in HIDDEN])
def test_a_hiding_cheat_is_caught_with_the_setting_that_the_page_names(setting):
    convicted = setting.look(setting.cls)
    assert (setting.probe in convicted) if setting.probe else not convicted


@pytest.mark.parametrize(("cls", "settings"), [(LargeBatches, {"batch": 1}), (BlockOnly, {"mode": "step"})])
def test_what_is_not_caught_there_gains_nothing_there(cls, settings):
    record = run(cls, **settings)
    assert (record.verdict, record.difference.bpb) == ("CAUSAL", 0)


def test_a_text_in_the_code_is_worth_something_on_that_text_only():
    """Fresh text is the answer: with another seed the toy's text is another one."""
    known, fresh = (run(TextInCode, lengths=(31, 22), seed=seed).difference.bpb for seed in (0, 1))
    assert known < -0.5
    assert fresh > 0


def test_an_actor_gains_where_nobody_looks():
    """So what no probe convicts is a cheat; decoding convicts it (tests/codec/test_hiding.py)."""
    assert run(Actor).difference.bpb < -0.5
