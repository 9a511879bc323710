"""A factor learned online: the one that would have charged least for what was scored, as a posterior mean.

Every value of a grid is a hypothesis. What it would have charged for scored targets moves its log-weight (Bayes' rule),
old evidence fades with a half-life, and the factor in force is the weighted geometric mean, which is continuous in the
charges. It starts at 1 with a prior that makes distant factors less likely.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class LearnedFactor:
    """Hypotheses on one factor.

    Attributes:
        grid: [J] float64, the factors; all positive.
        log_weights: [J] float64, evidence so far, up to a constant.
        prior: [J] float64, log-weights without any evidence.
        half_life: targets after which evidence counts half.
    """

    grid: Tensor
    log_weights: Tensor
    prior: Tensor
    half_life: float

    @classmethod
    def fresh(cls, grid: Tensor, half_life: float, nats_per_doubling: float = 2.0) -> LearnedFactor:
        """Nothing scored yet; every doubling away from 1 costs so many nats of prior."""
        prior = -nats_per_doubling * torch.log2(grid).abs()
        return cls(grid, torch.zeros_like(grid), prior, half_life)

    def after(self, charges: Tensor, targets: int) -> LearnedFactor:
        """With the evidence of ``targets`` more targets: ``charges`` [J] are their summed log-probabilities."""
        fading = 0.5 ** (targets / self.half_life)
        return replace(self, log_weights=fading * self.log_weights + charges)

    @property
    def value(self) -> float:
        """The factor in force."""
        posterior = torch.softmax(self.prior + self.log_weights, 0)
        return float((posterior @ self.grid.log()).exp())
