import math

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.codec.problems import PayloadEndsError
from evaladapt.codec.range_coder import MAX_TOTAL, RangeDecoder, RangeEncoder

interval = st.integers(2, MAX_TOTAL - 1).flatmap(
    lambda total: st.integers(0, total - 1).flatmap(
        lambda start: st.tuples(st.just(start), st.integers(1, total - start), st.just(total))
    )
)


def encoded(intervals):
    encoder = RangeEncoder()
    for one in intervals:
        encoder.encode(*one)
    return encoder.finish()


def bits(intervals):
    return sum(math.log2(total / size) for _, size, total in intervals)


def read_back(payload, intervals):
    decoder = RangeDecoder(payload)
    for start, size, total in intervals:
        assert start <= decoder.position(total) < start + size
        decoder.consume(start, size)
    return decoder


def read_whatever_is_there(decoder, count):
    for _ in range(count):
        decoder.consume(decoder.position(256), 1)


@given(st.lists(interval, max_size=60))
def test_any_intervals_come_back_and_cost_what_they_should(intervals):
    payload = encoded(intervals)
    assert read_back(payload, intervals).state()["at"] >= len(payload)
    assert 8 * len(payload) < bits(intervals) + 8.01


@given(st.lists(st.sampled_from([(0, 1, 3), (2, 1, 3), (0, 1, MAX_TOTAL - 1), (MAX_TOTAL - 2, 1, MAX_TOTAL - 1)])))
def test_carries_and_extreme_symbols(intervals):
    """The first and the last of many symbols push the low end to the edges, where carries run through 0xFF bytes."""
    read_back(encoded(intervals), intervals)


def test_a_run_of_last_symbols_makes_carries_wait():
    intervals = [(255, 1, 256)] * 40 + [(0, 1, 256)] * 3 + [(200, 56, 256)] * 20
    read_back(encoded(intervals), intervals)
    near_one = [(2**24 - 2, 1, 2**24 - 1)] * 30 + [(2**23, 2**23 - 1, 2**24 - 1)] * 30
    read_back(encoded(near_one), near_one)


@given(st.lists(interval, min_size=1, max_size=30), st.data())
def test_both_sides_continue_from_a_saved_state(intervals, data):
    cut = data.draw(st.integers(0, len(intervals)))
    encoder = RangeEncoder()
    for one in intervals[:cut]:
        encoder.encode(*one)
    continued = RangeEncoder()
    continued.restore(encoder.state())
    for one in intervals[cut:]:
        continued.encode(*one)
    payload = continued.finish()
    assert payload == encoded(intervals)
    decoder = RangeDecoder(payload)
    for start, size, total in intervals[:cut]:
        decoder.position(total)
        decoder.consume(start, size)
    second = RangeDecoder(payload)
    second.restore(decoder.state())
    for start, size, total in intervals[cut:]:
        assert start <= second.position(total) < start + size
        second.consume(start, size)


def test_as_short_as_constrictions_coder_on_the_same_frequencies():
    generator = np.random.default_rng(3)
    own, theirs = RangeEncoder(), constriction.stream.queue.RangeEncoder()
    for _ in range(2000):
        shares = generator.dirichlet(np.full(50, 0.2))
        frequencies = (shares * (2**24 - 50)).astype(np.int64)
        frequencies[0] += 2**24 - 50 - frequencies.sum()
        symbol = int(generator.choice(50, p=shares))
        # constriction adds the one that makes every symbol codable itself.
        theirs.encode(symbol, constriction.stream.model.Categorical(frequencies.astype(np.float64), perfect=False))
        ends = np.cumsum(frequencies + 1)
        own.encode(int(ends[symbol] - frequencies[symbol] - 1), int(frequencies[symbol]) + 1, int(ends[-1]))
    assert len(own.finish()) <= 4 * len(theirs.get_compressed()) + 1


def test_a_payload_that_is_cut_ends_in_an_error_and_not_in_zeros_for_ever():
    cut = encoded([(1, 1, 256)] * 20)[:5]
    with pytest.raises(PayloadEndsError):
        read_whatever_is_there(RangeDecoder(cut), 200)


@pytest.mark.parametrize("wrong", [(0, 0, 4), (3, 2, 4), (-1, 1, 4), (0, 1, MAX_TOTAL)])
def test_no_interval_is_refused(wrong):
    with pytest.raises(ValueError, match="no interval"):
        RangeEncoder().encode(*wrong)
