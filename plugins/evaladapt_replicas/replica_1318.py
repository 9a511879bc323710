"""parameter-golf #1318: a logit delta fitted to the last 128 targets of every window, those it scores included.

One delta [V] for the 32 overlapping windows of a batch, by 25 iterations of L-BFGS over all of them at once, started
from the batch before. Breaks C1 and C3: the objective takes the positions ``[L-128, L-1)`` of a window of length L,
of which it scores the last 64 (``train_gpt.py`` of the pull request, evaluation with SLOT, lines 1391 to 1754); only
the very last scored target is left out. The first window, which scores all that it holds, is fitted to its last 127
targets too. The original pads the windows at the end of the text and fits to the padding; here they end with the text.
The record also ran test-time training over the whole text first and scored it again afterwards, which breaks C4 and is
not repeated here, and rounded the delta to bfloat16. Legal relative: ``slot-lbfgs``.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaladapt.contract import Capabilities, Past, Stage, hookimpl, option
from evaladapt_replicas.joint_fit import Lbfgs
from evaladapt_replicas.shared_delta import SharedLogitDelta


@dataclass(frozen=True, kw_only=True)
class Replica1318Options:
    """Options of ``replica-1318``; the defaults are the published values."""

    focal: int = option(128, "last targets of a window, of which the very last is left out, that are fitted to; twice"
                             " as many as a window scores, at the published stride of 64", minimum=2)  # fmt: skip
    iterations: int = option(25, "iterations of L-BFGS", minimum=1)
    history: int = option(20, "pairs it remembers", minimum=1)
    clamp: float = option(5.0, "largest absolute value of a number of delta, in nats", above=0)


class Replica1318(SharedLogitDelta):
    """One delta for the rows of a batch, fitted to what they score."""

    capabilities = Capabilities(
        stage=Stage.LOGITS,
        reads=frozenset({"logits"}),
        scope="stream",
        peeks=True,
        breaks=("C1", "C3"),
        legal_relative="slot-lbfgs",
    )
    Options = Replica1318Options

    def __init__(self, options: Replica1318Options) -> None:
        self._options = options

    @hookimpl
    def adapt(self, past: Past) -> None:
        """Fit to the last targets of all windows."""
        options = self._options
        last = past.positions.amax(dim=1, keepdim=True)
        chosen = past.visible & (past.positions > last - options.focal) & (past.positions < last)
        self._fit_where(chosen, past, Lbfgs(options.iterations, options.history), options.clamp)
