"""What was seen around the hooks of a watched run, before it is put into findings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Incident:
    """Something that a hook did and must not do."""

    probe: str
    clause: str
    alias: str
    hook: str
    changed: str
    difference: str
    positions: tuple[int, ...] = ()


@dataclass
class Sightings:
    """All of a run.

    Attributes:
        incidents: in order.
        counts: how often each probe looked.
        blind: why a probe could not look at a strategy, by probe and alias.
    """

    incidents: list[Incident] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    blind: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, probe: str) -> list[Incident]:
        """Incidents of one probe."""
        return [one for one in self.incidents if one.probe == probe]

    def blind_for(self, probe: str) -> str:
        """Reasons why a probe could not look, in words; empty where it could."""
        return "; ".join(f"{alias}: {why}" for (name, alias), why in self.blind.items() if name == probe)
