import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.errors import UsageError
from evaladapt.train.schedule import Budget, rate_multiplier


def test_a_budget_in_steps_ignores_the_clock() -> None:
    budget = Budget(steps=200)
    assert budget.progress(50, 1e9) == 0.25
    assert budget.progress(200, 0.0) == 1


def test_a_budget_in_minutes_ignores_the_steps() -> None:
    budget = Budget(minutes=2.0)
    assert budget.progress(10**6, 30.0) == 0.25
    assert budget.progress(0, 120.0) == 1


@pytest.mark.parametrize("arguments", [{}, {"minutes": 1.0, "steps": 5}, {"steps": 0}, {"minutes": -1.0}])
def test_a_budget_has_one_positive_length(arguments: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Budget(**arguments)  # type: ignore[arg-type]


def test_rates_rise_by_steps_stay_and_fall_by_progress() -> None:
    assert [rate_multiplier(step, 0.0, 4, 0.5) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert [rate_multiplier(100, p, 4, 0.5) for p in (0.5, 0.75, 1.0)] == [1.0, 0.5, 0.0]
    assert rate_multiplier(0, 0.9, 0, 0.0) == 1.0


@given(step=st.integers(0, 10**6), progress=st.floats(0, 2), warmup=st.integers(0, 100), warmdown=st.floats(0, 1))
def test_the_multiplier_is_a_share(step: int, progress: float, warmup: int, warmdown: float) -> None:
    assert 0 <= rate_multiplier(step, progress, warmup, warmdown) <= 1
