"""The exact key index against a Python dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.toolbox.key_index import KeyIndex

KEYS = st.integers(0, 2**62)


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(KEYS, max_size=60), max_size=8), asked=st.lists(KEYS, max_size=20))
def test_it_agrees_with_a_dictionary(batches: list[list[int]], asked: list[int]) -> None:
    index, reference = KeyIndex(), dict[int, int]()
    for batch in batches:
        new = [key for key in dict.fromkeys(batch) if key not in reference]
        for key in new:
            reference[key] = len(reference)
        assert index.add(np.array(new, dtype=np.int64)).tolist() == [reference[key] for key in new]
    wanted = asked + [key for batch in batches for key in batch]
    found = index.find(np.array(wanted, dtype=np.int64))
    assert found.tolist() == [reference.get(key, -1) for key in wanted]
    assert index.keys.tolist() == list(reference)


def test_keys_survive_growth_and_crowding() -> None:
    index = KeyIndex()
    keys = np.arange(50_000, dtype=np.int64) << 32
    for part in np.array_split(keys, 37):
        index.add(part)
    assert len(index) == len(keys)
    assert np.array_equal(index.find(keys), np.arange(len(keys)))
    assert (index.find(keys + 1) == -1).all()


def test_keys_with_one_home_slot_are_told_apart() -> None:
    index = KeyIndex()
    candidates = np.arange(200_000, dtype=np.int64)
    crowd = candidates[index._home(candidates) == index._home(candidates[:1])[0]]
    assert len(crowd) > 100
    numbers = index.add(crowd[::2])
    assert np.array_equal(index.find(crowd[::2]), numbers)
    assert (index.find(crowd[1::2]) == -1).all()
