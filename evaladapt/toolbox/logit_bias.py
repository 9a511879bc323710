"""The additive logit correction: one vector per row that makes the model's recent predictions fit what was seen.

From the past logits z [B, T, V] of every row and the targets that may be learnt from, find delta [B, V] minimising

    f(delta) = sum_t w_t * ( logsumexp(z_t + delta) - (z_t + delta)[x_t] ) + prior(delta)      (nats)

**a sum over tokens, not a mean**: the prior is worth a fixed number of tokens, and the longer the past the less it
weighs. ``w_t`` is 1 unless weights are given, and 0 where the target is not visible (negative, the contract's -100).
The sum of softmaxes makes f convex; the prior (``bias_prior``) makes the optimum unique and finite.

Solvers, all batched over rows, and all reading ``exp(z)`` computed once:

* ``fit_mm``: closed-form majorise-minimise step, monotone, two matrix-vector products per pass. The default choice;
* ``fit_lbfgs``: ``batched_lbfgs`` with the closed-form gradient; the solver of the field's strategies.

The first stops on a certificate (``gap``), so its distance from the optimum is known, not guessed. Rows without a
visible target get exactly 0. Background: the same problem is matrix balancing (Sinkhorn) and generalised iterative
scaling (Darroch and Ratcliff 1972).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.errors import UsageError
from evaladapt.toolbox.batched_lbfgs import LbfgsOptions, minimise
from evaladapt.toolbox.bias_prior import GammaPrior, GaussianPrior, LearnedGammaPrior, Prior

__all__ = [
    "BiasProblem",
    "GammaPrior",
    "GaussianPrior",
    "LogitBiasFit",
    "Prior",
    "fit",
    "fit_lbfgs",
    "fit_mm",
]

DEFAULT_TOLERANCE = 5e-5
"""Nats per token that a fit may stay above its optimum."""

_SMALLEST_ODDS = 1e-28  # Less likely tokens count as this likely: products with exp(delta) stay normal float32.
_CHUNK_ELEMENTS_CPU = 2**21
_CHUNK_ELEMENTS_DEVICE = 2**28


@dataclass(frozen=True)
class LogitBiasFit:
    """``delta`` [B, V]; objective ``value`` [B] and certified ``gap`` [B] (at most this far above the optimum), nats.

    Both are sums over the row's tokens (float64). ``passes`` counts how often the slowest rows' logits were read.
    """

    delta: Tensor
    value: Tensor
    gap: Tensor
    passes: int


@dataclass(frozen=True)
class Prediction:
    """What one delta makes of the past: the partition sums S [B, T] and the expected counts p [B, V]."""

    partition: Tensor
    expected: Tensor


@dataclass(frozen=True)
class BiasProblem:
    """A batch of rows, prepared: ``odds`` = softmax(z) [B, T, V], ``weights`` [B, T], ``counts`` [B, V].

    ``shift`` [B] is the part of the objective that does not depend on delta, ``total`` [B] the summed weight.
    """

    odds: Tensor
    weights: Tensor
    counts: Tensor
    shift: Tensor
    total: Tensor
    prior: Prior

    @classmethod
    def build(
        cls,
        logits: Tensor,
        targets: Tensor,
        prior: Prior | LearnedGammaPrior,
        weights: Tensor | None = None,
        scratch: Tensor | None = None,
    ) -> BiasProblem:
        """Prepare logits [B, T, V] and int64 targets [B, T] (negative: not visible), optionally weights [B, T] >= 0.

        Half precision is widened to float32. ``scratch`` [B, T, V] is memory for the odds. Positions that no row may
        learn from cost as much as the others: slice them off first.
        """
        _check_shapes(logits, targets, weights)
        wide = logits if logits.dtype == torch.float64 else logits.float()
        given = torch.ones_like(targets, dtype=wide.dtype) if weights is None else weights.to(wide.dtype)
        weight = torch.where(targets >= 0, given, torch.zeros_like(given))
        target = targets.clamp_min(0)
        odds = torch.softmax(wide, -1, out=scratch).clamp_min_(_SMALLEST_ODDS)
        likelihood = odds.gather(-1, target[..., None])[..., 0].double().log()
        counts = wide.new_zeros(wide.shape[0], wide.shape[2]).scatter_add_(1, target, weight)
        total = weight.double().sum(-1)
        if isinstance(prior, LearnedGammaPrior):
            prior = prior.of(counts, torch.bmm(weight[:, None, :], odds)[:, 0])
        return cls(odds, weight, counts, -(weight.double() * likelihood).sum(-1), total, prior)

    def predict(self, delta: Tensor) -> Prediction:
        """One pass over the logits."""
        factor = delta.exp()
        partition = torch.bmm(factor[:, None, :], self.odds.transpose(1, 2))[:, 0]
        expected = torch.bmm((self.weights / partition)[:, None, :], self.odds)[:, 0] * factor
        return Prediction(partition, expected)

    def value(self, delta: Tensor, partition: Tensor) -> Tensor:
        """The objective [B] in nats, float64."""
        likelihood = (self.weights.double() * partition.double().log()).sum(-1)
        seen = (self.counts.double() * delta.double()).sum(-1)
        return self.shift + likelihood - seen + self.prior.cost(delta)

    def gradient(self, delta: Tensor, expected: Tensor) -> Tensor:
        """Gradient of the objective [B, V]."""
        return expected - self.counts + self.prior.slope(delta)

    def gap(self, delta: Tensor, expected: Tensor) -> Tensor:
        """Certified distance from the optimum [B], nats."""
        return self.prior.gap_bound(delta, expected, self.counts)

    def start(self, given: Tensor | None) -> Tensor:
        """The given start, or zeros; always zero in rows that have nothing to learn from."""
        if given is None:
            return torch.zeros_like(self.counts)
        if given.shape != self.counts.shape:
            raise UsageError(f"the start must be [B, V] = {tuple(self.counts.shape)}, got {tuple(given.shape)}.")
        return torch.where((self.total > 0)[:, None], given.to(self.counts.dtype), torch.zeros_like(self.counts))


def _check_shapes(logits: Tensor, targets: Tensor, weights: Tensor | None) -> None:
    if logits.ndim != 3 or targets.shape != logits.shape[:2]:
        raise UsageError(
            f"logits must be [B, T, V] and targets [B, T], got {tuple(logits.shape)} and {tuple(targets.shape)}."
        )
    if weights is not None and weights.shape != targets.shape:
        raise UsageError(f"weights must be [B, T] = {tuple(targets.shape)}, got {tuple(weights.shape)}.")


Solver = Callable[[BiasProblem, Tensor | None], LogitBiasFit]
"""``fit_mm`` or ``fit_lbfgs``; bind other options with ``functools.partial``."""

Step = Callable[[BiasProblem, Tensor, Prediction, Tensor], tuple[Tensor, Prediction, int]]
"""From delta, its prediction and the active rows [B] to the next delta, its prediction and the passes that took."""


def fit(
    logits: Tensor,
    targets: Tensor,
    prior: Prior | LearnedGammaPrior,
    *,
    weights: Tensor | None = None,
    start: Tensor | None = None,
    solver: Solver | None = None,
) -> LogitBiasFit:
    """Fit every row of logits [B, T, V] to targets [B, T]; ``fit_mm`` unless another solver is given.

    Rows are taken a few at a time through one piece of scratch memory, which on a CPU is worth a factor of two (fresh
    pages cost more than the fit). Results do not depend on the grouping.
    """
    _check_shapes(logits, targets, weights)
    solve = solver or fit_mm
    budget = _CHUNK_ELEMENTS_CPU if logits.device.type == "cpu" else _CHUNK_ELEMENTS_DEVICE
    size = max(1, min(len(logits), budget // max(1, logits[0].numel())))
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    scratch = torch.empty((size, *logits.shape[1:]), dtype=dtype, device=logits.device)
    fits = []
    for first in range(0, len(logits), size):
        rows = slice(first, min(first + size, len(logits)))
        weight = None if weights is None else weights[rows]
        problem = BiasProblem.build(logits[rows], targets[rows], prior, weight, scratch[: rows.stop - first])
        fits.append(solve(problem, None if start is None else start[rows]))
    return LogitBiasFit(
        torch.cat([part.delta for part in fits]),
        torch.cat([part.value for part in fits]),
        torch.cat([part.gap for part in fits]),
        max(part.passes for part in fits),
    )


def fit_mm(
    problem: BiasProblem, start: Tensor | None = None, *, tolerance: float = DEFAULT_TOLERANCE, iterations: int = 100
) -> LogitBiasFit:
    """Majorise-minimise until each row is certified within ``tolerance`` nats per token. Never increases a value."""
    return descend(problem, start, tolerance, iterations, _mm_step)


def fit_lbfgs(
    problem: BiasProblem, start: Tensor | None = None, *, options: LbfgsOptions | None = None
) -> LogitBiasFit:
    """L-BFGS on f divided by the row's summed weight, so that tolerances are per token as in the field's strategies."""
    scale = problem.total.clamp_min(torch.finfo(torch.float32).tiny)

    def per_token(delta: Tensor) -> tuple[Tensor, Tensor]:
        at = problem.predict(delta)
        return problem.value(delta, at.partition) / scale, problem.gradient(delta, at.expected) / scale.to(delta.dtype)[
            :, None
        ]

    result = minimise(per_token, problem.start(start), options)
    return _finish(problem, result.x, problem.predict(result.x), result.evaluations + 1)


def descend(problem: BiasProblem, start: Tensor | None, tolerance: float, iterations: int, step: Step) -> LogitBiasFit:
    """Steps until every row is certified within ``tolerance`` nats per token, or ``iterations`` of them."""
    delta = problem.start(start)
    at, passes = problem.predict(delta), 1
    for _ in range(iterations):
        active = problem.gap(delta, at.expected) > tolerance * problem.total
        if not bool(active.any()):
            break
        delta, at, cost = step(problem, delta, at, active)
        passes += cost
    return _finish(problem, delta, at, passes)


def _finish(problem: BiasProblem, delta: Tensor, at: Prediction, passes: int) -> LogitBiasFit:
    return LogitBiasFit(delta, problem.value(delta, at.partition), problem.gap(delta, at.expected), passes)


def _mm_step(problem: BiasProblem, delta: Tensor, at: Prediction, active: Tensor) -> tuple[Tensor, Prediction, int]:
    proposal = problem.prior.majorised_step(delta, at.expected, problem.counts)
    delta = torch.where(active[:, None], proposal, delta)
    return delta, problem.predict(delta), 1
