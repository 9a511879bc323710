"""Fitting one flat vector jointly over a batch, as the published scripts do, by ``torch.optim.LBFGS``.

The rows of a batch share one line search and one curvature estimate here. A strategy that is meant to be used takes the
solvers of the toolbox, which keep rows apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Lbfgs:
    """Settings of one call of ``torch.optim.LBFGS.step`` with strong Wolfe, and how often it is called."""

    iterations: int
    history: int
    lr: float = 1.0
    calls: int = 1


def minimise_jointly(parameters: Sequence[Tensor], loss: Callable[[], Tensor], settings: Lbfgs) -> float:
    """Minimise ``loss`` (nats per token) in place over all ``parameters`` at once.

    Returns:
        What torch's optimiser returns: the loss where the last call started, not where it ended.
    """
    leaves = [one.requires_grad_() for one in parameters]
    optimiser = torch.optim.LBFGS(
        leaves,
        lr=settings.lr,
        max_iter=settings.iterations,
        history_size=settings.history,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        with torch.enable_grad():
            value = loss()
            for leaf, gradient in zip(leaves, torch.autograd.grad(value, leaves), strict=True):
                leaf.grad = gradient
        return value.detach()

    started_at = float("nan")
    for _ in range(settings.calls):
        started_at = float(optimiser.step(closure))  # type: ignore[no-untyped-call]
    for leaf in leaves:
        leaf.grad = None
        leaf.requires_grad_(False)
    return started_at
