"""Making an artifact fit a number of bytes with the least damage.

A step twice as large saves one bit per number and quadruples the error. So the least damage for a number of bytes is
where every weight's last byte costs the same: steps in proportion to ``sqrt(numbers / sensitivity)``, times one common
factor. :func:`fit_plan` finds that factor by building the file; bits follow from the steps. A row whose largest weight
no code would reach has a step of its own, as coarse as it needs: clipped weights far out cost a strong model more than
all rounding. ``pack --max-bytes`` is the caller, and writes the file that was built last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2, sqrt

import numpy as np

from evaladapt.artifact.plan import FLOAT_BITS, QuantisationPlan
from evaladapt.artifact.problems import ArtifactTooLarge
from evaladapt.artifact.quantize import (
    MAX_BITS,
    MIN_BITS,
    Float32,
    Grid,
    clip_grid,
    deviation,
    largest_code,
    rows_grid,
    step_grid,
)
from evaladapt.artifact.writer import ArtifactContent, as_matrix, build_artifact

MOST_BUILDS = 8
CLOSE_ENOUGH = 0.002
"""Share of the limit that may stay unused."""
FINEST_STEP, COARSEST_STEP = 8 / 127, 1.0
"""Steps in standard deviations: at the finest 8 bits hold eight of them, at the coarsest most codes are -1, 0 or 1."""
FINEST, COARSEST = 2.0**-60, 2.0**60
"""Factors at which every weight is at the end of its range of steps."""
AIM = 0.9993
"""Share of the limit that is aimed at, so that the last build is likelier below than above."""


@dataclass(frozen=True)
class _Weight:
    """A weight to be quantised: its rows' largest magnitudes, standard deviation, size, and the step to start from."""

    peaks: Float32
    deviation: float
    numbers: int
    step: float

    def grid(self, factor: float) -> Grid:
        """The grid with ``factor`` times the step, within what the bits can express."""
        low, high = (deviations * self.deviation for deviations in (FINEST_STEP, COARSEST_STEP))
        step, peak = min(max(factor * self.step, low), high), float(self.peaks.max())
        bits = next((n for n in range(MIN_BITS, MAX_BITS + 1) if largest_code(n) * step >= peak), None)
        if bits is None:
            return rows_grid(np.maximum(self.peaks / largest_code(MAX_BITS), np.float32(step)), MAX_BITS)
        return step_grid(step, bits)


@dataclass(frozen=True)
class Fitted:
    """A plan and the file that it makes."""

    plan: QuantisationPlan
    data: bytes


def fit_plan(
    content: ArtifactContent,
    plan: QuantisationPlan,
    max_bytes: int,
    sensitivity: Mapping[str, float] | None = None,
) -> Fitted:
    """The finest plan whose file has at most ``max_bytes`` bytes, and that file.

    Args:
        content: what to pack; with Hessians, sizes are those after GPTQ.
        plan: says which weights stay float16, and the proportions of steps where nothing else does.
        max_bytes: decimal bytes of the whole file.
        sensitivity: by name, how much the loss minds noise in a weight (``calibration.loss_sensitivity``).

    Raises:
        ArtifactTooLarge: even the coarsest steps are too many bytes.
    """
    weights = _weights(content.tensors, plan, sensitivity or {})
    numbers = sum(weight.numbers for weight in weights.values())
    best: Fitted | None = None
    factor, fits, exceeds = 1.0, float("inf"), 0.0
    size = 0
    for _ in range(MOST_BUILDS):
        candidate = plan.with_grids({name: weight.grid(factor) for name, weight in weights.items()})
        built = Fitted(candidate, build_artifact(content, candidate))
        size = len(built.data)
        if size <= max_bytes:
            best, fits = built, factor
            if size >= (1 - CLOSE_ENOUGH) * max_bytes or _same(weights, factor, FINEST):
                return built
        else:
            exceeds = factor
            if _same(weights, factor, COARSEST):
                break
        factor = _next(factor, 8 * (size - AIM * max_bytes) / max(numbers, 1), exceeds, fits)
    if best is None:
        raise ArtifactTooLarge(
            f"The file does not fit {max_bytes:,} bytes: with {MIN_BITS} bits for every matrix it takes "
            f"{size:,}. Train a smaller model or raise --max-bytes."
        )
    return best


def _weights(
    tensors: Mapping[str, Float32], plan: QuantisationPlan, sensitivity: Mapping[str, float]
) -> dict[str, _Weight]:
    weights = {}
    for name, tensor in tensors.items():
        bits = plan.bits_for(name, tensor.shape)
        if bits != FLOAT_BITS:
            matrix = as_matrix(tensor)
            given = float(clip_grid(matrix, bits).steps[0, 0])
            peaks = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
            weights[name] = _Weight(peaks, deviation(matrix), matrix.size, given)
    if weights and all(sensitivity.get(name, 0.0) > 0 for name in weights):
        return _by_sensitivity(weights, sensitivity)
    return weights


def _by_sensitivity(weights: Mapping[str, _Weight], sensitivity: Mapping[str, float]) -> dict[str, _Weight]:
    """Steps at which every weight's last bit costs the same, at about the size that the given steps have."""
    wanted = {name: sqrt(weight.numbers / sensitivity[name]) for name, weight in weights.items()}
    numbers = sum(weight.numbers for weight in weights.values())
    excess = sum(w.numbers * log2(wanted[name] / w.step) for name, w in weights.items() if w.step) / numbers
    return {name: _Weight(w.peaks, w.deviation, w.numbers, wanted[name] * 2.0**-excess) for name, w in weights.items()}


def _same(weights: Mapping[str, _Weight], factor: float, extreme: float) -> bool:
    """Whether every weight is already where the extreme factor would bring it."""
    return all(np.array_equal(one.grid(factor).steps, one.grid(extreme).steps) for one in weights.values())


def _next(factor: float, bits_too_many: float, exceeds: float, fits: float) -> float:
    """One bit per number is a factor of two; what is already known to exceed or to fit bounds the guess."""
    guess: float = factor * 2.0 ** min(max(bits_too_many, -6.0), 6.0)
    if exceeds < guess < fits:
        return guess
    return sqrt(exceeds * fits) if exceeds and fits < float("inf") else guess
