"""What the logit replicas have in common: one delta [1,1,V] for all rows of a batch, kept as the next batch's start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evaladapt.contract import Past, RunInfo, State, hookimpl
from evaladapt_replicas.joint_fit import Lbfgs, minimise_jointly


class SharedLogitDelta:
    """Holds the delta; a replica says what it is fitted to."""

    contract_version = 1

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """Start at zero."""
        self._delta = torch.zeros(1, 1, run.model.vocab_size, device=run.device)

    @hookimpl
    def transform_logits(self, logits: Tensor) -> Tensor:
        """Add the delta to every position of every row."""
        return logits + self._delta

    @hookimpl
    def fitted(self) -> Mapping[str, Tensor]:
        """The delta, which a decoder would have to be told."""
        return {"delta": self._delta}

    @hookimpl
    def state(self) -> State:
        """The start of the next fit."""
        return {"delta": self._delta}

    @hookimpl
    def restore(self, state: State) -> None:
        """Continue."""
        self._delta = cast(Tensor, state["delta"]).to(self._delta.device)

    def _fit_where(self, chosen: Tensor, past: Past, settings: Lbfgs, clamp: float) -> None:
        """Move the delta to fit the targets at ``chosen`` [B,C], mean over all rows together; nothing there: stay."""
        if not bool(chosen.any()):
            return
        logits, targets = cast(Tensor, past.logits)[chosen], past.targets[chosen]
        delta = self._delta[0, 0].clone()
        minimise_jointly([delta], lambda: cross_entropy(logits + delta, targets), settings)
        self._delta = delta.clamp(-clamp, clamp).expand_as(self._delta).clone()


def before_spans(past: Past, context: int | None) -> Tensor:
    """[B,C] bool: the ``context`` targets directly before every row's score span; none: as many as the span is long.

    The published mask was the last 128 positions of a window less the 64 it scored, so as many as it scored.
    """
    known = past.positions >= 0
    spans = past.in_span & known
    first = torch.where(spans, past.positions, torch.iinfo(torch.int64).max).amin(dim=1, keepdim=True)
    count = spans.sum(dim=1, keepdim=True) if context is None else context
    return past.visible & ~past.in_span & (past.positions >= first - count)
