from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.toolbox.continuations import Continuations
from evaladapt.toolbox.recency import Nearby, merged, recent_tokens
from tests.toolbox.test_continuations import as_counters

VOCABULARY = 4
tokens = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30)


def slow_nearby(run, place, order, frontier, nearby):
    """Look at every earlier token and compare its context with the target's, token by token."""
    context = order - 1
    counted: Counter[int] = Counter()
    for earlier in range(context, place):
        if place < context or run[earlier - context : earlier] != run[place - context : place]:
            continue
        near = place - earlier <= nearby.reach
        counted[run[earlier]] += int(earlier >= frontier) + nearby.weight * int(near)
    return {token: count for token, count in counted.items() if count}


@settings(max_examples=150, deadline=None)
@given(run=tokens, reach=st.integers(1, 12), weight=st.integers(0, 3), order=st.integers(2, 4), data=st.data())
def test_nearby_counts_are_those_of_a_slow_search(run, reach, weight, order, data):
    frontier = data.draw(st.integers(0, len(run)))
    places = np.arange(frontier, len(run) + 1)
    nearby = Nearby(reach, weight, order)
    found = nearby.continuations(np.array(run), places, frontier)
    for index, one in enumerate(found):
        expected = [slow_nearby(run, place, index + 2, frontier, nearby) for place in places.tolist()]
        assert as_counters(one) == expected
        assert one.totals.tolist() == [sum(row.values()) for row in expected]


@settings(max_examples=100, deadline=None)
@given(run=tokens, reach=st.integers(1, 12), data=st.data())
def test_recent_counts_are_those_of_the_last_tokens(run, reach, data):
    places = np.arange(len(run) + 1)
    chosen = data.draw(st.sets(st.sampled_from(places.tolist()), min_size=1))
    for some in (places, np.array(sorted(chosen))):
        found = recent_tokens(np.array(run), some, reach)
        assert as_counters(found) == [Counter(run[max(0, place - reach) : place]) for place in some.tolist()]
        assert found.rows.tolist() == sorted(found.rows.tolist())


def test_merging_leaves_one_entry_per_token():
    one = Continuations.of(2, np.array([0, 1]), np.array([3, 3]), np.array([2, 5]))
    other = Continuations.of(2, np.array([0, 0]), np.array([3, 1]), np.array([4, 1]))
    both = merged(one, other)
    assert as_counters(both) == [{3: 6, 1: 1}, {3: 5}]
    assert both.variety().tolist() == [2, 1]
    assert merged(one, Continuations.none(2)) is one


@pytest.mark.parametrize("reach", [1, 5])
def test_a_target_does_not_see_itself_or_what_follows(reach):
    run = np.array([1, 2, 1, 2, 1, 3])
    nearby = Nearby(reach, 2, 3)
    place = np.array([4])
    for changed in (4, 5):
        other = run.copy()
        other[changed] = 0
        for one, two in zip(nearby.continuations(run, place, 2), nearby.continuations(other, place, 2), strict=True):
            assert as_counters(one) == as_counters(two)
        assert as_counters(recent_tokens(run, place, reach)) == as_counters(recent_tokens(other, place, reach))
