"""Tests of differences, against values of the tables and a naive count."""

import math

import numpy as np
import pytest

from evaladapt.engine.paired import paired_difference, student_quantile, student_tail
from evaladapt.results.statistics import CONTEST_NATS, contest_test, holm, p_value


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [(6.314, 1, 0.05), (2.920, 2, 0.05), (2.764, 10, 0.01), (1.812, 10, 0.05), (2.042, 30, 0.025), (1.2816, 1e5, 0.1)],
)
def test_the_tail_is_that_of_the_tables(t, freedom, tail):
    assert student_tail(t, freedom) == pytest.approx(tail, rel=2e-3)
    assert student_tail(-t, freedom) == pytest.approx(1 - tail, rel=2e-3)


def test_the_tail_and_the_quantile_agree():
    assert 2 * student_tail(student_quantile(4.5), 4.5) == pytest.approx(0.05, abs=1e-6)
    assert student_tail(math.inf, 3.0) == 0.0


def test_holm_is_the_worked_example():
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def documents(gain, spread, count=40, seed=0):
    generator = np.random.default_rng(seed)
    targets = generator.integers(50, 150, count)
    before = 3.0 * targets
    after = before - targets * (gain + spread * generator.standard_normal(count))
    return before, after, targets, 4 * targets


def test_p_says_what_the_interval_says():
    for gain in (0.001, 0.01, 0.02, 0.2):
        before, after, targets, _ = documents(gain, 0.05)
        found = paired_difference(before, after, targets)
        assert (p_value(found) < 0.05) == (not found.low <= 0 <= found.high)


def test_few_documents_say_nothing():
    before, after, targets, sizes = documents(0.1, 0.01, count=1)
    assert p_value(paired_difference(before, after, targets)) is None
    assert contest_test(before, after, targets, sizes).p is None
    assert not contest_test(before, after, targets, sizes).passed


def test_the_bar_of_the_contest_has_to_be_passed_not_reached():
    below, above = contest_test(*documents(0.004, 0.002)), contest_test(*documents(0.008, 0.002))
    assert not below.passed
    assert below.p > 0.5
    assert above.passed
    assert above.nats == pytest.approx(0.008, abs=0.001)
    assert above.needed_bpb == pytest.approx(CONTEST_NATS / math.log(2) / 4)


def test_a_gain_at_the_bar_is_found_as_often_as_the_level_says():
    found = [contest_test(*documents(CONTEST_NATS, 0.02, seed=seed)).p < 0.1 for seed in range(1000)]
    assert 0.07 < np.mean(found) < 0.13


def test_without_any_spread_the_answer_is_certain():
    before, _, targets, sizes = documents(0, 0)
    assert contest_test(before, before - 0.01 * targets, targets, sizes).p == pytest.approx(0.0, abs=1e-6)
    assert p_value(paired_difference(before, before, targets)) == 1.0
