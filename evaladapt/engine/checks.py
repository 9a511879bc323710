"""What is asked of every tensor a strategy returns: its shape, that it is finite, and that it is a distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from evaladapt.engine.keeper import PADDING
from evaladapt.errors import ContractViolation

SUM_TOLERANCE = 1e-4
"""Nats by which the log of a distribution's sum may differ from zero. What is charged is normalised again exactly."""

SUMS_WELL = 16_384
"""Tokens up to which ``log_softmax`` alone is good to a few millionths of a nat."""


def normalised(logits: Tensor) -> Tensor:
    """Log-probabilities [B,S,V] that sum to one as well as float32 can say.

    The sums inside ``log_softmax`` drift with the vocabulary: at 49,152 tokens by 2e-5 nats, as much as a judge allows.
    """
    logprobs = torch.log_softmax(logits, dim=-1)
    if logits.shape[-1] <= SUMS_WELL:
        return logprobs
    return logprobs.sub_(logprobs.exp().sum(dim=-1, keepdim=True, dtype=torch.float64).log().float())


def check_output(
    alias: str, hook: str, shape: torch.Size, dtype: torch.dtype, after: object, positions: Tensor
) -> Tensor:
    """Return ``after`` if it is a finite tensor of this shape and type; ``positions`` [B,S] are its targets.

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
        row, column, token = (~torch.isfinite(after)).nonzero()[0].tolist()
        raise _refused(alias, hook, f"returned {after[row, column, token].item()}", int(positions[row, column]))
    return after


def worst_sum(logprobs: Tensor, valid: Tensor) -> float:
    """Largest distance from zero, in nats, of the log of a sum over the vocabulary; logprobs [B,S,V], valid [B,S]."""
    return float(_log_sums(logprobs, valid).max())


def check_distribution(alias: str, logprobs: Tensor, valid: Tensor, positions: Tensor) -> float:
    """Return the worst sum of what ``mix`` returned for the targets at ``positions`` [B,S], in nats.

    Raises:
        ContractViolation: clause C2, when a row does not sum to one within ``SUM_TOLERANCE``.
    """
    sums = _log_sums(logprobs, valid)
    wrong = (sums > SUM_TOLERANCE).flatten().nonzero()
    if len(wrong):
        first = int(wrong[0])
        reason = f"returned probabilities whose sum is off by a factor of e^{float(sums.flatten()[first]):.3g}"
        raise _refused(alias, "mix", reason, int(positions.flatten()[first]))
    return float(sums.max())


def _log_sums(logprobs: Tensor, valid: Tensor) -> Tensor:
    """[B,S]: distance of the log of every sum from zero."""
    return torch.where(valid, torch.logsumexp(logprobs, dim=-1), 0.0).abs()


def _describe(shape: torch.Size, dtype: torch.dtype) -> str:
    return f"{list(shape)} {str(dtype).removeprefix('torch.')}"


def _refused(alias: str, hook: str, reason: str, target: int = PADDING) -> ContractViolation:
    where = "" if target == PADDING else f" for target {target}"
    positions = () if target == PADDING else (target,)
    return ContractViolation(
        f"strategy {alias!r} breaks C2: {hook} {reason}{where}", clause="C2", strategy=alias, positions=positions
    )
