"""SLOT in logit space: a vector added to the logits of a window, fitted to the targets before its score span.

For every row of a batch by itself, delta [V] minimises over the ``focal`` targets before the row's span

    Σ_t logsumexp(z_t + delta) − (z_t + delta)[x_t]  +  prior(delta)        (nats)

where z [P,V] are the logits as the strategies before this one leave them. The published forms (parameter-golf #1318,
#1350) fitted one delta to overlapping windows at once, so that a row's delta had seen its neighbours' targets; here a
row's delta has seen its own past and nothing else. Without a prior as many numbers as the vocabulary has are fitted to
a hundred tokens and overfit, so there is always one. How strong it is every window learns from its past (see
``bias_prior``): where a strong model's counts stray by chance only, next to nothing is added; where a text repeats
itself, more than any one strength for all texts would allow.

There is no warm start, which the published forms had. The objective is strictly convex: where a fit starts does not
move its optimum, the default solver is there after two or three passes from zero, and a start taken from another row
would make a row's numbers depend on how rows were batched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

from torch import Tensor

from evaladapt.contract import Capabilities, Past, Stage, hookimpl, option
from evaladapt.toolbox.batched_lbfgs import LbfgsOptions
from evaladapt.toolbox.bias_prior import prior_named
from evaladapt.toolbox.logit_bias import Solver, fit, fit_lbfgs, fit_mm

USUAL_STRENGTH = 2.0
"""Of the prior, for a window that has seen nothing."""


@dataclass(frozen=True, kw_only=True)
class SlotLbfgsOptions:
    """Options of ``slot-lbfgs``."""

    solver: Literal["mm", "lbfgs"] = option(
        "mm", "mm: closed-form monotone steps; lbfgs: with strong Wolfe. Both reach the same optimum"
    )
    prior: Literal["gamma", "gaussian"] = option(
        "gamma", "gamma: like so many extra sightings of every token; gaussian: precision of every number"
    )
    strength: float | None = option(
        None, "strength of the prior; none: every window learns it from how far counts stray in its past", above=0
    )
    focal: int | None = option(None, "targets before the span that are fitted to; none: the window's whole past",
                               minimum=1)  # fmt: skip
    clamp: float | None = option(5.0, "largest absolute value of a number of delta, in nats", above=0)
    iterations: int = option(25, "most iterations; mm stops at 5e-5 nats per token from the optimum",
                             minimum=1)  # fmt: skip
    history: int = option(20, "pairs that lbfgs remembers", minimum=1)


class SlotLbfgs:
    """One delta [V] per window, from the window's own past."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"logits"}))
    Options = SlotLbfgsOptions

    def __init__(self, options: SlotLbfgsOptions) -> None:
        self._options = options
        self.focus = options.focal
        self._prior = prior_named(options.prior, options.strength, USUAL_STRENGTH)
        self._solver = _solver(options)
        self._delta: Tensor | None = None

    @hookimpl
    def adapt(self, past: Past) -> None:
        """Fit the deltas of all rows side by side: [B,V]."""
        delta = fit(cast(Tensor, past.logits), past.targets, self._prior, solver=self._solver).delta
        limit = self._options.clamp
        self._delta = delta if limit is None else delta.clamp(-limit, limit)

    @hookimpl
    def transform_logits(self, logits: Tensor) -> Tensor:
        """Add the row's delta to every position."""
        return logits if self._delta is None else logits + self._delta.unsqueeze(1)


def _solver(options: SlotLbfgsOptions) -> Solver:
    if options.solver == "mm":
        return partial(fit_mm, iterations=options.iterations)
    return partial(fit_lbfgs, options=LbfgsOptions(iterations=options.iterations, history=options.history))
