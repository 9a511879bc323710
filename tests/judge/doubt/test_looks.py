"""Which targets are looked at: never too few, as often as was said, and bounds that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.judge.doubt.looks import FEWEST, USUAL, Looks


class Always:
    """Draws the same number every time."""

    def __init__(self, number):
        self.number = number

    def random(self, size):
        return np.full(size, self.number)


def groups(targets, size):
    return [(first, min(size, targets + 1 - first)) for first in range(1, targets + 1, size)]


def drawn(looks, size, saved=None, free=None):
    """All targets that are looked at in a run whose composition saved so many nats by target [N+1]."""
    found = []
    for first, count in groups(looks.targets, size):
        group = slice(first, first + count)
        charges = np.zeros(count) if saved is None else saved[group] - looks.base_nats[group]
        mask = np.zeros(count, dtype=bool) if free is None else free[group]
        if not found:
            found += looks.first_of(first, mask)
        found += looks.of_group(first, charges, mask)
    return found


@given(
    st.integers(1, 3000), st.integers(1, 700), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 1 - 1e-9, None])
)
def test_never_fewer_than_twenty_and_every_target_of_a_short_text(targets, size, seed, number):
    draw = np.random.default_rng(seed) if number is None else Always(number)
    looks = Looks(targets, None, draw)
    looks.afford(0)
    found = drawn(looks, size)
    assert len(set(found)) == len(found) >= min(FEWEST, targets)
    assert looks.looked == len(found)
    assert all(1 <= one <= targets for one in found)


@given(st.integers(30, 3000), st.integers(1, 500), st.integers(0, 2**32 - 1))
def test_under_full_audit_every_group_is_looked_at(targets, size, seed):
    looks = Looks(targets, None, np.random.default_rng(seed), every_batch=True)
    looks.afford(0)
    for first, count in groups(targets, size):
        assert looks.of_group(first, np.zeros(count), np.zeros(count, dtype=bool))


@given(st.integers(1, 400), st.data())
def test_a_boundary_that_everybody_was_told_is_not_looked_at(targets, data):
    free = np.zeros(targets + 1, dtype=bool)
    free[data.draw(st.lists(st.integers(1, targets)))] = True
    looks = Looks(targets, None, np.random.default_rng(data.draw(st.integers(0, 99))), every_batch=True)
    found = drawn(looks, 50, free=free)
    assert not free[found].any()
    assert bool(found) == (not free[1:].all())


def test_what_the_looks_cost_decides_between_the_fewest_and_the_usual():
    looks = Looks(10_000, None, np.random.default_rng(0))
    for afforded, wanted in ((0, FEWEST), (50, 50), (10_000, USUAL)):
        looks.afford(afforded)
        assert looks.wanted == wanted


def test_who_answers_now_in_one_shape_and_now_in_another_escapes_no_oftener_than_the_bound_says():
    """At a share of targets the player says what a twin says in the one shape, at as many what it says in the other."""
    draw, targets = np.random.default_rng(0), 4_000
    looks = Looks(targets, None, draw)
    looks.of_group(1, np.zeros(targets), np.zeros(targets, dtype=bool))
    plain = looks.bounds().targets
    looks.by_shape = True
    share = looks.bounds().targets
    assert plain < share < 2 * plain
    escaped = 0
    for _ in range(4_000):
        met = draw.random(USUAL // 2) < share, draw.random(USUAL // 2) < share
        seen = np.flatnonzero(met[0])
        escaped += not len(seen) or not met[1][seen[0] + 1 :].any()
    assert 0.03 < escaped / 4_000 < 0.06


def test_half_is_drawn_evenly_and_half_by_what_was_saved():
    """All of the gain is at one target of ten: there, half of the looks and a tenth of the other half."""
    targets, counts, gained = 20_000, np.zeros(20_001), np.zeros(20_001)
    gained[10::10] = 1.0
    for seed in range(40):
        looks = Looks(targets, np.full(targets + 1, 1.0), np.random.default_rng(seed))
        for one in drawn(looks, 1000, saved=gained):
            counts[one] += 1
    by_gain, elsewhere = counts[gained > 0].sum(), counts[gained == 0].sum()
    half = 40 * USUAL / 2
    assert elsewhere == pytest.approx(0.9 * half, rel=0.1)
    assert by_gain == pytest.approx(1.1 * half, rel=0.1)
    halves = counts[gained == 0][:9_000].sum() / elsewhere
    assert halves == pytest.approx(0.5, abs=0.05)


def test_nothing_follows_for_targets_that_were_scored_before_an_interruption():
    targets, base = 4_000, np.ones(4_001)
    whole, rest = (Looks(targets, base, np.random.default_rng(0)) for _ in range(2))
    for looks, first in ((whole, 1), (rest, 3_001)):
        looks.of_group(first, np.full(targets + 1 - first, -0.5), np.zeros(targets + 1 - first, dtype=bool))
    assert whole.bounds().targets < 0.06
    assert whole.bounds().gain is not None
    assert 0.75 < rest.bounds().targets < 1
    assert rest.bounds().gain is None


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_who_cheats_at_a_share_is_convicted_as_often_as_one_minus_its_rest_to_the_looks(share):
    targets, escaped, trials, looks_made = 4096, 0, 300, []
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        cheats = set((generator.permutation(targets)[: int(share * targets)] + 1).tolist())
        looks = Looks(targets, None, generator)
        found = drawn(looks, 1024)
        looks_made.append(len(found))
        escaped += not cheats & set(found)
    expected = float(np.mean([(1 - share) ** one for one in looks_made]))
    assert abs(escaped / trials - expected) < 4 * np.sqrt(max(expected * (1 - expected), 1e-4) / trials)


def test_the_bound_by_targets_holds_in_95_of_100_runs():
    """A cheat at just the share that the bound allows escapes in at most five of a hundred runs."""
    targets, escaped, trials = 8192, 0, 600
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        looks = Looks(targets, None, generator)
        found = set(drawn(looks, 1024))
        share = looks.bounds().targets
        cheats = set((generator.permutation(targets)[: int(share * targets) + 1] + 1).tolist())
        escaped += not cheats & found
    assert escaped / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_the_bound_by_gain_holds_in_95_of_100_runs():
    targets, escaped, trials = 8192, 0, 400
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        saved = generator.exponential(0.2, targets + 1)
        saved[0] = 0
        looks = Looks(targets, np.full(targets + 1, 2.0), generator)
        found = set(drawn(looks, 1024, saved=saved))
        bound = looks.bounds().gain
        order = generator.permutation(targets) + 1
        cheats = order[: int(np.searchsorted(np.cumsum(saved[order]), bound * saved.sum())) + 1]
        escaped += not found & set(cheats.tolist())
    assert escaped / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_the_bounds_are_those_of_so_many_even_looks():
    looks = Looks(100_000, None, np.random.default_rng(0), wanted=118)
    drawn(looks, 1024)
    assert looks.bounds().targets == pytest.approx(1 - 0.05 ** (1 / 59), rel=1e-6)
    assert looks.bounds().gain is None


def test_without_a_look_nothing_follows():
    bounds = Looks(100, None, np.random.default_rng(0)).bounds()
    assert (bounds.looks, bounds.targets, bounds.gain) == (0, 1.0, None)


def test_where_nothing_was_saved_nothing_is_said_of_the_gain():
    looks = Looks(4096, np.full(4097, 1.0), np.random.default_rng(0))
    drawn(looks, 1024, saved=np.full(4097, -0.5))
    assert looks.bounds().gain is None
