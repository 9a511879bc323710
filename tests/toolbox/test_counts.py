"""The count tables against Python dictionaries over every n-gram of the text."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.errors import UsageError
from evaladapt.toolbox.counts import NgramCounts
from evaladapt.toolbox.key_index import Ints
from tests.toolbox.test_continuations import as_counters

Reference = dict[tuple[int, ...], Counter[int]]
NOTHING = np.empty(0, dtype=np.int64)


def dictionary_counts(text: list[int], max_order: int) -> Reference:
    table: Reference = defaultdict(Counter)
    for place, token in enumerate(text):
        for context in range(1, min(max_order - 1, place) + 1):
            table[tuple(text[place - context : place])][token] += 1
    return table


def assert_same(counts: NgramCounts, table: Reference, contexts: Ints) -> None:
    found = counts.lookup(contexts)
    assert len(found) == counts.max_order - 1
    for order, continuations in enumerate(found, start=2):
        expected = [
            table.get(tuple(row[len(row) - order + 1 :]), Counter()) if len(row) >= order - 1 else Counter[int]()
            for row in contexts.tolist()
        ]
        assert as_counters(continuations) == expected


def windows_of(text: list[int], length: int) -> Ints:
    padded = np.concatenate([np.full(length, -1), np.array(text, dtype=np.int64)])
    return np.stack([padded[place : place + length] for place in range(len(text) + 1)])


@settings(max_examples=40, deadline=None)
@given(
    text=st.lists(st.sampled_from([0, 1, 2, 3, 70_000]), max_size=120),
    cuts=st.lists(st.integers(0, 120), max_size=5),
    max_order=st.integers(2, 6),
    extra=st.integers(-2, 3),
)
def test_counts_added_in_pieces_are_those_of_the_whole_text(
    text: list[int], cuts: list[int], max_order: int, extra: int
) -> None:
    counts = NgramCounts(max_order)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for first, last in pairwise(edges):
        counts.add(np.array(text[first:last], dtype=np.int32), np.array(text[:first], dtype=np.int32))
    table = dictionary_counts(text, max_order)
    assert_same(counts, table, windows_of(text, max(1, max_order - 1 + extra)))


def test_a_larger_text_agrees_too() -> None:
    rng = np.random.default_rng(1)
    text = np.minimum(rng.zipf(1.4, size=6000) - 1, 500).tolist()
    counts = NgramCounts(5)
    for first in range(0, len(text), 700):
        counts.add(np.array(text[first : first + 700]), np.array(text[max(0, first - 4) : first]))
    assert_same(counts, dictionary_counts(text, 5), windows_of(text, 4)[-800:])


def test_history_is_context_only() -> None:
    counts = NgramCounts(3)
    counts.add(np.array([3]), history=np.array([9, 1, 2]))
    two, three = counts.lookup(np.array([[1, 2], [9, 1], [9, 2]]))
    assert [dict(counter) for counter in as_counters(two)] == [{3: 1}, {}, {3: 1}]
    assert [dict(counter) for counter in as_counters(three)] == [{3: 1}, {}, {}]


def test_text_that_was_only_history_counts_once_it_is_added() -> None:
    counts = NgramCounts(4)
    counts.add(np.array([4]), history=np.array([1, 2, 3]))
    counts.add(np.array([1, 2, 3]), history=NOTHING)
    two = counts.lookup(np.array([[0, 0, 2]]))[0]
    assert as_counters(two) == [Counter({3: 1})]


def test_no_context_reaches_across_a_missing_token() -> None:
    counts = NgramCounts(3)
    counts.add(np.array([1, 2, 3, 1, 2, 3]), history=NOTHING)
    two, three = counts.lookup(np.array([[-1, 2], [1, -1]]))
    assert as_counters(two) == [Counter({3: 2}), Counter()]
    assert as_counters(three) == [Counter(), Counter()]


def test_clear_forgets() -> None:
    counts = NgramCounts(3)
    counts.add(np.array([1, 2, 1, 2]), history=NOTHING)
    counts.clear()
    assert len(counts) == 0
    assert counts.lookup(np.array([[1, 2]]))[0].totals.tolist() == [0]


def test_a_snapshot_restores_and_goes_on_alike() -> None:
    text = np.random.default_rng(2).integers(0, 5, size=300)
    counts = NgramCounts(4)
    counts.add(text[:200], NOTHING)
    other = NgramCounts(4)
    other.load_state(counts.state())
    for table in (counts, other):
        table.add(text[200:], text[:200])
    assert {name: values.tolist() for name, values in counts.state().items()} == {
        name: values.tolist() for name, values in other.state().items()
    }
    assert_same(other, dictionary_counts(text.tolist(), 4), windows_of(text.tolist(), 3))


def test_a_snapshot_is_not_changed_by_what_follows() -> None:
    counts = NgramCounts(3)
    counts.add(np.array([1, 2, 3]), NOTHING)
    before = {name: values.tolist() for name, values in counts.state().items()}
    kept = counts.state()
    counts.add(np.array([1, 2, 3]), np.array([2, 3]))
    assert {name: values.tolist() for name, values in kept.items()} == before


def test_a_full_table_forgets_rare_old_ngrams_and_stays_exact_on_the_rest() -> None:
    rng = np.random.default_rng(3)
    frequent = np.tile(np.array([1, 2, 3, 4]), 50)
    noise = rng.integers(10, 400, size=4000)
    counts = NgramCounts(4, max_entries=3000)
    history = NOTHING
    for block in np.array_split(np.concatenate([frequent, noise]), 40):
        counts.add(block, history)
        history = block
        assert len(counts) <= 3000
    table = dictionary_counts(np.concatenate([frequent, noise]).tolist(), 4)
    recent = windows_of(noise[-40:].tolist(), 3)[3:-1]
    two, three, four = counts.lookup(np.array([[2, 3, 4]]))
    assert as_counters(four)[0][1] == table[(2, 3, 4)][1] == 49
    assert as_counters(three)[0][1] == table[(3, 4)][1]
    assert as_counters(two)[0][1] == table[(4,)][1]
    assert (counts.lookup(recent)[1].totals > 0).all()
    old = windows_of(noise[:40].tolist(), 3)[3:-1]
    assert (counts.lookup(old)[2].totals == 0).any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.integers(60, 400))
def test_pruning_only_ever_forgets(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    text = np.minimum(rng.zipf(1.6, size=600) - 1, 30)
    counts = NgramCounts(4, max_entries=limit)
    for first in range(0, 600, 50):
        counts.add(text[first : first + 50], text[max(0, first - 3) : first])
    table = dictionary_counts(text.tolist(), 4)
    contexts = windows_of(text.tolist(), 3)[3:]
    for order, found in enumerate(counts.lookup(contexts), start=2):
        for context, counter in zip(contexts.tolist(), as_counters(found), strict=True):
            assert counter <= table[tuple(context[len(context) - order + 1 :])]


def test_a_table_too_small_for_anything_starts_again() -> None:
    counts = NgramCounts(3, max_entries=1)
    counts.add(np.arange(50), NOTHING)
    assert len(counts) == 0


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="max_order"):
        NgramCounts(1)
    with pytest.raises(UsageError, match="max_entries"):
        NgramCounts(3, max_entries=0)
    with pytest.raises(UsageError, match="padding"):
        NgramCounts(3).add(np.array([1, -1]), NOTHING)
    with pytest.raises(UsageError, match="contexts"):
        NgramCounts(3).lookup(np.array([1, 2]))
    with pytest.raises(UsageError, match="order 3"):
        NgramCounts(3).load_state(NgramCounts(4).state())
