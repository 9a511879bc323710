"""What a strategy says about itself before it is built.

Capabilities are a class attribute, so that a composition is checked and refused without constructing anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

CONTRACT_VERSION = 1
"""Version of the hooks and views in this package; a strategy class states the one it was written for."""

Scope = Literal["window", "document", "stream"]
Reading = Literal["hidden", "logits", "trail", "expected", "states", "distributions", "vocabulary"]

SCOPES: tuple[Scope, ...] = ("window", "document", "stream")
READINGS: tuple[Reading, ...] = ("hidden", "logits", "trail", "expected", "states", "distributions", "vocabulary")
OF_THE_PAST: frozenset[Reading] = frozenset({"hidden", "logits"})


class Stage(IntEnum):
    """Where a strategy acts. A composition never decreases in stage."""

    PLAN = 0
    WEIGHTS = 1
    HIDDEN = 2
    LOGITS = 3
    PROBS = 4

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Declared powers of a strategy.

    Attributes:
        stage: where it acts.
        reads: what it needs besides tokens: ``hidden`` and ``logits`` of the past; ``trail`` of the query and of what
            was scored; ``states``, the hidden states of the query and of what was scored; ``distributions`` and their
            sum, ``expected``, of what was scored; ``vocabulary``, the bytes of every token.
        writes_weights: it receives a host that hands out the model's parameters.
        scope: how long its state lives. State of scope ``window`` belongs to one row of a batch;
            state of scope ``document`` or ``stream`` is shared by the rows, so it sees nothing past the frontier.
        peeks: it wants targets before they are scored. Such a run is never a score.
        continues: for a plan, windows of it may continue the ones before them.
        breaks: for a strategy that peeks, the clauses it is known to break, for the record.
        legal_relative: for a strategy that peeks, the strategy a user should take instead.
    """

    stage: Stage
    reads: frozenset[Reading] = frozenset()
    writes_weights: bool = False
    scope: Scope = "window"
    peeks: bool = False
    continues: bool = False
    breaks: tuple[str, ...] = ()
    legal_relative: str | None = None

    def faults(self) -> list[str]:
        """Reasons why these capabilities cannot be honoured; empty when they can."""
        found = []
        if self.scope not in SCOPES:
            found.append(f"scope {self.scope!r} is none of {', '.join(SCOPES)}")
        unknown = sorted(set(self.reads) - set(READINGS))
        if unknown:
            found.append(f"reads {', '.join(unknown)}: can only read {', '.join(READINGS)}")
        if self.writes_weights and self.stage != Stage.WEIGHTS:
            found.append("writes_weights needs stage=Stage.WEIGHTS")
        if self.stage == Stage.PLAN and self.reads - {"vocabulary"}:
            found.append("a plan is made before anything is predicted, so there is nothing to read")
        if self.continues and self.stage != Stage.PLAN:
            found.append("continues is said by a plan, whose windows read on")
        if self.stage == Stage.WEIGHTS and self.scope == "window":
            found.append("weights are shared by all rows of a batch, so the scope is document or stream")
        if self.stage == Stage.WEIGHTS and self.reads & OF_THE_PAST:
            found.append("a weights strategy adapts before the forward pass, when there is nothing to read yet")
        if "trail" in self.reads and self.stage != Stage.PROBS:
            found.append("the trail exists at stage probs only")
        if "expected" in self.reads and self.stage not in (Stage.LOGITS, Stage.PROBS):
            found.append("what was expected is known at stages logits and probs only")
        return found
