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

DOUBLINGS = torch.arange(-4, 10, dtype=torch.float64)
"""What a learned strength may be, in doublings of the usual one; at the upper end the logits are left alone."""
NATS_PER_DOUBLING = 2.0
SHARE = 0.7
"""Of the strength that explains the past best: what strayed there goes on straying. Both were chosen, with the usual
strength, on 8,192 targets of held-out C4 and as many of docstrings of the standard library, by the default artifact."""
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

    strength: float | Tensor
    """One for all, or [B, 1]."""

    def __post_init__(self) -> None:
        if not isinstance(self.strength, Tensor):
            _positive("the strength of the prior", self.strength)

    def cost(self, delta: Tensor) -> Tensor:
        """Cost in nats [B]."""
        wide = delta.double()
        return (self.strength * (torch.expm1(wide) - wide)).sum(-1)

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


@dataclass(frozen=True)
class LearnedGammaPrior:
    """A gamma prior whose strength every row takes from its own past: how far do counts stray from what was expected?

    Where ``exp(delta)`` is Gamma with shape and rate s, a token that was expected p times is seen n times with the
    probability of a negative binomial,

        ln P(n | p, s) = lnGamma(n + s) - lnGamma(s) + s ln s - (n + s) ln(p + s) + terms without s

    whose limit for large s is Poisson's: the counts stray by chance only, and nothing is to be learned. Every s of a
    grid is a hypothesis on the row; every doubling away from the usual one costs ``NATS_PER_DOUBLING``; the strength in
    force is ``SHARE`` of the posterior's geometric mean.
    """

    usual: float
    """Strength of a row that has seen nothing."""

    def of(self, counts: Tensor, expected: Tensor) -> GammaPrior:
        """For rows with counts n [B, V] and expected counts p [B, V] at delta = 0."""
        evidence = torch.stack([self._evidence(counts, expected.double(), float(one)) for one in DOUBLINGS], -1)
        posterior = torch.softmax(evidence - NATS_PER_DOUBLING * DOUBLINGS.abs().to(evidence.device), -1)
        doublings = posterior @ DOUBLINGS.to(evidence.device)
        return GammaPrior((self.usual * doublings.exp2()).to(counts.dtype).unsqueeze(-1))

    def _evidence(self, counts: Tensor, expected: Tensor, doublings: float) -> Tensor:
        """[B], float64, for so many doublings of the usual strength."""
        shape = self.usual / SHARE * 2.0**doublings
        rows, tokens = counts.nonzero(as_tuple=True)
        seen = counts[rows, tokens].double()
        bursts = torch.lgamma(seen + shape) - math.lgamma(shape) - seen * torch.log(expected[rows, tokens] + shape)
        quiet = -shape * torch.log1p(expected / shape)
        evidence: Tensor = quiet.sum(-1).index_add_(0, rows, bursts)
        return evidence


PriorName = Literal["gamma", "gaussian"]


def prior_named(name: PriorName, strength: float | None, usual: float) -> Prior | LearnedGammaPrior:
    """The prior a person named, with its strength or precision; without one a gamma prior learns it, a gaussian one has
    the usual.
    """
    if name == "gaussian":
        return GaussianPrior(usual if strength is None else strength)
    return LearnedGammaPrior(usual) if strength is None else GammaPrior(strength)
