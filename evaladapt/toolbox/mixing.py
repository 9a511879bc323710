"""Mixtures and tilts of log-probabilities that stay distributions.

Everything is in nats and works on the last axis of log-probabilities [..., V] unless stated. Weights are chosen before
the target is seen; the only function that takes realised log-probabilities is the one that moves weights afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.errors import ContractViolation, UsageError

_IN_CACHE = 1 << 18
"""Numbers that a CPU works on at once where several passes over distributions follow one another."""


def normalise(logprobs: Tensor) -> Tensor:
    """Log-probabilities that sum to one, from any finite scores [..., V]."""
    return torch.log_softmax(logprobs, -1)


def normalisation_error(logprobs: Tensor) -> Tensor:
    """``|sum p - 1|`` of every distribution [...], summed in float64."""
    return (logprobs.double().exp().sum(-1) - 1.0).abs()


def check_normalised(logprobs: Tensor, tolerance: float = 1e-5) -> None:
    """Raise ``ContractViolation`` (C2) where some distribution is off by more than ``tolerance`` or not finite."""
    error = normalisation_error(logprobs)
    wrong = ~(error <= tolerance)
    if bool(wrong.any()):
        worst = error.nan_to_num(nan=math.inf).max().item()
        raise ContractViolation(
            f"{int(wrong.sum())} of {wrong.numel()} distributions do not sum to one (worst |sum - 1| = {worst:.3g}). "
            "Normalise after combining, or mix distributions that are normalised.",
            clause="C2",
        )


def linear_mix(log_p: Tensor, log_q: Tensor, weight: float | Tensor) -> Tensor:
    """``log((1 - weight) p + weight q)``; weights in [0, 1], broadcast against [..., V] (so [..., 1] for one each)."""
    share = torch.as_tensor(weight, dtype=log_p.dtype, device=log_p.device)
    return torch.logaddexp(torch.log1p(-share) + log_p, torch.log(share) + log_q)


def tilt(logprobs: Tensor, hint: Tensor, beta: float | Tensor) -> Tensor:
    """Multiply the odds of one hinted token per position by ``exp(beta)`` and renormalise, exactly and without a sum.

    ``hint`` int64 [...] is negative where there is none; ``beta`` (nats) is a number or [...]. The normaliser is
    ``1 + p(hint) (exp(beta) - 1)``.
    """
    strength = torch.as_tensor(beta, dtype=logprobs.dtype, device=logprobs.device).expand(hint.shape)
    strength = torch.where(hint >= 0, strength, torch.zeros_like(strength))[..., None]
    place = hint.clamp_min(0)[..., None]
    hinted = logprobs.gather(-1, place).exp()
    log_normaliser = torch.log1p(hinted * torch.expm1(strength))
    return (logprobs - log_normaliser).scatter_add(-1, place, strength)


def uniform_log_weights(experts: int, like: Tensor | None = None) -> Tensor:
    """The start of a mixture over K experts: ``-ln K`` each, float64 [K]."""
    device = None if like is None else like.device
    return torch.full((experts,), -math.log(experts), dtype=torch.float64, device=device)


def mix_experts(log_weights: Tensor, experts: Sequence[Tensor]) -> Tensor:
    """``log sum_k w_k p_k`` [..., V] from log-weights [..., K] and the experts' log-probabilities, K times [..., V].

    One expert after the other is added up, a few rows at a time, so that no tensor has K times V numbers. Probabilities
    below the smallest normal number count as that.
    """
    vocabulary = experts[0].shape[-1]
    weights = log_weights.exp().to(experts[0].dtype).reshape(-1, len(experts))
    rows = [expert.reshape(-1, vocabulary) for expert in experts]
    mixed = torch.zeros_like(rows[0], memory_format=torch.contiguous_format)
    at_once = max(1, _IN_CACHE // vocabulary) if mixed.device.type == "cpu" else max(1, len(mixed))
    for first in range(0, len(mixed), at_once):
        some = slice(first, first + at_once)
        for weight, expert in zip(weights[some].unbind(-1), rows, strict=True):
            mixed[some].addcmul_(weight.unsqueeze(-1), expert[some].exp())
        mixed[some].clamp_min_(torch.finfo(mixed.dtype).tiny).log_()
    return mixed.view(experts[0].shape)


def fixed_share_update(log_weights: Tensor, realised: Tensor, share: float) -> Tensor:
    """Log-weights [..., K] after the experts gave a target the log-probabilities ``realised`` [..., K].

    Bayes' rule, then every expert receives its part of the fraction ``share`` in [0, 1) of all weight (Herbster and
    Warmuth 1998, with the share spread over all experts). The mixture's loss over T targets is at most that of any
    sequence of experts with m switches plus ``ln K + m ln(K / share) - (T - 1 - m) ln(1 - share + share / K)``; with
    share 0, at most the best expert's plus ``ln K``.
    """
    posterior = log_weights + realised.to(log_weights.dtype)
    if share == 0.0:
        return torch.log_softmax(posterior, -1)
    return torch.softmax(posterior, -1).mul_(1.0 - share).add_(share / posterior.shape[-1]).log_()


@dataclass(frozen=True)
class FixedShare:
    """``fixed_share_update`` with its share, for a target or, at a fraction of the price, for many in order."""

    share: float

    def __call__(self, log_weights: Tensor, realised: Tensor) -> Tensor:
        """Log-weights [K] after a target with these log-probabilities [K]."""
        return self.over(log_weights, realised.unsqueeze(0))[0]

    def over(self, log_weights: Tensor, realised: Tensor) -> Tensor:
        """Log-weights [T,K] after each of T targets; ``realised`` is [T,K].

        In plain numbers: there are as many as experts, and a tensor of three takes longer to call than to add up.
        """
        state, states = log_weights.tolist(), []
        keep, spread = 1.0 - self.share, self.share / len(state)
        for charges in realised.tolist():
            posterior = [weight + charge for weight, charge in zip(state, charges, strict=True)]
            best = max(posterior)
            odds = [math.exp(one - best) for one in posterior]
            total = sum(odds)
            if self.share == 0.0:
                state = [one - best - math.log(total) for one in posterior]
            else:
                state = [math.log(keep * one / total + spread) for one in odds]
            states.append(state)
        return log_weights.new_tensor(states).view(-1, len(state))


@dataclass(frozen=True)
class SharedBlock:
    """Log-weights [T, K] in force at every target of a block, and ``after`` it [K]."""

    at_targets: Tensor
    after: Tensor


def fixed_share(log_weights: Tensor, realised: Tensor, share: float) -> SharedBlock:
    """Run ``fixed_share_update`` over a block of targets in order; ``realised`` is [T, K].

    The weights of a target depend on earlier targets only.
    """
    if not 0.0 <= share < 1.0:
        raise UsageError(f"the switching share must be in [0, 1), got {share}.")
    states = torch.cat([log_weights.unsqueeze(0), FixedShare(share).over(log_weights, realised)])
    return SharedBlock(states[:-1], states[-1])


def switching_bound(experts: int, targets: int, switches: int, share: float) -> float:
    """What the mixture can lose, in nats, against the best sequence of experts with that many switches."""
    stay = 1.0 - share + share / experts
    price = math.log(experts) - (targets - 1 - switches) * math.log(stay)
    if switches == 0:
        return price
    return math.inf if share == 0.0 else price + switches * math.log(experts / share)
