"""What installed distributions offer under a group of entry points. Nothing is imported to list it.

Strategies and model families are found this way, ours like a stranger's. There is no second list.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

LISTED_AT_MOST = 30
OWN_DISTRIBUTION = "evaladapt"


@dataclass(frozen=True)
class Listing:
    """Something installed under a name, not yet imported."""

    alias: str
    distribution: str
    version: str
    entry_point: EntryPoint

    @property
    def qualified(self) -> str:
        """``distribution:alias``, which names one thing even where two distributions share an alias."""
        return f"{self.distribution}:{self.alias}"

    @property
    def is_ours(self) -> bool:
        """Whether evaladapt itself brought it."""
        return self.distribution == OWN_DISTRIBUTION


def installed(group: str) -> list[Listing]:
    """Everything installed under ``group``, sorted by alias and distribution."""
    found = {
        (point.name, _distribution(point)): Listing(point.name, _distribution(point), _version(point), point)
        for point in entry_points(group=group)
    }
    return [found[key] for key in sorted(found)]


def shown(names: list[str]) -> str:
    """Names for a message, the first twenty of them."""
    chosen = sorted(set(names))
    rest = f" and {len(chosen) - LISTED_AT_MOST} more" if len(chosen) > LISTED_AT_MOST else ""
    return (", ".join(chosen[:LISTED_AT_MOST]) or "none") + rest


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _version(point: EntryPoint) -> str:
    return point.dist.version if point.dist else "unknown"
