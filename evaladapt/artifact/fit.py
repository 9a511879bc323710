"""Making an artifact fit a number of bytes with the least damage.

Starting from a plan, the weight whose next lower bit width costs the least error per byte saved is lowered, again and
again, until the file fits. Error is the squared error relative to the weight's own energy: a matrix's output noise
relative to its output, whatever the matrix's scale. ``pack --fit`` calls :func:`fit_plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaladapt.artifact import range_coder
from evaladapt.artifact.plan import FLOAT_BITS, QuantisationPlan
from evaladapt.artifact.problems import ArtifactTooLarge
from evaladapt.artifact.quantize import MIN_BITS, Float32, largest_code, quantize_rows, squared_error
from evaladapt.artifact.writer import ArtifactContent, as_arrays, build_artifact

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class _Rung:
    """One weight at one bit width."""

    bytes: int
    error: float


class _Ladder:
    """Bytes and error of one weight by bit width, worked out when asked for."""

    def __init__(self, weights: Float32, importance: float) -> None:
        self._matrix = weights.reshape(weights.shape[0] if weights.ndim > 1 else 1, -1)
        energy = float(np.square(weights, dtype=np.float64).sum())
        self._importance = importance / energy if energy else 0.0
        self._rungs: dict[int, _Rung] = {}

    def rung(self, bits: int) -> _Rung:
        """The weight at ``bits`` bits."""
        if bits not in self._rungs:
            quantized = quantize_rows(self._matrix, bits)
            size = range_coder.encoded_size(quantized.codes, largest_code(bits))
            self._rungs[bits] = _Rung(size, self._importance * squared_error(self._matrix, quantized))
        return self._rungs[bits]

    def price(self, bits: int) -> float:
        """Error added per byte saved by going from ``bits`` to one bit less."""
        here, below = self.rung(bits), self.rung(bits - 1)
        return (below.error - here.error) / max(here.bytes - below.bytes, 1)


def fit_plan(
    model_config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    tokenizer_model: bytes,
    metadata: Mapping[str, Any],
    plan: QuantisationPlan,
    max_bytes: int,
    importance: Mapping[str, float] | None = None,
) -> QuantisationPlan:
    """Lower bits from ``plan`` until the file that :func:`write_artifact` would write has at most ``max_bytes`` bytes.

    Args:
        model_config, tensors, tokenizer_model, metadata: what to pack.
        plan: where to start; float16 weights stay as they are.
        max_bytes: decimal bytes of the whole file.
        importance: factor on a weight's error, by name. Where missing it is ``4**bits`` of the starting plan: one
            bit more is a quarter of the error, so a plan says by its bits how much each weight's error matters.

    Raises:
        ArtifactTooLarge: even 4 bits everywhere are too many.
    """
    importance = importance or {}
    content = ArtifactContent(model_config, as_arrays(tensors), tokenizer_model, metadata)
    bits = {name: plan.bits_for(name, weights.shape) for name, weights in content.tensors.items()}
    bits = {name: value for name, value in sorted(bits.items()) if value != FLOAT_BITS}
    ladders = {name: _Ladder(content.tensors[name], importance.get(name, 4.0**value)) for name, value in bits.items()}
    while True:
        fitted = plan.with_bits(bits)
        data = build_artifact(content, fitted)
        if len(data) <= max_bytes:
            return fitted
        if not _lower(bits, ladders, len(data) - max_bytes):
            raise ArtifactTooLarge(
                f"The file does not fit {max_bytes:,} bytes: with {MIN_BITS} bits for every matrix it takes "
                f"{len(data):,}. Train a smaller model or raise --max-bytes."
            )


def _lower(bits: dict[str, int], ladders: Mapping[str, _Ladder], excess: int) -> bool:
    """Lower the cheapest weights in place until about ``excess`` bytes are gone; whether any could be lowered."""
    saved = 0
    while saved < excess:
        lowerable = [name for name, value in bits.items() if value > MIN_BITS]
        if not lowerable:
            return saved > 0
        name = min(lowerable, key=lambda name: ladders[name].price(bits[name]))
        saved += ladders[name].rung(bits[name]).bytes - ladders[name].rung(bits[name] - 1).bytes
        bits[name] -= 1
    return True
