"""Means on disk against means in memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.calibration.spool import SpooledMeans
from evaladapt.errors import DataError

SIZES = {"a": 3, "b": 5, "c": 1}


@given(st.lists(st.tuples(st.sampled_from(sorted(SIZES)), st.integers(1, 9)), min_size=1, max_size=12))
def test_in_any_order_they_are_sums_over_counts(added):
    spooled, sums, counts = SpooledMeans(), {}, {}
    generator = np.random.default_rng(len(added))
    for name, count in added:
        total = generator.standard_normal((SIZES[name], SIZES[name])).astype(np.float32)
        spooled.add(name, total, count)
        sums[name] = sums[name] + total if name in sums else total
        counts[name] = counts.get(name, 0) + count
    assert sorted(spooled) == sorted(sums)
    for name in sums:
        np.testing.assert_array_equal(spooled[name], sums[name] / np.float32(counts[name]))


def test_a_name_may_stand_for_anothers_mean():
    spooled = SpooledMeans()
    spooled.add("a", np.ones((2, 2), np.float32), 2)
    spooled.share("b", "a")
    spooled.add("a", np.ones((2, 2), np.float32), 2)
    assert (spooled["b"] == 0.5).all()
    assert spooled.owner("b") == "a"
    assert "c" not in spooled
    assert spooled.get("c") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_says_what_to_do(monkeypatch):
    spooled = SpooledMeans()
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr(spooled, "_file", full)
        with pytest.raises(DataError, match="TMPDIR"):
            spooled.add("a", np.ones((2, 2), np.float32), 1)
