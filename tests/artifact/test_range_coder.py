import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from evaladapt.artifact import DamagedArtifact
from evaladapt.artifact.quantize import largest_code, nearest, searched_grid
from evaladapt.artifact.range_coder import decode, encode, encoded_size
from tests.artifact import reference_reader

quick = settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def coded_matrices(draw):
    top = largest_code(draw(st.integers(4, 8)))
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=16))
    low, high = sorted([draw(st.integers(-top, top)), draw(st.integers(-top, top))])
    return draw(arrays(np.int8, shape, elements=st.integers(low, high))), top


def bell_shaped(rows, columns, bits=6, seed=0):
    weights = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    return nearest(weights, searched_grid(weights, bits)).codes


def entropy_bytes(codes):
    counts = np.unique(codes, return_counts=True)[1]
    return -(counts * np.log2(counts / codes.size)).sum() / 8


@quick
@given(coded_matrices())
def test_any_codes_come_back(case):
    codes, top = case
    assert (decode(encode(codes, top), codes.shape, top) == codes).all()


@quick
@given(coded_matrices())
def test_the_reference_decoder_agrees(case):
    codes, top = case
    symbols = reference_reader.range_symbols(encode(codes, top), *codes.shape, top)
    assert symbols == (codes.astype(int) + top).ravel().tolist()


@quick
@given(coded_matrices())
def test_the_announced_size_is_the_size(case):
    codes, top = case
    assert abs(encoded_size(codes, top) - len(encode(codes, top))) <= 8


@pytest.mark.parametrize("top", [7, 31, 127])
@pytest.mark.parametrize("value", [-1, 0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (64, 64)])
def test_constant_matrices_cost_next_to_nothing(top, value, shape):
    codes = np.full(shape, value * top, np.int8)
    payload = encode(codes, top)
    assert len(payload) <= 2 + 2 * top + 1 + 8
    assert (decode(payload, shape, top) == codes).all()


def test_extreme_skew_comes_back():
    codes = np.zeros((300, 300), np.int8)
    codes[17, 4] = 127
    codes[299, 299] = -127
    payload = encode(codes, 127)
    assert len(payload) < 500
    assert (decode(payload, codes.shape, 127) == codes).all()


def test_bell_shaped_codes_cost_their_entropy():
    codes = bell_shaped(256, 256)
    assert len(encode(codes, 31)) < 1.002 * entropy_bytes(codes) + 32


def test_quiet_and_loud_columns_are_worth_their_classes():
    """Columns in two scales: one table for all would pay for not knowing which is which."""
    scales = np.where(np.arange(256) % 2, 1.0, 0.25)
    weights = np.random.default_rng(0).standard_normal((256, 256)) * scales
    weights = weights.astype(np.float32)
    codes = nearest(weights, searched_grid(weights, 6)).codes
    assert len(encode(codes, 31)) < 0.94 * entropy_bytes(codes)
    assert len(encode(np.ascontiguousarray(codes.T), 31)) < 0.94 * entropy_bytes(codes)


def test_the_same_codes_make_the_same_bytes():
    codes = bell_shaped(64, 96)
    assert encode(codes, 31) == encode(codes.copy(order="F"), 31)


def test_asymmetric_codes_get_asymmetric_tables():
    codes = np.abs(bell_shaped(256, 256))
    payload = encode(codes, 31)
    assert payload[1] == 0
    assert len(payload) < 1.01 * entropy_bytes(codes) + 80


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_shortened_header_is_damage(cut):
    payload = encode(bell_shaped(16, 16), 31)
    head = 2 + 32
    with pytest.raises(DamagedArtifact):
        decode(payload[: head - cut] if cut < head else b"", (16, 16), 31)
