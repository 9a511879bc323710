"""parameter-golf #1372: #1350 with L-BFGS started afresh after five iterations, and hard tokens weighed on request.

Same mask and same leak as #1350: one delta [V] for the overlapping windows of a batch, so that C1 and C3 are broken
(``train_gpt.py`` of the pull request, lines 2261 to 2440). With p_t the probability of target t after the first phase,
the second minimises ``(1 - hard) · mean(nll) + hard · Σ nll_t (1 - p_t) / Σ (1 - p_t)``. The second phase is skipped
where the loss that the first one *started* from is not finite: what torch's optimiser returns. Test-time training
before quantisation is not repeated here. Legal relative: ``slot-cascade``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evaladapt.contract import Capabilities, Past, Stage, hookimpl, option
from evaladapt_replicas.joint_fit import Lbfgs, minimise_jointly
from evaladapt_replicas.shared_delta import SharedLogitDelta, before_spans


@dataclass(frozen=True, kw_only=True)
class Replica1372Options:
    """Options of ``replica-1372``; the defaults are the published values."""

    context: int | None = option(None, "targets before a span that are fitted to; none: as many as are scored, which"
                                       " were 64", minimum=1)  # fmt: skip
    first_iterations: int = option(5, "iterations of the first phase", minimum=1)
    first_history: int = option(10, "pairs it remembers", minimum=1)
    iterations: int = option(18, "iterations of the second phase", minimum=1)
    history: int = option(20, "pairs it remembers", minimum=1)
    hard: float = option(0.0, "share of the weighted loss in the second phase; 0.7 where it was switched on",
                         minimum=0, maximum=1)  # fmt: skip
    clamp: float = option(5.0, "largest absolute value of a number of delta, in nats", above=0)


class Replica1372(SharedLogitDelta):
    """One delta for the rows of a batch, in two phases."""

    capabilities = Capabilities(
        stage=Stage.LOGITS,
        reads=frozenset({"logits"}),
        scope="stream",
        peeks=True,
        breaks=("C1", "C3"),
        legal_relative="slot-cascade",
    )
    Options = Replica1372Options

    def __init__(self, options: Replica1372Options) -> None:
        self._options = options

    @hookimpl
    def adapt(self, past: Past) -> None:
        """Fit to the targets before the spans of all windows, twice."""
        options = self._options
        chosen = before_spans(past, options.context)
        if not bool(chosen.any()):
            return
        logits, targets = cast(Tensor, past.logits)[chosen], past.targets[chosen]
        delta = self._delta[0, 0].clone()
        first = Lbfgs(options.first_iterations, options.first_history)
        started_at = minimise_jointly([delta], lambda: cross_entropy(logits + delta, targets), first)
        delta.clamp_(-options.clamp, options.clamp)
        if torch.isfinite(torch.tensor(started_at)):
            weights = self._weights(logits + delta, targets)
            second = Lbfgs(options.iterations, options.history)

            def weighted() -> Tensor:
                return (cross_entropy(logits + delta, targets, reduction="none") * weights).sum()

            minimise_jointly([delta], weighted, second)
            delta.clamp_(-options.clamp, options.clamp)
        self._delta = delta.nan_to_num(0.0).expand_as(self._delta).clone()

    def _weights(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Weights [n] of the second phase; they sum to one."""
        wrong = 1 - torch.softmax(logits, dim=-1).gather(1, targets.unsqueeze(1)).squeeze(1)
        hard = self._options.hard
        return (1 - hard) / len(targets) + hard * wrong / (wrong.sum() + 1e-6)
