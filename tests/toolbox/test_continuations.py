from collections import Counter

import numpy as np

from evaladapt.toolbox.continuations import Continuations


def as_counters(found: Continuations) -> list[Counter[int]]:
    """By context, how often each token followed; totals must agree, and contexts be in order."""
    counters = [Counter[int]() for _ in found.totals]
    for row, token, count in zip(found.rows.tolist(), found.tokens.tolist(), found.counts.tolist(), strict=True):
        counters[row][token] += count
    assert found.totals.tolist() == [counter.total() for counter in counters]
    assert (np.diff(found.rows) >= 0).all()
    return counters


def test_totals_and_variety_are_by_context() -> None:
    found = Continuations.of(4, np.array([0, 0, 2]), np.array([5, 6, 5]), np.array([3, 1, 2]))
    assert found.totals.tolist() == [4, 0, 2, 0]
    assert found.variety().tolist() == [2, 0, 1, 0]


def test_nothing_followed() -> None:
    found = Continuations.none(2)
    assert found.totals.tolist() == [0, 0]
    assert found.variety().tolist() == [0, 0]
