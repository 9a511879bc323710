import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from evaladapt.artifact import DamagedArtifact
from evaladapt.artifact.quantize import (
    QuantizedRows,
    dequantize_rows,
    largest_code,
    quantize_rows,
    squared_error,
    to_float16,
)
from evaladapt.errors import ArtifactError

quick = settings(max_examples=60, deadline=None, derandomize=True)
matrices = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-1e6, 1e6, width=32),
)
bit_widths = st.integers(4, 8)


def steps(quantized):
    return quantized.scales.astype(np.float64)[:, None] * 2.0**quantized.exponent


def plain(weights, bits):
    """Rounding with the scale set by each row's largest magnitude, in float64."""
    top = largest_code(bits)
    scale = np.abs(weights).max(axis=1, keepdims=True).astype(np.float64) / top
    scale[scale == 0] = 1
    return np.rint(weights / scale) * scale


@quick
@given(matrices, bit_widths)
def test_codes_and_scales_stay_in_range(weights, bits):
    quantized = quantize_rows(weights, bits)
    assert np.abs(quantized.codes.astype(int)).max() <= largest_code(bits)
    assert (quantized.scales >= 2.0**-14).all()
    assert (quantized.scales <= 2).all()


@quick
@given(matrices, bit_widths)
def test_error_is_at_most_that_of_plain_rounding(weights, bits):
    """Clip search includes the clip at the row's peak, so it can lose only by the rounding of scales to float16."""
    quantized = quantize_rows(weights, bits)
    error = np.square(weights.astype(np.float64) - dequantize_rows(quantized)).sum(axis=1)
    bound = np.square(weights - plain(weights, bits)).sum(axis=1)
    peak = np.abs(weights).max(axis=1).astype(np.float64)
    rounding = weights.shape[1] * (peak * 2.0**-10) ** 2
    floor = weights.shape[1] * (2.0 ** (quantized.exponent - 14)) ** 2
    assert (np.sqrt(error) <= np.sqrt(bound) + np.sqrt(rounding) + np.sqrt(floor) + 1e-12).all()


@quick
@given(matrices, bit_widths)
def test_decoding_is_the_exact_product(weights, bits):
    quantized = quantize_rows(weights, bits)
    exact = quantized.codes.astype(np.float64) * steps(quantized)
    assert (dequantize_rows(quantized).astype(np.float64) == exact).all()


@quick
@given(matrices, bit_widths, st.integers(-60, 60))
def test_scaling_by_a_power_of_two_changes_only_the_exponent(weights, bits, power):
    weights = np.where(np.abs(weights) < 1e-3, 0, weights).astype(np.float32)
    here, there = quantize_rows(weights, bits), quantize_rows(np.ldexp(weights, power), bits)
    assert (here.codes == there.codes).all()
    assert (here.scales == there.scales).all()
    assert there.exponent == (here.exponent + power if weights.any() else 0)


@pytest.mark.parametrize("bits", range(4, 9))
def test_zero_and_constant_rows_survive(bits):
    weights = np.zeros((3, 5), np.float32)
    weights[1] = 0.5
    decoded = dequantize_rows(quantize_rows(weights, bits))
    assert (decoded[[0, 2]] == 0).all()
    np.testing.assert_allclose(decoded[1], 0.5, rtol=2**-10)


def test_clip_search_beats_the_peak_on_bell_shaped_rows():
    weights = np.random.default_rng(0).standard_normal((32, 512)).astype(np.float32)
    searched = squared_error(weights, quantize_rows(weights, 4))
    assert searched < 0.85 * np.square(weights - plain(weights, 4)).sum()


def test_each_further_bit_quarters_the_error():
    weights = np.random.default_rng(0).standard_normal((16, 256)).astype(np.float32)
    errors = [squared_error(weights, quantize_rows(weights, bits)) for bits in range(4, 9)]
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 3).all()
    assert (ratios < 5).all()


def test_tiny_weights_become_zero_and_huge_ones_are_refused():
    assert not dequantize_rows(quantize_rows(np.full((1, 4), 1e-42, np.float32), 6)).any()
    with pytest.raises(ArtifactError, match="outside what int-rows@1 can store"):
        quantize_rows(np.full((1, 4), 3e38, np.float32), 4)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 2.0**-15])
def test_an_impossible_scale_is_damage(scale):
    with pytest.raises(DamagedArtifact, match="scale"):
        dequantize_rows(QuantizedRows(np.ones((1, 2), np.int8), np.array([scale], np.float16), 0, 6))


def test_float16_refuses_what_it_cannot_hold():
    assert to_float16(np.array([65504.0], np.float32)) == 65504
    with pytest.raises(ArtifactError, match="float16"):
        to_float16(np.array([70000.0], np.float32))
