import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.errors import UsageError
from evaladapt.toolbox.long_matches import MatchHistory

SHORTEST, LONGEST, CANDIDATES = 2, 5, 3


def slow(text, target):
    """(token, length) of every earlier place that agrees in at least the shortest context, latest first."""
    found = []
    for place in range(target - 1, SHORTEST - 1, -1):
        length = 0
        while length < min(LONGEST, place) and text[place - 1 - length] == text[target - 1 - length]:
            length += 1
        if length >= SHORTEST:
            found.append((text[place], length))
    return found[:CANDIDATES]


def fast(matches, row):
    pairs = zip(matches.tokens[row].tolist(), matches.lengths[row].tolist(), strict=True)
    return [(token, length) for token, length in pairs if length]


@settings(max_examples=60, deadline=None)
@given(text=st.lists(st.integers(0, 2), min_size=4, max_size=60), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_matches_are_those_of_a_slow_search_however_the_text_is_cut(text, cuts):
    history = MatchHistory(SHORTEST, LONGEST, CANDIDATES, capacity=1000)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0})
    for first, last in zip(places, [*places[1:], len(text)], strict=True):
        found = history.find(np.array(text[first:last], dtype=np.int64), np.arange(last - first + 1))
        for row, target in enumerate(range(first, last + 1)):
            if target >= SHORTEST:
                assert fast(found, row) == slow([*text, -1], target)
        history.add(np.array(text[first:last], dtype=np.int64))


def test_tokens_after_a_target_change_nothing():
    history = MatchHistory(SHORTEST, LONGEST)
    run = np.array([1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2])
    whole, cut = history.find(run, np.array([6])), history.find(run[:6], np.array([6]))
    assert fast(whole, 0) == fast(cut, 0) != []


def test_the_older_half_is_forgotten_when_it_is_full():
    history = MatchHistory(SHORTEST, LONGEST, capacity=20)
    for _ in range(10):
        history.add(np.arange(7))
        assert len(history) <= 20
    assert history.tokens[-7:].tolist() == list(range(7))
    found = history.find(np.array([0, 1]), np.array([2]))
    assert fast(found, 0)[0] == (2, 5)


def test_odd_sizes_are_refused():
    with pytest.raises(UsageError, match="shortest <= longest"):
        MatchHistory(5, 4)
