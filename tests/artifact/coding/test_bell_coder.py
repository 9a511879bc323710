import itertools
from dataclasses import replace

import brotli
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from evaladapt.artifact import DamagedArtifact
from evaladapt.artifact.coding.bell_coder import BellField, decode, encode
from evaladapt.artifact.coding.bell_fit import fit_field
from evaladapt.artifact.coding.bell_tables import HALF_POWERS, LEVELS, bell_costs, bell_frequencies
from evaladapt.artifact.coding.frequencies import TOTAL
from evaladapt.artifact.quantize import clip_grid, largest_code, nearest
from tests.artifact import reference_reader

quick = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def coded_matrices(draw):
    top = largest_code(draw(st.sampled_from([4, 6, 8])))
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    low, high = sorted([draw(st.integers(-top, top)), draw(st.integers(-top, top))])
    return draw(arrays(np.int8, shape, elements=st.integers(low, high))), top


@st.composite
def fields(draw, rows=5, columns=7, top=31):
    """Any field that the format allows, not only those that the fit finds."""

    def vector(size, low, high):
        return draw(arrays(np.int64, size, elements=st.integers(low, high)))

    shift = draw(st.integers(0, 12))
    factor = int((top * 2**shift) ** 0.5)
    down, across = vector(rows, 40, 90), vector(columns, -40, 37)
    factors = [vector(size, -min(factor, 127), min(factor, 127)) for size in (rows, columns)]
    return BellField(draw(st.sampled_from(HALF_POWERS)), down, across, factors[0], factors[1], shift)


def loud_and_quiet(rows=256, columns=256, bits=6, seed=0):
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((rows, columns)) * np.exp(0.5 * generator.standard_normal(columns))
    weights = weights.astype(np.float32)
    return nearest(weights, clip_grid(weights, bits)).codes


@quick
@given(coded_matrices())
def test_any_codes_come_back(case):
    codes, top = case
    payload = encode(codes, top, fit_field(codes, top).field)
    assert (decode(payload, codes.shape, top) == codes).all()


@quick
@given(fields(), arrays(np.int8, (5, 7), elements=st.integers(-31, 31)))
def test_any_codes_come_back_under_any_field_and_the_reference_agrees(field, codes):
    payload = encode(codes, 31, field)
    assert (decode(payload, codes.shape, 31) == codes).all()
    assert reference_reader.bell_symbols(payload, 5, 7, 31) == (codes.astype(int) + 31).ravel().tolist()


@quick
@given(coded_matrices())
def test_the_announced_size_is_the_size(case):
    codes, top = case
    fitted = fit_field(codes, top)
    assert abs(fitted.size - len(encode(codes, top, fitted.field))) <= 8


@pytest.mark.parametrize("half_power", HALF_POWERS)
@pytest.mark.parametrize("reach", [7, 31, 254])
def test_curves_are_frequencies_that_fall_from_the_middle(half_power, reach):
    for level in range(0, LEVELS, 9):
        counts = bell_frequencies(level, half_power, reach)
        assert counts.sum() == TOTAL
        assert counts.min() >= 1
        assert (np.diff(counts[reach:]) <= 0).all()
        assert (counts == counts[::-1]).sum() >= len(counts) - 2


def test_a_curve_is_the_formula():
    """Level 40 has the width 2, level 32 the width 1."""
    for half_power, level, width in itertools.product(HALF_POWERS, (32, 40), (1, 2)):
        if width == 2 ** ((level - 32) // 8):
            weights = 2.0 ** -((np.abs(np.arange(-31, 32)) / width) ** (half_power / 2))
            expected = weights / weights.sum()
            found = bell_frequencies(level, half_power, 31) / TOTAL
            np.testing.assert_allclose(found, expected, rtol=0.05, atol=2 / TOTAL)


def test_a_level_is_an_eighth_of_an_octave():
    costs = bell_costs(4, 127)
    np.testing.assert_allclose(np.diff(costs[40:72, 0]), 1 / 8, atol=1 / 32)
    np.testing.assert_allclose(costs[72, 0] - costs[40, 0], 4, atol=1 / 32)


def test_columns_of_different_loudness_beat_brotli():
    codes = loud_and_quiet()
    payload = encode(codes, 31, fit_field(codes, 31).field)
    stream = (codes.astype(np.int16) + 31).astype(np.uint8).tobytes()
    assert len(payload) < 0.95 * len(brotli.compress(stream, quality=11))


def test_rows_that_are_all_alike_cost_little():
    """As the embedding of tokens that training never met: one direction, in several sizes."""
    generator = np.random.default_rng(0)
    common = 12 * generator.standard_normal(128)
    sizes = generator.uniform(0.6, 1.2, (64, 1))
    alike = np.rint(sizes * common).clip(-31, 31)
    others = loud_and_quiet(192, 128)
    codes = np.concatenate([others, alike]).astype(np.int8)
    fitted = fit_field(codes, 31)
    assert (fitted.field.row_factors[192:] != 0).all()
    without = replace(fitted.field, row_factors=np.zeros(256, np.int64))
    assert len(encode(codes, 31, fitted.field)) < 0.95 * len(encode(codes, 31, without))
    assert fitted.size - fit_field(others, 31).size < 2 * alike.size / 8


def test_quiet_codes_cost_a_fraction_of_a_bit():
    codes = (np.random.default_rng(0).random((128, 128)) < 0.02).astype(np.int8)
    assert len(encode(codes, 31, fit_field(codes, 31).field)) < 0.2 * codes.size / 8


def vector(low, *table):
    return bytes([low % 256, max(len(table) - 1, 0), *(table if len(table) > 1 else ())])


FLAT = vector(60) + vector(0) * 3
BAD = {
    "nothing": (b"", "inside its tables"),
    "a power that is none": (bytes([5, 0]) + FLAT, "power 5/2"),
    "a shift too far": (bytes([4, 13]) + FLAT, "shift 13"),
    "a vector cut off": (bytes([4, 0, 60, 3, 0]), "inside its tables"),
    "a table of nothing": (bytes([4, 0, 60, 1, 255, 255]) + vector(0) * 3, "frequency table"),
    "a table byte without meaning": (bytes([4, 0, 60, 1, 240, 0]) + vector(0) * 3, "frequency table"),
    "half a word": (bytes([4, 0]) + FLAT + b"\0", "32-bit words"),
    "words left over": (bytes([4, 0]) + FLAT + bytes(4000), "goes on"),
    "levels below the first": (bytes([4, 0]) + vector(-1) + vector(0) * 3 + bytes(8), "levels from -1"),
    "levels above the last": (bytes([4, 0]) + vector(100) + vector(28) + vector(0) * 2 + bytes(8), "to 128"),
    "expected codes too large": (bytes([4, 0]) + vector(60) + vector(0) + vector(8) * 2 + bytes(8), "expected code"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_encode_never_writes_is_damage(case):
    payload, words = BAD[case]
    with pytest.raises(DamagedArtifact, match=words):
        decode(payload, (4, 4), 31)


def test_a_code_beyond_the_quantiser_is_damage():
    """A rest may reach twice as far as a code where something is expected; together they may not."""
    top = 31
    rows, columns = np.zeros(4, np.int64), np.zeros(4, np.int64)
    field = BellField(4, rows + 60, columns, rows + 5, columns + 6, 0)
    beyond = np.full((4, 4), 40, np.int16)
    with pytest.raises(DamagedArtifact, match="outside the quantiser"):
        decode(encode(beyond, top, field), (4, 4), top)
