import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.toolbox.learned_factor import LearnedFactor

GRID = 2.0 ** torch.arange(-3, 4, dtype=torch.float64)


def fresh(half_life: float = 1000.0) -> LearnedFactor:
    return LearnedFactor.fresh(GRID, half_life)


def test_it_starts_at_one():
    assert fresh().value == pytest.approx(1.0)


@given(best=st.integers(0, len(GRID) - 1))
def test_it_goes_where_the_charges_are_best(best):
    charges = -5.0 * (torch.arange(len(GRID)) - best).abs().double()
    learned = fresh()
    for _ in range(10):
        learned = learned.after(charges, 10)
    assert learned.value == pytest.approx(float(GRID[best]), rel=0.01)


@given(shift=st.floats(-1000.0, 1000.0))
def test_charges_that_are_all_alike_teach_nothing(shift):
    charges = torch.linspace(-3.0, 2.0, len(GRID), dtype=torch.float64)
    assert fresh().after(charges + shift, 5).value == pytest.approx(fresh().after(charges, 5).value)


def test_old_evidence_fades():
    high = fresh(half_life=100.0).after(torch.arange(len(GRID)).double() * 20, 10)
    low = torch.arange(len(GRID)).flip(0).double()
    for _ in range(100):
        high = high.after(low, 10)
    assert high.value < 1.0


def test_evidence_counts_half_after_its_half_life():
    charges = torch.arange(len(GRID)).double()
    once = fresh(half_life=50.0).after(charges, 50)
    assert torch.allclose(once.after(torch.zeros_like(charges), 50).log_weights, 0.5 * once.log_weights)


@given(doubling=st.integers(1, 3))
def test_a_stronger_prior_needs_more_evidence(doubling):
    charges = torch.log2(GRID) * 3
    weak, strong = (LearnedFactor.fresh(GRID, 1000.0, nats).after(charges, 10).value for nats in (2.0, 4.0))
    assert weak > 4.0
    assert strong < 1.5
