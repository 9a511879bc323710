"""Whether compositions can be made at all, asked before the first of many runs: a wrong option is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evaladapt.contract.composition import compose
from evaladapt.engine.player.protocol import Kind
from evaladapt.judge.player.players import Player
from evaladapt.judge.player.recipe import Trial
from evaladapt.judge.request import Composed, Request


def try_compositions(request: Request, several: Sequence[Composed]) -> None:
    """Compose each where a run of ``request`` would: in a player, which ends then, or for ``inline`` in this process.

    Raises:
        UsageError: the order, a repetition, an option, or a strategy that peeks.
        PluginError: a strategy is missing or broken.
    """
    if not several:
        return
    if request.inline or request.opened is not None:
        for one in several:
            compose(one.names, one.options, allow_noncausal=one.allow_noncausal)
        return
    trials = tuple(Trial(one.names, one.options, one.allow_noncausal) for one in several)
    with Player(replace(request.recipe(base=False), trials=trials), request.patience) as player:
        player.receive({Kind.READY: 0})
