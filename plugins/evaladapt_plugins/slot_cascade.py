"""The logit delta of ``slot-lbfgs`` fitted in two phases of L-BFGS, the second with a fresh history.

Parameter-golf #1372: a short first phase, a clamp, then a longer phase from there that may weigh hard tokens more. With
p_t the probability of target x_t after the first phase and n targets, the second minimises

    Σ_t w_t · −log softmax(z_t + delta)[x_t]  +  prior(delta)        (nats)
    w_t = (1 − hard) + hard · n · (1 − p_t) / Σ_s (1 − p_s)

so that the weights sum to n. There one delta was shared by overlapping windows, which leaks; here every row has its
own, from its own past. With ``hard=0`` both phases have one optimum, which is that of ``slot-lbfgs``: the cascade then
differs by where its iterations end. The default of 0.7 is what #1372 took where it weighed tokens at all; against 0 it
changed nothing on held-out C4 and gained a little on docstrings of the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor

from evaladapt.contract import Capabilities, Past, Stage, hookimpl, option
from evaladapt.toolbox.batched_lbfgs import LbfgsOptions
from evaladapt.toolbox.bias_prior import prior_named
from evaladapt.toolbox.logit_bias import fit, fit_lbfgs

USUAL_STRENGTH = 2.0
"""Of the prior, for a window that has seen nothing."""


@dataclass(frozen=True, kw_only=True)
class SlotCascadeOptions:
    """Options of ``slot-cascade``."""

    prior: Literal["gamma", "gaussian"] = option(
        "gamma", "gamma: like so many extra sightings of every token; gaussian: precision of every number"
    )
    strength: float | None = option(
        None, "strength of the prior; none: every window learns it from how far counts stray in its past", above=0
    )
    focal: int | None = option(None, "targets before the span that are fitted to; none: the window's whole past",
                               minimum=1)  # fmt: skip
    clamp: float = option(5.0, "largest absolute value of a number of delta after each phase, in nats", above=0)
    first_iterations: int = option(5, "iterations of the first phase", minimum=1)
    first_history: int = option(10, "pairs that it remembers", minimum=1)
    iterations: int = option(18, "iterations of the second phase", minimum=1)
    history: int = option(20, "pairs that it remembers", minimum=1)
    hard: float = option(0.7, "share of the second objective that weighs a token by how wrong it was",
                         minimum=0, maximum=1)  # fmt: skip


class SlotCascade:
    """One delta [V] per window, from the window's own past, in two phases."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"logits"}))
    Options = SlotCascadeOptions

    def __init__(self, options: SlotCascadeOptions) -> None:
        self._options = options
        self.focus = options.focal
        self._prior = prior_named(options.prior, options.strength, USUAL_STRENGTH)
        self._delta: Tensor | None = None

    @hookimpl
    def adapt(self, past: Past) -> None:
        """Fit the deltas of all rows side by side: [B,V]."""
        options, limit = self._options, self._options.clamp
        logits = cast(Tensor, past.logits)
        first = LbfgsOptions(iterations=options.first_iterations, history=options.first_history)
        second = LbfgsOptions(iterations=options.iterations, history=options.history)
        delta = fit(logits, past.targets, self._prior, solver=partial(fit_lbfgs, options=first)).delta
        delta = delta.clamp(-limit, limit)
        weights = self._weights(logits + delta.unsqueeze(1), past)
        again = partial(fit_lbfgs, options=second)
        delta = fit(logits, past.targets, self._prior, weights=weights, start=delta, solver=again).delta
        self._delta = delta.clamp(-limit, limit)

    @hookimpl
    def transform_logits(self, logits: Tensor) -> Tensor:
        """Add the row's delta to every position."""
        return logits if self._delta is None else logits + self._delta.unsqueeze(1)

    def _weights(self, logits: Tensor, past: Past) -> Tensor | None:
        """Weights [B,P] of the second phase, given the logits [B,P,V] after the first; None where all are one."""
        if self._options.hard == 0:
            return None
        chosen = past.targets.clamp(min=0).unsqueeze(-1)
        probability = torch.softmax(logits, dim=-1).gather(-1, chosen).squeeze(-1)
        wrong = (1 - probability) * past.visible
        count = past.visible.sum(dim=1, keepdim=True)
        share = wrong / wrong.sum(dim=1, keepdim=True).clamp(min=1e-6)
        return (1 - self._options.hard) * past.visible + self._options.hard * count * share
