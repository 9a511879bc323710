"""Which calls are rehearsed, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.audit.allowance import Allowance
from evaladapt.audit.draws import Draw

CHEAP, DEAR, BEGIN = ("slot", "transform_logits"), ("ttt", "observe"), ("ttt", "begin")


class Run:
    """A run whose batches call hooks that take a given time; a rehearsal takes as long again."""

    def __init__(self, share, rate=0.5):
        self.now = 0.0
        self.spent, self.times = {}, {}
        self.share = share
        self.allowance = Allowance(Draw(0), rate, share, clock=lambda: self.now)

    def call(self, hook, number, seconds):
        rehearsed = self.allowance.covers(hook, number)
        self.now += seconds
        self.allowance.note(hook, seconds)
        if rehearsed:
            self.now += seconds
            self.allowance.book(hook, seconds)
            self.spent[hook] = self.spent.get(hook, 0.0) + seconds
            self.times[hook] = self.times.get(hook, 0) + 1


def test_every_first_call_is_rehearsed_and_without_a_limit_half_of_the_others():
    run = Run(share=None)
    for number in range(200):
        run.call(CHEAP, number, 1.0)
    assert 80 <= run.times[CHEAP] <= 120
    run.call(BEGIN, 0, 1.0)
    assert run.times[BEGIN] == 1


COST = st.floats(0.001, 3.0)


@given(st.lists(st.tuples(COST, COST), min_size=1, max_size=4), st.floats(0.01, 0.2), st.floats(0.0, 60.0))
def test_the_share_is_kept_but_for_first_calls_even_where_later_ones_cost_more(costs, share, base):
    run = Run(share, rate=1.0)
    run.now += base
    for number in range(40):
        for index, (first, later) in enumerate(costs):
            run.call((f"s{index}", "adapt"), number, later if number else first)
            assert sum(run.spent.values()) <= max(share * run.now, sum(first for first, _ in costs)) + 1e-9


def test_a_dear_call_gets_its_turn_and_cheap_ones_are_not_starved_by_it():
    run = Run(share=0.04)
    run.call(BEGIN, 0, 0.1)
    for number in range(60):
        run.call(CHEAP, number, 0.05)
        run.call(DEAR, number, 0.01 if number == 0 else 1.0)
    assert run.times[DEAR] >= 2
    assert run.times[CHEAP] >= 5


@pytest.mark.parametrize("share", [0.0, 1e-9])
def test_without_time_only_first_calls_are_rehearsed(share):
    run = Run(share)
    for number in range(30):
        run.call(CHEAP, number, 1.0)
    assert run.times == {CHEAP: 1}
