"""Quantisers: float weights to small integers on a grid, and back.

``int-matrix@1`` has one step for a whole matrix: with codes that are entropy-coded, equal steps give the least squared
error for a number of bytes. ``int-rows@1`` has a step per row. Both store ``w[i, j]`` as ``code[i, j] * scale *
2**exponent``, codes in ``-m..m`` with ``m = 2**(bits-1) - 1``, scales in float16. The product is exact in float32
(11 + 7 significant bits), so decoding gives the same bits on every machine. ``float16@1`` is a cast. A :class:`Grid`
says where codes may lie; :func:`nearest` rounds to it, ``gptq`` rounds with care, and codes go on to ``coders``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.problems import DamagedArtifact
from evaladapt.errors import ArtifactError

INT_ROWS = "int-rows@1"
INT_MATRIX = "int-matrix@1"
FLOAT16 = "float16@1"
QUANTIZERS = (FLOAT16, INT_MATRIX, INT_ROWS)
MIN_BITS, MAX_BITS = 4, 8
MAX_EXPONENT = 100
SMALLEST_SCALE = 2.0**-14
"""The smallest normal float16: below it a scale would lose precision."""
CLIPS_IN_RMS = tuple(2.0 + 0.25 * step for step in range(17))
"""Where a row may be clipped, in multiples of its root mean square; its largest magnitude is tried as well."""
CLIPS_IN_DEVIATIONS = {4: 7.0, 5: 10.0, 6: 12.85, 7: 10.0, 8: 8.0}
"""Where a whole matrix is clipped, in standard deviations (6 bits as in parameter-golf #1394). So far out that nothing
is: with entropy coding the range is free and only the step costs. Eight bits, meant for embeddings, are finer than the
20 deviations of #1394: in a small model with a tied head the embedding is what loses most."""

Float32 = npt.NDArray[np.float32]
Float16 = npt.NDArray[np.float16]
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Grid:
    """Where codes may lie: ``scales [R]`` or ``[1]`` float16 (before ``2**exponent``), and the bits that bound them."""

    scales: Float16
    exponent: int
    bits: int

    @property
    def largest(self) -> int:
        """``m`` of the code range ``-m..m``."""
        return largest_code(self.bits)

    @property
    def steps(self) -> Float32:
        """Distance of neighbouring values, ``[R, 1]`` or ``[1, 1]``, exact."""
        return np.ldexp(self.scales.astype(np.float32), self.exponent).astype(np.float32)[:, None]


@dataclass(frozen=True)
class QuantizedMatrix:
    """``codes [R, C]`` int8 on a grid."""

    codes: Codes
    grid: Grid


def largest_code(bits: int) -> int:
    """``m`` of the code range ``-m..m``."""
    return (1 << (bits - 1)) - 1


def clip_grid(weights: Float32, bits: int, clip: float | None = None) -> Grid:
    """One step for ``weights [R, C]``: the largest code stands for ``clip`` standard deviations (SD-clip)."""
    clip = CLIPS_IN_DEVIATIONS[bits] if clip is None else clip
    return step_grid(clip * deviation(weights) / largest_code(bits), bits)


def deviation(weights: Float32) -> float:
    """Root mean square of ``weights [R, C]``, added in float64 without a copy of all of them."""
    return math.sqrt(sum(float(np.square(row, dtype=np.float64).sum()) for row in weights) / weights.size)


def step_grid(step: float, bits: int) -> Grid:
    """One grid for a whole matrix with the float16 nearest to ``step``."""
    exponent = _exponent(step)
    scale = np.maximum(np.float32(step) / np.float32(2.0**exponent), np.float32(SMALLEST_SCALE))
    return Grid(np.array([scale], np.float32).astype(np.float16), exponent, bits)


def rows_grid(steps: Float32, bits: int) -> Grid:
    """A grid whose rows have the float16 nearest to their ``steps [R]``."""
    exponent = _exponent(float(steps.max()))
    return Grid(_scales(steps, 1, np.float32(2.0**exponent)), exponent, bits)


def searched_grid(weights: Float32, bits: int) -> Grid:
    """A step per row of ``weights [R, C]``: the clip with the least squared error of the candidates."""
    top = largest_code(bits)
    peak = np.abs(weights).max(axis=1)
    exponent = _exponent(float(peak.max()) / top)
    unit = np.float32(2.0**exponent)
    rms = np.sqrt(np.square(weights, dtype=np.float64).mean(axis=1)).astype(np.float32)
    best = _scales(peak, top, unit)
    best_errors = _row_errors(weights, Grid(best, exponent, bits))
    for clip in CLIPS_IN_RMS:
        scales = _scales(np.minimum(peak, clip * rms), top, unit)
        errors = _row_errors(weights, Grid(scales, exponent, bits))
        better = errors < best_errors
        best = np.where(better, scales, best)
        best_errors = np.where(better, errors, best_errors)
    return Grid(best, exponent, bits)


def nearest(weights: Float32, grid: Grid) -> QuantizedMatrix:
    """Round every weight of ``[R, C]`` to the nearest value of the grid."""
    return QuantizedMatrix(_codes(weights, grid).astype(np.int8), grid)


def dequantize(quantized: QuantizedMatrix) -> Float32:
    """Weights ``[R, C]`` float32.

    Raises:
        DamagedArtifact: a scale is not a positive, normal, finite number.
    """
    scales = quantized.grid.scales
    if not (np.isfinite(scales) & (scales >= SMALLEST_SCALE)).all():
        raise DamagedArtifact("a scale is not a positive, finite, normal float16 number")
    result: Float32 = quantized.codes.astype(np.float32)
    result *= quantized.grid.steps
    return result


def to_float16(weights: Float32) -> Float16:
    """Cast; raises :class:`ArtifactError` where a value leaves float16's range."""
    if (np.abs(weights) > np.finfo(np.float16).max).any():
        raise ArtifactError("a value is outside the range of float16 (65504)")
    return weights.astype(np.float16)


def _exponent(largest_step: float) -> int:
    """The exponent that brings ``largest_step`` into ``[1, 2)``."""
    if not largest_step:
        return 0
    exponent = max(math.frexp(largest_step)[1] - 1, -MAX_EXPONENT)
    if exponent > MAX_EXPONENT:
        raise ArtifactError(f"a step of {largest_step:.3g} is outside what {INT_ROWS} and {INT_MATRIX} can store.")
    return exponent


def _scales(clips: Float32, top: int, unit: np.float32) -> Float16:
    scales: Float16 = np.maximum(clips / (top * unit), np.float32(SMALLEST_SCALE)).astype(np.float16)
    return scales


def _codes(weights: Float32, grid: Grid) -> Float32:
    codes = weights / grid.steps
    np.rint(codes, out=codes)
    return np.clip(codes, -grid.largest, grid.largest, out=codes)


def _row_errors(weights: Float32, grid: Grid) -> npt.NDArray[np.float64]:
    difference = _codes(weights, grid)
    difference *= grid.steps
    difference -= weights
    # In units of the step, so that squares of tiny weights do not underflow.
    difference /= np.float32(2.0**grid.exponent)
    errors: npt.NDArray[np.float64] = np.square(difference, out=difference).sum(axis=1, dtype=np.float64)
    return errors
