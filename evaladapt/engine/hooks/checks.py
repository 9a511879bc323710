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

IN_CACHE = 1 << 18
"""Numbers that a CPU works on at once where several passes over distributions follow one another."""


def normalised(logits: Tensor) -> Tensor:
    """Log-probabilities [B,S,V] that sum to one as well as float32 can say.

    The sums inside ``log_softmax`` drift with the vocabulary: at 49,152 tokens by 2e-5 nats, as much as a judge allows.
    """
    if logits.shape[-1] <= SUMS_WELL:
        return torch.log_softmax(logits, dim=-1)
    found = torch.empty_like(logits, memory_format=torch.contiguous_format)
    for given, into in zip(_few_rows(logits), _few_rows(found), strict=True):
        torch.log_softmax(given, dim=-1, out=into)
        into.sub_(into.exp().sum(dim=-1, keepdim=True, dtype=torch.float64).log().float())
    return found


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


def check_distribution(alias: str, logprobs: Tensor, valid: Tensor, positions: Tensor) -> None:
    """Refuse what ``mix`` returned for the targets at ``positions`` [B,S] where it does not sum to one.

    Raises:
        ContractViolation: clause C2, when a row does not sum to one within ``SUM_TOLERANCE``.
    """
    sums = _log_sums(logprobs, valid)
    wrong = (sums > SUM_TOLERANCE).flatten().nonzero()
    if len(wrong):
        first = int(wrong[0])
        reason = f"returned probabilities whose sum is off by a factor of e^{float(sums.flatten()[first]):.3g}"
        raise _refused(alias, "mix", reason, int(positions.flatten()[first]))


def _log_sums(logprobs: Tensor, valid: Tensor) -> Tensor:
    """[B,S]: distance of the log of every sum from zero."""
    sums = torch.cat([torch.logsumexp(some, dim=-1) for some in _few_rows(logprobs)])
    return torch.where(valid, sums.view(valid.shape), 0.0).abs()


def _few_rows(tensor: Tensor) -> tuple[Tensor, ...]:
    """Rows [n,V] of a tensor [B,S,V], so many at a time as stay in a CPU's caches."""
    rows = tensor.reshape(-1, tensor.shape[-1])
    at_once = max(1, IN_CACHE // rows.shape[1]) if tensor.device.type == "cpu" else len(rows)
    return torch.split(rows, max(1, at_once))


def _describe(shape: torch.Size, dtype: torch.dtype) -> str:
    return f"{list(shape)} {str(dtype).removeprefix('torch.')}"


def _refused(alias: str, hook: str, reason: str, target: int = PADDING) -> ContractViolation:
    where = "" if target == PADDING else f" for target {target}"
    positions = () if target == PADDING else (target,)
    return ContractViolation(
        f"strategy {alias!r} breaks C2: {hook} {reason}{where}", clause="C2", strategy=alias, positions=positions
    )
