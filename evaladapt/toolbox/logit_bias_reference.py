"""The field's own way to fit a logit correction, kept as a yardstick: one ``torch.optim.LBFGS`` per window in a loop.

Tests hold the solvers of ``logit_bias`` against it, and a benchmark can time both on the same windows
(``example_windows``) within one process. It is not meant for use in a strategy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evaladapt.toolbox.bias_prior import Prior


@dataclass(frozen=True)
class ExampleWindows:
    """``logits`` float32 [B, T, V] and ``targets`` int64 [B, T]."""

    logits: Tensor
    targets: Tensor


def example_windows(rows: int = 32, tokens: int = 128, vocabulary: int = 1024, seed: int = 0) -> ExampleWindows:
    """Windows with a Zipf-like vocabulary, peaked predictions and a unigram that differs from row to row."""
    rng = torch.Generator().manual_seed(seed)
    unigram = -torch.log(torch.arange(1, vocabulary + 1, dtype=torch.float32))
    logits = unigram + 2.0 * torch.randn(rows, tokens, vocabulary, generator=rng)
    shifted = logits + torch.randn(rows, 1, vocabulary, generator=rng)
    noise = torch.rand(rows, tokens, vocabulary, generator=rng).clamp_min_(1e-20)
    targets = (shifted - torch.log(-torch.log(noise))).argmax(-1)
    return ExampleWindows(logits, targets)


def torch_lbfgs_loop(
    logits: Tensor, targets: Tensor, prior: Prior, *, max_iter: int = 25, history_size: int = 20
) -> Tensor:
    """Delta [B, V] by ``torch.optim.LBFGS(strong_wolfe)`` and autograd, row after row, on the same objective per token.

    ``targets`` [B, T] may hold -100 for positions that are not visible.
    """
    rows = [
        _fit_row(logits[row], targets[row], prior, max_iter=max_iter, history_size=history_size)
        for row in range(len(logits))
    ]
    return torch.stack(rows)


def _fit_row(logits: Tensor, targets: Tensor, prior: Prior, *, max_iter: int, history_size: int) -> Tensor:
    visible = int((targets >= 0).sum())
    delta = torch.zeros_like(logits[0]).requires_grad_()
    if visible == 0:
        return delta.detach()
    optimiser = torch.optim.LBFGS([delta], max_iter=max_iter, history_size=history_size, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(logits + delta, targets, ignore_index=-100)
        loss = loss + prior.cost(delta[None])[0] / visible
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return delta.detach()
