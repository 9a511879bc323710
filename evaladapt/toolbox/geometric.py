"""Distributions mixed in the log domain, with exponents that are learned while the text is scored.

From K log-distributions L_k over the vocabulary and exponents w, ``p(a) = exp(sum_k w_k L_k(a)) / Z``. There is no
simplex: exponents may be negative, and a sum above one sharpens, which no average of probabilities can. The log-loss is
convex in w (an exponential family), with gradient ``E_p[L] - L(x)`` and Hessian ``Cov_p[L]``. Mattern (2013, "Linear
and geometric mixtures: analysis") has bounds for its gradient descent; here the step is Newton's, with the sum of
Hessians so far and a quadratic prior around the start. Exponents are linear in features of a target's distributions,
``w = features @ W``, so that a mixture may trust one expert where another is unsure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

FEATURES = 4
ROWS_AT_ONCE = 64
"""Targets whose distributions are put side by side at a time, which bounds the memory."""


@dataclass(frozen=True)
class Local:
    """What is known about n targets before they are scored, at the exponents that stood when they were asked about.

    Attributes:
        features: [n,F], of the experts' distributions.
        exponents: [n,K], where mean and covariance were taken.
        mean: [n,K], of every expert's log-probability under the mixture.
        covariance: [n,K,K].
    """

    features: Tensor
    exponents: Tensor
    mean: Tensor
    covariance: Tensor

    def packed(self) -> Tensor:
        """One row [F + 2K + KK] per target."""
        return torch.cat([self.features, self.exponents, self.mean, self.covariance.flatten(1)], dim=1)

    @classmethod
    def unpacked(cls, row: Tensor, experts: int) -> Local:
        """One target's, from its packed row; without the leading dimension."""
        features, exponents, mean, covariance = torch.split(row, [FEATURES, experts, experts, experts * experts])
        return cls(features, exponents, mean, covariance.view(experts, experts))


def start(experts: int, precision: float) -> Tensor:
    """State [FK, FK + 1]: the sum of Hessians (the prior alone) and, in the last column, W (the last expert alone)."""
    weights = torch.zeros(FEATURES, experts, dtype=torch.float64)
    weights[0, -1] = 1.0
    hessian = precision * torch.eye(FEATURES * experts, dtype=torch.float64)
    return torch.cat([hessian, weights.view(-1, 1)], dim=1)


def exponents(states: Tensor, features: Tensor) -> Tensor:
    """Exponents [n,K] from states [..., FK, FK + 1], one or n of them, and features [n,F]."""
    weights = states[..., -1].reshape(*states.shape[:-2], FEATURES, -1)
    return (features.unsqueeze(-1) * weights).sum(-2)


def features(first: Tensor, last: Tensor) -> Tensor:
    """[n,F] float64 of two log-distributions [n,V]: one, both entropies, and how far the last is from the first.

    Entropies are in nats, less 2.5 and halved, and the divergence KL(last | first) is squashed, so that all are near 0
    and of size 1 for language models.
    """
    probs = last.exp()
    apart = (probs * (last - first)).sum(-1)
    entropies = [-(probs * last).sum(-1), -(first.exp() * first).sum(-1)]
    columns = [torch.ones_like(apart), *((one - 2.5) / 2 for one in entropies), apart.tanh() - 0.3]
    return torch.stack(columns, dim=-1).double()


def local(experts: list[Tensor], state: Tensor) -> Local:
    """What a Newton step on n targets needs, from their log-distributions [n,V] under every expert."""
    known = features(experts[0], experts[-1])
    at = exponents(state, known)
    means, covariances = [], []
    for rows, logs in _in_pieces(experts):
        probs = torch.softmax(torch.einsum("nk,nkv->nv", at[rows].to(logs), logs), -1)
        mean = torch.einsum("nv,nkv->nk", probs, logs)
        centred = logs - mean.unsqueeze(-1)
        means.append(mean.double())
        covariances.append(torch.einsum("nkv,nlv->nkl", probs.unsqueeze(1) * centred, centred).double())
    return Local(known, at, torch.cat(means), torch.cat(covariances))


def mixed(experts: list[Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """The mixture's log-distributions [n,V] at exponents [n,K], and what its logs were normalised by, ln Z [n]."""
    logprobs, normalisers = [], []
    for rows, logs in _in_pieces(experts):
        scores = torch.einsum("nk,nkv->nv", at[rows].to(logs), logs)
        normaliser = torch.logsumexp(scores, -1, keepdim=True)
        logprobs.append(scores - normaliser)
        normalisers.append(normaliser.squeeze(-1).double())
    return torch.cat(logprobs), torch.cat(normalisers)


def newton(state: Tensor, charges: Tensor, noted: Tensor, *, precision: float, fading: float) -> Tensor:
    """The state after a target was scored.

    The gradient at today's exponents is taken from the mean and covariance where they were noted, to first order.

    Args:
        state: [FK, FK + 1].
        charges: [K], log-probabilities that the experts gave the target.
        noted: the packed row of :class:`Local`.
        precision: of the prior around the start.
        fading: what is left of the sum of Hessians from one target to the next, so that exponents can follow the text.
    """
    known = Local.unpacked(noted, len(charges))
    here = exponents(state, known.features.unsqueeze(0))[0]
    slope = charges - known.mean - known.covariance @ (here - known.exponents)
    prior = precision * torch.eye(len(state), dtype=state.dtype)
    hessian = prior + fading * (state[:, :-1] - prior)
    hessian = hessian + torch.kron(torch.outer(known.features, known.features), known.covariance)
    step = torch.linalg.solve(hessian, torch.outer(known.features, slope).flatten())
    return torch.cat([hessian, (state[:, -1] + step).unsqueeze(1)], dim=1)


def _in_pieces(experts: list[Tensor]) -> Iterator[tuple[slice, Tensor]]:
    """Targets and their log-distributions side by side, [m,K,V], some at a time."""
    for first in range(0, len(experts[0]), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        yield rows, torch.stack([one[rows] for one in experts], dim=1)
