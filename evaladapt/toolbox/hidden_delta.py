"""Fitting a vector added to hidden states, where the head is known to be ``c tanh(W h / c)``.

With z = W h worked out once, a delta [D] moves every position's z by the same W delta, so that an evaluation costs one
product with W for a row instead of one for every position, forwards and backwards. Value and gradient are those of

    Σ_t −log softmax(c tanh((z_t + W delta) / c))[x_t]        (nats)

in closed form, with p the softmax and tanh' = 1 − tanh²: the slope by z is (p − [x_t]) (1 − tanh²), summed over t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CappedLikelihood:
    """Rows of positions: ``scores`` z [B, P, V], ``targets`` [B, P] (negative: not visible), ``weight`` W [V, D]."""

    scores: Tensor
    targets: Tensor
    weight: Tensor
    cap: float

    @classmethod
    def build(cls, hidden: Tensor, targets: Tensor, weight: Tensor, cap: float) -> CappedLikelihood:
        """From hidden states [B, P, D]."""
        return cls(torch.nn.functional.linear(hidden, weight), targets, weight, cap)

    def value_and_gradient(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of every row, float64 [B], and their gradient by delta [B, D]; row by row, in two pieces of memory."""
        moves = delta @ self.weight.T
        values = torch.zeros(len(delta), dtype=torch.float64, device=delta.device)
        slopes = torch.empty_like(moves)
        bent, probs = torch.empty_like(self.scores[0]), torch.empty_like(self.scores[0])
        for row, (scores, targets, move) in enumerate(zip(self.scores, self.targets, moves, strict=True)):
            torch.add(scores, move, out=bent).div_(self.cap).tanh_()
            torch.log_softmax(torch.mul(bent, self.cap), -1, out=probs)
            visible, place = (targets >= 0).to(probs.dtype), targets.clamp_min(0)[:, None]
            values[row] = -(probs.gather(1, place)[:, 0].double() * visible).sum()
            bent.square_().neg_().add_(1.0)
            at_targets = bent.gather(1, place)[:, 0] * visible
            slopes[row] = visible @ probs.exp_().mul_(bent)
            slopes[row].scatter_add_(0, place[:, 0], -at_targets)
        return values, slopes @ self.weight
