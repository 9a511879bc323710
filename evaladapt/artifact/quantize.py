"""Quantisers: float weights to small integers with a scale per row, and back.

``int-rows@1`` stores ``w[i, j]`` as ``code[i, j] * scale[i] * 2**exponent``, codes in ``-m..m`` with ``m =
2**(bits-1) - 1``, scales in float16. The product is exact in float32 (11 + 7 significant bits), so decoding gives the
same bits on every machine. ``float16@1`` is a cast. The writer calls this room's functions with numpy arrays; codes
go on to ``coders``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.problems import DamagedArtifact
from evaladapt.errors import ArtifactError

INT_ROWS = "int-rows@1"
FLOAT16 = "float16@1"
QUANTIZERS = (FLOAT16, INT_ROWS)
MIN_BITS, MAX_BITS = 4, 8
MAX_EXPONENT = 100
SMALLEST_SCALE = 2.0**-14
"""The smallest normal float16: below it a scale would lose precision."""
CLIPS_IN_RMS = tuple(2.0 + 0.25 * step for step in range(17))
"""Where a row may be clipped, in multiples of its root mean square; its largest magnitude is tried as well."""

Float32 = npt.NDArray[np.float32]
Float16 = npt.NDArray[np.float16]
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class QuantizedRows:
    """``codes [R, C]`` int8, ``scales [R]`` float16 (before ``2**exponent``), and the bits that bound the codes."""

    codes: Codes
    scales: Float16
    exponent: int
    bits: int


def largest_code(bits: int) -> int:
    """``m`` of the code range ``-m..m``."""
    return (1 << (bits - 1)) - 1


def quantize_rows(weights: Float32, bits: int) -> QuantizedRows:
    """Quantise ``weights [R, C]``; every row gets the clip with the least squared error of the candidates."""
    top = largest_code(bits)
    peak = np.abs(weights).max(axis=1)
    exponent = max(math.frexp(float(peak.max()) / top)[1] - 1, -MAX_EXPONENT) if peak.any() else 0
    if exponent > MAX_EXPONENT:
        raise ArtifactError(f"a weight of {float(peak.max()):.3g} is outside what {INT_ROWS} can store.")
    unit = np.float32(2.0**exponent)
    rms = np.sqrt(np.square(weights, dtype=np.float64).mean(axis=1)).astype(np.float32)
    best_scales = _scales(peak, top, unit)
    best_errors = _row_errors(weights, best_scales, top, unit)
    for clip in CLIPS_IN_RMS:
        scales = _scales(np.minimum(peak, clip * rms), top, unit)
        errors = _row_errors(weights, scales, top, unit)
        better = errors < best_errors
        best_scales = np.where(better, scales, best_scales)
        best_errors = np.where(better, errors, best_errors)
    codes = _codes(weights, best_scales, top, unit).astype(np.int8)
    return QuantizedRows(codes, best_scales, exponent, bits)


def dequantize_rows(quantized: QuantizedRows) -> Float32:
    """Weights ``[R, C]`` float32.

    Raises:
        DamagedArtifact: a scale is not a positive, normal, finite number.
    """
    scales = quantized.scales.astype(np.float32)
    if not (np.isfinite(scales) & (scales >= SMALLEST_SCALE)).all():
        raise DamagedArtifact("a scale is not a positive, finite, normal float16 number")
    steps = np.ldexp(scales, quantized.exponent).astype(np.float32)
    result: Float32 = quantized.codes.astype(np.float32)
    result *= steps[:, None]
    return result


def to_float16(weights: Float32) -> Float16:
    """Cast; raises :class:`ArtifactError` where a value leaves float16's range."""
    if (np.abs(weights) > np.finfo(np.float16).max).any():
        raise ArtifactError("a value is outside the range of float16 (65504)")
    return weights.astype(np.float16)


def squared_error(weights: Float32, quantized: QuantizedRows) -> float:
    """Sum of squared differences."""
    return float(np.square(weights - dequantize_rows(quantized), dtype=np.float64).sum())


def _scales(clips: Float32, top: int, unit: np.float32) -> Float16:
    scales: Float16 = np.maximum(clips / (top * unit), np.float32(SMALLEST_SCALE)).astype(np.float16)
    return scales


def _codes(weights: Float32, scales: Float16, top: int, unit: np.float32) -> Float32:
    codes = weights / (scales.astype(np.float32) * unit)[:, None]
    np.rint(codes, out=codes)
    return np.clip(codes, -top, top, out=codes)


def _row_errors(weights: Float32, scales: Float16, top: int, unit: np.float32) -> npt.NDArray[np.float64]:
    difference = _codes(weights, scales, top, unit)
    difference *= (scales.astype(np.float32) * unit)[:, None]
    difference -= weights
    # In units of the step, so that squares of tiny weights do not underflow.
    difference /= unit
    errors: npt.NDArray[np.float64] = np.square(difference, out=difference).sum(axis=1, dtype=np.float64)
    return errors
