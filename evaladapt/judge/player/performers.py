"""Who performs a composition on a text that is charged: a sealed player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from evaladapt.judge.charging import Charging
from evaladapt.judge.doubt.twins import Twins
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.player.players import Player, SealedBy
from evaladapt.judge.player.recipe import Recipe
from evaladapt.judge.session import Session


class Performer(Protocol):
    """A composition that is ready for a text."""

    @property
    def ready(self) -> Mapping[str, Any]:
        """What it says of model and strategies, see :meth:`evaladapt.engine.player.setup.Setup.description`."""

    def perform(self, charging: Charging) -> Outcome:
        """Play a text through.

        Raises:
            ContractViolation: a clause was broken.
            PluginError: a strategy failed.
        """


@dataclass(frozen=True)
class Seat:
    """A player that is sealed, with what it said of itself before."""

    player: Player
    ready: dict[str, Any]
    sealed: SealedBy

    def perform(self, charging: Charging, twins: Twins | None = None) -> Outcome:
        """As :meth:`Performer.perform`, asking twins."""
        return Session(self.player, charging, int(self.ready["vocab_size"]), twins).run()


def seat_all(recipes: Sequence[Recipe], patience: float, stack: ExitStack) -> list[Seat]:
    """Players for all recipes, started side by side, all of them loaded and sealed; the stack ends them.

    Raises:
        EvaladaptError: one cannot be loaded or sealed.
    """
    players = []
    for recipe in recipes:
        players.append(Player(recipe, patience))
        stack.callback(players[-1].close)
    loaded = [(player, player.ready()) for player in players]
    return [Seat(player, ready, player.seal()) for player, ready in loaded]
