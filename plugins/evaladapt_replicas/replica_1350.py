"""parameter-golf #1350: the "causal" port of #1318, whose mask stops before the span but whose delta is shared.

Every window masks its own scored targets, so it looks legal; but one delta [V] is fitted to all overlapping windows of
a batch at once, and what one window scores is context of the next. Of the scored targets of a batch of 32 windows 31 in
32 are in the objective (``train_gpt.py`` of the pull request, lines 2239 to 2347). Breaks C1 and C3; its author closed
it for this. Test-time training before quantisation, which it had too, is not repeated here. Legal relative:
``slot-lbfgs``, one delta for every window.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaladapt.contract import Capabilities, Past, Stage, hookimpl, option
from evaladapt_replicas.joint_fit import Lbfgs
from evaladapt_replicas.shared_delta import SharedLogitDelta, before_spans


@dataclass(frozen=True, kw_only=True)
class Replica1350Options:
    """Options of ``replica-1350``; the defaults are the published values."""

    context: int | None = option(None, "targets before a span that are fitted to; none: as many as are scored, which"
                                       " were 64", minimum=1)  # fmt: skip
    iterations: int = option(25, "iterations of L-BFGS", minimum=1)
    history: int = option(20, "pairs it remembers", minimum=1)
    clamp: float = option(5.0, "largest absolute value of a number of delta, in nats", above=0)


class Replica1350(SharedLogitDelta):
    """One delta for the rows of a batch, fitted to all their contexts at once."""

    capabilities = Capabilities(
        stage=Stage.LOGITS,
        reads=frozenset({"logits"}),
        scope="stream",
        peeks=True,
        breaks=("C1", "C3"),
        legal_relative="slot-lbfgs",
    )
    Options = Replica1350Options

    def __init__(self, options: Replica1350Options) -> None:
        self._options = options

    @hookimpl
    def adapt(self, past: Past) -> None:
        """Fit to the targets before the spans of all windows."""
        options = self._options
        settings = Lbfgs(options.iterations, options.history)
        self._fit_where(before_spans(past, options.context), past, settings, options.clamp)
