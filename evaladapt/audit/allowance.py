"""Which hook calls of a run are rehearsed: the first of every hook, then others by lot, within a share of the time.

A rehearsal costs about what the call costs. So a call's turn comes when what the last one of its hook took is there to
be spent. Half of the time is parted equally, so that no hook starves another; the other half is for calls that cost
more than their part, such as training on a chunk.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np

Hook = tuple[str, str]
"""Alias of a strategy, and name of the hook."""
PARTED = 0.5
TELLING = 2
"""From this call on the one before tells the cost; the first batch is one row, in which little is done."""
ONCE = ("begin", "end")
"""Hooks that are called once a run, and so need no part of what is to come."""


class Allowance:
    """Decides, and keeps the books.

    Args:
        draw: makes seeded generators.
        rate: share of calls that are drawn.
        share: largest share of the time since the start; None for no limit.
        clock: seconds, from any moment.
    """

    def __init__(
        self,
        draw: Callable[..., np.random.Generator],
        rate: float,
        share: float | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._draw, self._rate, self._share, self._clock = draw, rate, share, clock
        self._spent: defaultdict[Hook, float] = defaultdict(float)
        self._call: defaultdict[Hook, float] = defaultdict(float)
        self._on_top: defaultdict[Hook, float] = defaultdict(float)
        self._started = clock()

    def covers(self, hook: Hook, number: int) -> bool:
        """Whether call ``number`` of a hook, from 0, is rehearsed."""
        if number == 0:
            return True
        if self._share is not None and (number < TELLING or not self._affords(hook, self._share)):
            return False
        return bool(self._draw("rehearse", *hook, number).random() < self._rate)

    def note(self, hook: Hook, call: float) -> None:
        """A call took so many seconds."""
        self._call[hook] = call

    def book(self, hook: Hook, rehearsal: float) -> None:
        """And its rehearsal so many more."""
        self._spent[hook] += rehearsal
        self._on_top[hook] = max(0.0, rehearsal - self._call[hook])

    def _affords(self, hook: Hook, share: float) -> bool:
        seconds = share * (self._clock() - self._started)
        recurring = sum(name not in ONCE for _, name in self._spent)
        part = PARTED * seconds / max(1, recurring)
        cost = self._call[hook] + self._on_top[hook]
        return self._spent[hook] <= part and sum(self._spent.values()) + cost <= seconds
