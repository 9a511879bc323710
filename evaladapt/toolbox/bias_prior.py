"""Priors of the additive logit correction: what keeps 1,024 numbers from being fitted to 128 tokens.

``logit_bias`` adds one of these to the negative log-likelihood. Besides its cost, slope and curvature each prior brings

* the exact minimiser of the majorised objective. By the tangent of the logarithm,
  ``sum_t w_t log S_t(d + s) <= const + sum_v p_v exp(s_v)`` with ``p_v = sum_t w_t softmax(z_t + d)_v``, so the
  vocabulary separates and each entry has one scalar problem: ``min_s p exp(s) - n s + prior(d + s)``. The step then
  adds the constant that the prior likes best, which the likelihood does not notice;
* a certificate: an upper bound on how far the objective is above its optimum. Where the gradient of the (convex)
  likelihood is ``p - n``, the optimum is at least ``likelihood(d) + min_s [(p - n).s + prior(d + s)]``.

All tensors are [B, V] unless stated; ``expected`` is p, ``counts`` is n (weighted), ``delta`` is d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from evaladapt.errors import UsageError

_HALLEY_STEPS = 2  # Close to the optimum the start is the root; far from it a step past it still descends.


class Prior(Protocol):
    """A separable, strictly convex cost on delta [B, V] that is 0 at delta = 0."""

    def cost(self, delta: Tensor) -> Tensor:
        """Cost in nats [B], float64."""
        ...

    def slope(self, delta: Tensor) -> Tensor:
        """First derivative per entry."""
        ...

    def curvature(self, delta: Tensor) -> Tensor:
        """Second derivative per entry, positive."""
        ...

    def majorised_step(self, delta: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
        """The next delta: the minimiser of the majorant at ``delta``, with the prior's best constant added."""
        ...

    def gap_bound(self, delta: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
        """Upper bound in nats [B] on objective(delta) minus its minimum; infinite where the bound says nothing."""
        ...


def _positive(name: str, value: float) -> None:
    if not value > 0.0:
        raise UsageError(
            f"{name} must be positive, got {value}: without a prior the correction of a token that has not been seen "
            "runs to minus infinity. Choose a small positive value instead."
        )


@dataclass(frozen=True)
class GaussianPrior:
    """``precision / 2 * |delta|^2``: delta is normal with mean 0 and variance ``1 / precision`` (nats squared)."""

    precision: float

    def __post_init__(self) -> None:
        _positive("the precision of the prior", self.precision)

    def cost(self, delta: Tensor) -> Tensor:
        """Cost in nats [B]."""
        return 0.5 * self.precision * delta.double().square().sum(-1)

    def slope(self, delta: Tensor) -> Tensor:
        """``precision * delta``."""
        return self.precision * delta

    def curvature(self, delta: Tensor) -> Tensor:
        """The precision, everywhere."""
        return torch.full_like(delta, self.precision)

    def majorised_step(self, delta: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
        """Solve ``p exp(s) + precision * (d + s) = n`` by Halley's iteration from a point right of the root."""
        pull = counts - self.precision * delta
        step = torch.minimum(pull / self.precision, (pull / expected).clamp_min_(1.0).log_())
        for _ in range(_HALLEY_STEPS):
            rising = step.exp().mul_(expected)
            slope = rising + self.precision
            newton = torch.add(rising, step, alpha=self.precision).sub_(pull).div_(slope)
            step = step - newton / (1.0 - 0.5 * newton * rising / slope)
        moved = step + delta
        return moved - moved.mean(-1, keepdim=True)

    def gap_bound(self, delta: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
        """``|gradient|^2 / (2 precision)``, from strong convexity."""
        gradient = expected - counts + self.slope(delta)
        return gradient.square().sum(-1, dtype=torch.float64) / (2.0 * self.precision)


@dataclass(frozen=True)
class GammaPrior:
    """``strength * sum_v (exp(delta_v) - delta_v - 1)``: ``exp(delta)`` is Gamma with shape = rate = ``strength``.

    It acts like ``strength`` extra sightings of every token on both sides, seen and predicted: the majorised step is
    ``exp(delta) <- (n + strength) / (q + strength)`` with ``q_v = sum_t w_t exp(z_tv) / S_t``, the step of iterative
    proportional fitting with pseudo-counts.
    """

    strength: float

    def __post_init__(self) -> None:
        _positive("the strength of the prior", self.strength)

    def cost(self, delta: Tensor) -> Tensor:
        """Cost in nats [B]."""
        wide = delta.double()
        return self.strength * (torch.expm1(wide) - wide).sum(-1)

    def slope(self, delta: Tensor) -> Tensor:
        """``strength * (exp(delta) - 1)``."""
        return self.strength * torch.expm1(delta)

    def curvature(self, delta: Tensor) -> Tensor:
        """``strength * exp(delta)``."""
        return self.strength * delta.exp()

    def majorised_step(self, delta: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
        """``log((n + a) / (q + a))`` with ``q = p / exp(delta)``, scaled so that ``exp`` of it has mean 1."""
        padded = (expected + self.curvature(delta)).clamp_min_(torch.finfo(delta.dtype).tiny)
        moved = delta + ((counts + self.strength) / padded).log_()
        return moved - (torch.logsumexp(moved, -1, keepdim=True) - math.log(moved.shape[-1]))

    def gap_bound(self, delta: Tensor, expected: Tensor, counts: Tensor) -> Tensor:
        """``sum_v a w ((1 + u) log(1 + u) - u)``, ``u = -gradient / (a w)``; infinite where some u is not above -1."""
        prior_mass = self.curvature(delta)
        excess = (self.strength - prior_mass + (counts - expected)) / prior_mass
        bound = prior_mass * ((1.0 + excess) * torch.log1p(excess) - excess)
        return bound.nan_to_num_(nan=torch.inf, posinf=torch.inf).sum(-1, dtype=torch.float64)


PriorName = Literal["gamma", "gaussian"]


def prior_named(name: PriorName, strength: float) -> Prior:
    """The prior a person named, with its strength or precision."""
    return GammaPrior(strength) if name == "gamma" else GaussianPrior(strength)
