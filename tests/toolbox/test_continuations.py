"""Continuations in the tokens just before a target, against a plain loop."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.errors import UsageError
from evaladapt.toolbox.continuations import Continuations, joined_orders, recent_continuations
from evaladapt.toolbox.key_index import Ints

SMALL_TOKENS = st.integers(-1, 2)


def as_counters(found: Continuations) -> list[Counter[int]]:
    counters = [Counter[int]() for _ in found.totals]
    for row, token, count in zip(found.rows.tolist(), found.tokens.tolist(), found.counts.tolist(), strict=True):
        counters[row][token] += count
    assert found.totals.tolist() == [counter.total() for counter in counters]
    assert (np.diff(found.rows) >= 0).all()
    return counters


def plain_loop(preceding: list[int], fresh: int, order: int) -> Counter[int]:
    length, context = len(preceding), order - 1
    found = Counter[int]()
    own = preceding[length - context :]
    if length < context or min(own, default=0) < 0:
        return found
    for place in range(max(context, length - fresh), length):
        if preceding[place - context : place] == own and preceding[place] >= 0:
            found[preceding[place]] += 1
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data(), length=st.integers(0, 14), rows=st.integers(0, 4), max_order=st.integers(2, 6))
def test_recent_continuations_are_those_of_a_plain_loop(
    data: st.DataObject, length: int, rows: int, max_order: int
) -> None:
    preceding = data.draw(
        st.lists(st.lists(SMALL_TOKENS, min_size=length, max_size=length), min_size=rows, max_size=rows)
    )
    fresh = data.draw(st.lists(st.integers(0, length), min_size=rows, max_size=rows))
    found = recent_continuations(
        np.array(preceding, dtype=np.int64).reshape(rows, length), np.array(fresh, dtype=np.int64), max_order
    )
    assert len(found) == max_order - 1
    for order, continuations in enumerate(found, start=2):
        expected = [plain_loop(row, count, order) for row, count in zip(preceding, fresh, strict=True)]
        assert as_counters(continuations) == expected


def block_of_targets(run: Ints, frontier: int, length: int) -> tuple[Ints, Ints]:
    targets = np.arange(frontier, len(run))
    padded = np.concatenate([np.full(length, -1), run])
    preceding = np.stack([padded[target : target + length] for target in targets])
    return preceding, targets - frontier


def test_a_block_and_its_targets_one_by_one_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    run = np.random.default_rng(0).integers(0, 4, size=60)
    preceding, fresh = block_of_targets(run, frontier=20, length=50)
    monkeypatch.setattr("evaladapt.toolbox.continuations._COMPARISONS_AT_ONCE", 300)
    together = [as_counters(found) for found in recent_continuations(preceding, fresh, 6)]
    for row, count in enumerate(fresh.tolist()):
        needed = preceding[row : row + 1, -(count + 5) :]
        alone = recent_continuations(needed, fresh[row : row + 1], 6)
        assert [as_counters(found)[0] for found in alone] == [counters[row] for counters in together]


def test_nothing_before_the_frontier_counts_as_a_continuation() -> None:
    preceding = np.array([[1, 2, 1, 2, 1]])
    assert as_counters(recent_continuations(preceding, np.array([0]), 2)[0]) == [Counter()]
    assert as_counters(recent_continuations(preceding, np.array([2]), 2)[0]) == [Counter({2: 1})]
    assert as_counters(recent_continuations(preceding, np.array([4]), 2)[0]) == [Counter({2: 2})]


def test_no_context_begins_before_the_first_token() -> None:
    two, three, four = recent_continuations(np.array([[1, 1, 1]]), np.array([3]), 4)
    assert as_counters(two) == [Counter({1: 2})]
    assert as_counters(three) == [Counter({1: 1})]
    assert as_counters(four) == [Counter()]


def test_joined_adds_counts_and_keeps_the_order_of_contexts() -> None:
    first = Continuations.of(3, np.array([0, 2]), np.array([5, 6]), np.array([1, 2]))
    second = Continuations.of(3, np.array([0, 1]), np.array([5, 7]), np.array([4, 1]))
    (joined,) = joined_orders([first], [second])
    assert as_counters(joined) == [Counter({5: 5}), Counter({7: 1}), Counter({6: 2})]
    assert as_counters(first.joined(Continuations.none(3))) == as_counters(first)
    assert as_counters(Continuations.none(3).joined(second)) == as_counters(second)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="preceding"):
        recent_continuations(np.zeros((2, 3), dtype=np.int64), np.zeros(3, dtype=np.int64), 3)
