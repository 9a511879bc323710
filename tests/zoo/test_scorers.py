import numpy as np
import pytest

from tests.zoo.adapting import SlotOfTheBatch
from tests.zoo.distribution import Oracle
from tests.zoo.published_leaks import V, log_softmax, score_first, static
from tests.zoo.scorers import bits_saved, engine_scorer, free_bits, swapped_sum
from tests.zoo.subjects import toy_bench


@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_code_has_no_free_bits_and_a_discount_is_counted_exactly(length):
    assert free_bits(score_first, V, length) == pytest.approx(0, abs=1e-12)
    assert free_bits(lambda x: static(x) - np.log(2) * 0.5, V, length) == pytest.approx(0.5 * length)


def test_targets_that_are_not_scored_are_free():
    assert free_bits(lambda x: np.full(len(x), np.nan), V, 3) == pytest.approx(3 * np.log2(V))
    assert swapped_sum(lambda x: np.full(len(x), np.nan), np.zeros(3, dtype=np.int32), 1, range(V)) == V


def test_bits_saved_is_the_difference_to_what_the_author_paid():
    x = np.array([0, 1, 2, 1], dtype=np.int32)
    assert bits_saved(static, x, float(static(x).sum())) == pytest.approx(0)
    assert bits_saved(static, x, float(static(x).sum()) + np.log(2)) == pytest.approx(1)


def test_logs_are_normalised():
    assert np.allclose(np.exp(log_softmax(np.array([[1.0, 2.0, -30.0]]))).sum(), 1)


def test_a_composition_is_a_scorer_and_gives_itself_away_by_numbers_alone():
    text = np.array([1, 2, 3, 4, 5, 6, 7, 1], dtype=np.int32)
    assert swapped_sum(engine_scorer(toy_bench().subject), text, 3, range(8)) == pytest.approx(1, abs=1e-5)
    assert swapped_sum(engine_scorer(toy_bench(Oracle).subject), text, 3, range(8)) > 1.05
    assert swapped_sum(engine_scorer(toy_bench(SlotOfTheBatch).subject), text, 3, range(8)) > 1.05
