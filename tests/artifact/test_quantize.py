import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from evaladapt.artifact import DamagedArtifact
from evaladapt.artifact.quantize import (
    CLIPS_IN_DEVIATIONS,
    Grid,
    QuantizedMatrix,
    clip_grid,
    dequantize,
    largest_code,
    nearest,
    searched_grid,
    step_grid,
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


grids = st.sampled_from([searched_grid, clip_grid])


def squared_error(weights, quantized):
    return float(np.square(weights - dequantize(quantized), dtype=np.float64).sum())


def by_rows(weights, bits):
    return nearest(weights, searched_grid(weights, bits))


def steps(quantized):
    return quantized.grid.scales.astype(np.float64)[:, None] * 2.0**quantized.grid.exponent


def plain(weights, bits):
    """Rounding with the scale set by each row's largest magnitude, in float64."""
    top = largest_code(bits)
    scale = np.abs(weights).max(axis=1, keepdims=True).astype(np.float64) / top
    scale[scale == 0] = 1
    return np.rint(weights / scale) * scale


@quick
@given(matrices, bit_widths, grids)
def test_codes_and_scales_stay_in_range(weights, bits, make):
    quantized = nearest(weights, make(weights, bits))
    assert np.abs(quantized.codes.astype(int)).max() <= largest_code(bits)
    assert (quantized.grid.scales >= 2.0**-14).all()
    assert (quantized.grid.scales <= 2).all()
    assert len(quantized.grid.scales) == (1 if make is clip_grid else len(weights))


@quick
@given(matrices, bit_widths)
def test_error_is_at_most_that_of_plain_rounding(weights, bits):
    """Clip search includes the clip at the row's peak, so it can lose only by the rounding of scales to float16."""
    quantized = by_rows(weights, bits)
    error = np.square(weights.astype(np.float64) - dequantize(quantized)).sum(axis=1)
    bound = np.square(weights - plain(weights, bits)).sum(axis=1)
    peak = np.abs(weights).max(axis=1).astype(np.float64)
    rounding = weights.shape[1] * (peak * 2.0**-10) ** 2
    floor = weights.shape[1] * (2.0 ** (quantized.grid.exponent - 14)) ** 2
    assert (np.sqrt(error) <= np.sqrt(bound) + np.sqrt(rounding) + np.sqrt(floor) + 1e-12).all()


@quick
@given(matrices, bit_widths, grids)
def test_decoding_is_the_exact_product(weights, bits, make):
    quantized = nearest(weights, make(weights, bits))
    exact = quantized.codes.astype(np.float64) * steps(quantized)
    assert (dequantize(quantized).astype(np.float64) == exact).all()


@quick
@given(matrices, bit_widths, st.integers(-60, 60))
def test_scaling_by_a_power_of_two_changes_only_the_exponent(weights, bits, power):
    weights = np.where(np.abs(weights) < 1e-3, 0, weights).astype(np.float32)
    here, there = by_rows(weights, bits), by_rows(np.ldexp(weights, power), bits)
    assert (here.codes == there.codes).all()
    assert (here.grid.scales == there.grid.scales).all()
    assert there.grid.exponent == (here.grid.exponent + power if weights.any() else 0)


@pytest.mark.parametrize("bits", range(4, 9))
def test_zero_and_constant_rows_survive(bits):
    weights = np.zeros((3, 5), np.float32)
    weights[1] = 0.5
    decoded = dequantize(by_rows(weights, bits))
    assert (decoded[[0, 2]] == 0).all()
    np.testing.assert_allclose(decoded[1], 0.5, rtol=2**-10)


def test_clip_search_beats_the_peak_on_bell_shaped_rows():
    weights = np.random.default_rng(0).standard_normal((32, 512)).astype(np.float32)
    searched = squared_error(weights, by_rows(weights, 4))
    assert searched < 0.85 * np.square(weights - plain(weights, 4)).sum()


def test_each_further_bit_quarters_the_error():
    weights = np.random.default_rng(0).standard_normal((16, 256)).astype(np.float32)
    errors = [squared_error(weights, by_rows(weights, bits)) for bits in range(4, 9)]
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 3).all()
    assert (ratios < 5).all()


@pytest.mark.parametrize("bits", range(4, 9))
def test_one_step_for_a_matrix_is_that_of_sd_clip(bits):
    """The largest code stands for so many standard deviations, within the rounding of the scale to float16."""
    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32) * 0.03
    grid = clip_grid(weights, bits)
    reach = float(grid.steps[0, 0]) * grid.largest
    np.testing.assert_allclose(reach, CLIPS_IN_DEVIATIONS[bits] * np.sqrt(np.square(weights).mean()), rtol=2**-10)
    assert np.abs(weights - dequantize(nearest(weights, grid))).max() <= grid.steps[0, 0] * 0.5001


@quick
@given(st.floats(1e-25, 1e25))
def test_any_step_is_kept_to_float16_precision(step):
    np.testing.assert_allclose(float(step_grid(step, 6).steps[0, 0]), step, rtol=2**-11)


def test_zeros_have_a_grid():
    assert not dequantize(nearest(np.zeros((2, 3), np.float32), clip_grid(np.zeros((2, 3), np.float32), 6))).any()


def test_tiny_weights_become_zero_and_huge_ones_are_refused():
    assert not dequantize(by_rows(np.full((1, 4), 1e-42, np.float32), 6)).any()
    with pytest.raises(ArtifactError, match="outside what int-rows@1 and int-matrix@1 can store"):
        by_rows(np.full((1, 4), 3e38, np.float32), 4)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 2.0**-15])
def test_an_impossible_scale_is_damage(scale):
    with pytest.raises(DamagedArtifact, match="scale"):
        dequantize(QuantizedMatrix(np.ones((1, 2), np.int8), Grid(np.array([scale], np.float16), 0, 6)))


def test_float16_refuses_what_it_cannot_hold():
    assert to_float16(np.array([65504.0], np.float32)) == 65504
    with pytest.raises(ArtifactError, match="float16"):
        to_float16(np.array([70000.0], np.float32))
