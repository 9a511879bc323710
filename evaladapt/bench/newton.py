"""Newton for the additive logit correction: a reference that reaches the optimum of ``toolbox.logit_bias`` exactly.

Few steps, each much dearer than ``fit_mm``'s, which is why no strategy offers it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evaladapt.toolbox.logit_bias import DEFAULT_TOLERANCE, BiasProblem, LogitBiasFit, Prediction, descend

_SUFFICIENT_DECREASE = 1e-4
_HALVINGS = 25


def fit_newton(
    problem: BiasProblem, start: Tensor | None = None, *, tolerance: float = DEFAULT_TOLERANCE, iterations: int = 25
) -> LogitBiasFit:
    """Damped Newton until each row is certified within ``tolerance`` nats per token. Never increases a value.

    Where no fraction of the Newton step descends (overflow, for one), the row takes the majorised step instead.
    """
    return descend(problem, start, tolerance, iterations, _newton_step)


def _newton_step(problem: BiasProblem, delta: Tensor, at: Prediction, active: Tensor) -> tuple[Tensor, Prediction, int]:
    value = problem.value(delta, at.partition)
    gradient = problem.gradient(delta, at.expected)
    direction = _newton_direction(problem, delta, at, gradient)
    slope = (gradient * direction).sum(-1).double()
    rounding = 4.0 * torch.finfo(delta.dtype).eps * value.abs()
    fraction = torch.ones_like(value)
    for passes in range(1, _HALVINGS + 1):
        move = torch.where(active[:, None], fraction.to(delta.dtype)[:, None] * direction, torch.zeros_like(delta))
        proposal = delta + move
        there = problem.predict(proposal)
        reached = problem.value(proposal, there.partition)
        too_high = active & ~(reached <= value + _SUFFICIENT_DECREASE * fraction * slope + rounding)
        if not bool(too_high.any()):
            return proposal, there, passes
        fraction = torch.where(too_high, 0.5 * fraction, fraction)
    majorised = problem.prior.majorised_step(delta, at.expected, problem.counts)
    proposal = torch.where(too_high[:, None], majorised, proposal)
    return proposal, problem.predict(proposal), _HALVINGS + 1


def _newton_direction(problem: BiasProblem, delta: Tensor, at: Prediction, gradient: Tensor) -> Tensor:
    """Minus inverse Hessian times gradient, through a T x T system.

    The Hessian is ``D - P' W P`` with softmax rows P, token weights W and the diagonal D = expected + prior curvature.
    With ``X = W^(1/2) P D^(-1/2)`` its inverse is ``D^(-1/2) (I + X' (I - X X')^(-1) X) D^(-1/2)``. Rows whose small
    matrix cannot be factored in this precision take the majorised step instead.
    """
    root = (at.expected + problem.prior.curvature(delta)).sqrt()
    scaled = problem.odds * (delta.exp() / root)[:, None, :]
    scaled.mul_((problem.weights.sqrt() / at.partition)[:, :, None])
    small = -torch.bmm(scaled, scaled.transpose(1, 2))
    small.diagonal(dim1=1, dim2=2).add_(1.0)
    factor, failed = torch.linalg.cholesky_ex(small)
    plain = gradient / root
    right = torch.bmm(plain[:, None, :], scaled.transpose(1, 2)).transpose(1, 2)
    solved = torch.cholesky_solve(right, factor)
    newton = -(plain + torch.bmm(solved.transpose(1, 2), scaled)[:, 0]) / root
    fallback = problem.prior.majorised_step(delta, at.expected, problem.counts) - delta
    usable = (failed == 0) & newton.isfinite().all(-1)
    return torch.where(usable[:, None], newton, fallback)
