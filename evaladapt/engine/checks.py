"""What is asked of every tensor a strategy returns: its shape, that it is finite, and that it is a distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from evaladapt.errors import ContractViolation

SUM_TOLERANCE = 1e-4
"""Nats by which the log of a distribution's sum may differ from zero. What is charged is normalised again exactly."""


def check_output(alias: str, hook: str, shape: torch.Size, dtype: torch.dtype, after: object) -> Tensor:
    """Return ``after`` if it is a finite tensor of this shape and type.

    Raises:
        ContractViolation: clause C2.
    """
    if not isinstance(after, Tensor):
        raise _refused(alias, hook, f"returned {type(after).__name__} instead of a tensor")
    if after.shape != shape or after.dtype != dtype:
        given, wanted = _describe(after.shape, after.dtype), _describe(shape, dtype)
        raise _refused(alias, hook, f"returned {given} where {wanted} was due")
    # A number that is not finite makes the sum so too, and a sum costs a quarter of looking at every number.
    if not bool(torch.isfinite(after.sum())) and not bool(torch.isfinite(after).all()):
        row, column = [int(one) for one in (~torch.isfinite(after)).nonzero()[0][:2]]
        value = after[row, column][~torch.isfinite(after[row, column])][0].item()
        raise _refused(alias, hook, f"returned {value} at row {row}, target {column} of the batch")
    return after


def worst_sum(logprobs: Tensor, valid: Tensor) -> float:
    """Largest distance from zero, in nats, of the log of a sum over the vocabulary; logprobs [B,S,V], valid [B,S]."""
    sums = torch.logsumexp(logprobs, dim=-1)
    return float(torch.where(valid, sums, 0.0).abs().max())


def check_distribution(alias: str, logprobs: Tensor, valid: Tensor) -> float:
    """Return the worst sum of what ``mix`` returned, in nats.

    Raises:
        ContractViolation: clause C2, when a row does not sum to one within ``SUM_TOLERANCE``.
    """
    worst = worst_sum(logprobs, valid)
    if worst > SUM_TOLERANCE:
        raise _refused(alias, "mix", f"returned probabilities whose sum is off by a factor of e^{worst:.3g}")
    return worst


def _describe(shape: torch.Size, dtype: torch.dtype) -> str:
    return f"{list(shape)} {str(dtype).removeprefix('torch.')}"


def _refused(alias: str, hook: str, reason: str) -> ContractViolation:
    return ContractViolation(f"strategy {alias!r} breaks C2: {hook} {reason}", clause="C2", strategy=alias)
