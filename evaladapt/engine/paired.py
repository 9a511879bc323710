"""Comparing two runs on the same text, document by document."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PairedDifference:
    """Change in bits per byte from ``before`` to ``after``; negative is better.

    ``standard_error`` is that of the ratio of sums, with documents as the units of sampling (Cochran 1977, section
    6.4): sqrt(n/(n-1) · Σ (d_i − r·b_i)²) / Σ b_i for differences d_i bits and b_i bytes. None for a single document.
    """

    bpb: float
    standard_error: float | None
    documents: int
    better: int
    worse: int


def paired_difference(
    before_nats: NDArray[np.float64], after_nats: NDArray[np.float64], document_bytes: NDArray[np.int64]
) -> PairedDifference:
    """Compare nats per document; documents without bytes (cut off by a limit) count in the sum only."""
    difference = (after_nats - before_nats) / math.log(2)
    total_bytes = float(document_bytes.sum())
    ratio = float(difference.sum()) / total_bytes
    present = document_bytes > 0
    count = int(present.sum())
    residual = difference[present] - ratio * document_bytes[present]
    error = math.sqrt(count / (count - 1) * float((residual**2).sum())) / total_bytes if count > 1 else None
    return PairedDifference(
        ratio, error, count, int((difference[present] < 0).sum()), int((difference[present] > 0).sum())
    )
