"""From a distribution to the integers that are coded: every symbol has at least one part in 2^30.

``f_v = floor(2^30 p_v) + 1`` with the sum as total, which needs no second normalisation and lies below 2^31 for any
vocabulary up to 65,536. It costs at most ``log2(1 + V / 2^30)`` bits a symbol: 3e-6 at V = 2048.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCALE = 1 << 30


@dataclass(frozen=True)
class Intervals:
    """The cumulative frequencies of one distribution: ``ends [V]`` int64, the last of which is the total."""

    ends: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Sum of the frequencies."""
        return int(self.ends[-1])

    def of(self, symbol: int) -> tuple[int, int]:
        """Start and size of a symbol's interval."""
        start = int(self.ends[symbol - 1]) if symbol else 0
        return start, int(self.ends[symbol]) - start

    def symbol_at(self, position: int) -> int:
        """The symbol whose interval holds ``position``."""
        return int(np.searchsorted(self.ends, position, side="right"))


def intervals(logprobs: NDArray[np.float32]) -> Intervals:
    """Intervals of finite natural log-probabilities [V] that sum to one."""
    probabilities = np.exp(np.minimum(logprobs, 0.0, dtype=np.float64))
    return Intervals(np.cumsum((probabilities * SCALE).astype(np.int64) + 1))
