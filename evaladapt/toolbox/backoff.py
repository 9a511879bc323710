"""From a model's distribution and n-gram counts to one distribution: hierarchical Dirichlet back-off.

With the model as the prior of the lowest order and each order as the prior of the next,

    p_n(a) = (count_n(a) + strength_n * p_{n-1}(a)) / (total_n + strength_n),        p_1 = the model,

every p_n sums to one because every count is part of its total (MacKay and Peto 1995, with a neural base distribution).
Where a context has not been seen the order changes nothing. Nothing here depends on the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.errors import UsageError
from evaladapt.toolbox.continuations import Continuations

Strength = float | NDArray[np.float64]


def dirichlet_backoff(logprobs: Tensor, orders: Sequence[Continuations], strengths: Sequence[Strength]) -> Tensor:
    """Blend counts into log-probabilities [N, V]; ``orders`` from the lowest to the highest, one strength each.

    A strength is positive, in counts, and a number or one per context [N], chosen from the context alone. Returns new
    log-probabilities. Over the whole vocabulary there is one addition, however many orders; the rest costs as much as
    there are entries.
    """
    if len(orders) != len(strengths):
        raise UsageError(f"{len(orders)} orders need as many strengths, got {len(strengths)}.")
    contexts, vocabulary = logprobs.shape
    remaining = np.ones(contexts, dtype=np.float64)
    places: list[NDArray[np.int64]] = []
    shares: list[NDArray[np.float64]] = []
    for found, strength in zip(reversed(orders), reversed(strengths), strict=True):
        _check(found, strength, contexts)
        unit = remaining / (found.totals + strength)
        places.append(found.rows * vocabulary + found.tokens)
        shares.append(np.multiply(found.counts, unit[found.rows], dtype=np.float64))
        remaining = unit * strength
    blended = logprobs + torch.from_numpy(np.log(remaining)).to(logprobs)[:, None]
    if places:
        once, entries = np.unique(np.concatenate(places), return_inverse=True)
        share = torch.from_numpy(np.bincount(entries, np.concatenate(shares), minlength=len(once)))
        flat, where = blended.view(-1), torch.from_numpy(once).to(blended.device)
        flat[where] = (flat[where].double().exp() + share.to(blended.device)).log().to(blended.dtype)
    return blended


def backoff_of_targets(
    probs: NDArray[np.float64],
    orders: Sequence[Continuations],
    strengths: Sequence[Strength],
    targets: NDArray[np.int64],
) -> NDArray[np.float64]:
    """What ``dirichlet_backoff`` gives to one token of each context, without the rest: float64 [..., N].

    ``probs`` [N] is the model's probability of that token, ``targets`` [N] the token. Strengths may have more leading
    axes, one answer for each: for learning from targets that are scored.
    """
    blended = np.asarray(probs, dtype=np.float64)
    for found, strength in zip(orders, strengths, strict=True):
        of_target = found.tokens == targets[found.rows]
        counts = np.bincount(found.rows[of_target], found.counts[of_target], minlength=len(targets))
        blended = (counts + strength * blended) / (found.totals + strength)
    return blended


def _check(found: Continuations, strength: Strength, contexts: int) -> None:
    if len(found.totals) != contexts:
        raise UsageError(f"counts for {len(found.totals)} contexts do not fit {contexts} distributions.")
    if not np.all(np.asarray(strength) > 0):
        raise UsageError("the strength of a back-off order must be positive.")
