"""What installed distributions offer under a group of entry points. Nothing is imported to list it.

Strategies and model families are found this way, ours like a stranger's. There is no second list.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points

LISTED_AT_MOST = 30
OWN_DISTRIBUTION = "evaladapt"
STRATEGIES, MODELS = "evaladapt.strategies", "evaladapt.models"
"""The groups."""


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
    return list(_installed(group, _places()))


@lru_cache
def _installed(group: str, places: tuple[tuple[str, int], ...]) -> tuple[Listing, ...]:
    """Reading what a hundred distributions say takes a tenth of a second, so it is done again only where one came."""
    found = {}
    owners: dict[Distribution | None, tuple[str, str]] = {None: ("unknown", "unknown")}
    for point in entry_points(group=group):
        if point.dist not in owners:
            assert point.dist is not None
            owners[point.dist] = point.dist.name, point.dist.version
        distribution, version = owners[point.dist]
        found[point.name, distribution] = Listing(point.name, distribution, version, point)
    return tuple(found[key] for key in sorted(found))


def _places() -> tuple[tuple[str, int], ...]:
    """Folders that distributions are looked for in, and when something last came into them or left."""
    return tuple((place, _changed(place)) for place in sys.path)


def _changed(place: str) -> int:
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:
        return 0


def shown(names: list[str]) -> str:
    """Names for a message, the first twenty of them."""
    chosen = sorted(set(names))
    rest = f" and {len(chosen) - LISTED_AT_MOST} more" if len(chosen) > LISTED_AT_MOST else ""
    return (", ".join(chosen[:LISTED_AT_MOST]) or "none") + rest
