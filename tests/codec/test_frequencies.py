import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evaladapt.codec.frequencies import SCALE, intervals
from evaladapt.codec.range_coder import MAX_TOTAL


def normalised(logits):
    return (logits - np.logaddexp.reduce(logits.astype(np.float64))).astype(np.float32)


logits = arrays.arrays(np.float32, st.integers(1, 300), elements=st.floats(-200, 200, width=32))


@given(logits)
def test_every_symbol_is_codable_and_found_again(given_logits):
    shares = intervals(normalised(given_logits))
    assert shares.total < MAX_TOTAL
    for symbol in range(len(given_logits)):
        start, size = shares.of(symbol)
        assert size >= 1
        assert shares.symbol_at(start) == shares.symbol_at(start + size - 1) == symbol


@given(logits)
def test_a_symbol_costs_its_log_probability(given_logits):
    logprobs = normalised(given_logits)
    shares = intervals(logprobs)
    for symbol in range(len(logprobs)):
        charged = -np.log2(shares.of(symbol)[1] / shares.total)
        assert charged < -logprobs[symbol] / np.log(2) + 1e-5


def test_the_largest_vocabulary_stays_below_the_coders_limit():
    assert intervals(np.full(65_536, -np.log(65_536), dtype=np.float32)).total < MAX_TOTAL
    assert intervals(np.array([0.0, -104.0], dtype=np.float32)).total == SCALE + 2
