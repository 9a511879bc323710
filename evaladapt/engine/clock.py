"""Where the time of a run goes: by phase of the loop and by strategy and hook, in seconds of wall clock."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Adds up times; phases and strategies are counted apart, because a strategy's time is part of a phase."""

    def __init__(self) -> None:
        self.phases: defaultdict[str, float] = defaultdict(float)
        self.strategies: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._started = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block under a phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] += time.perf_counter() - started

    @contextmanager
    def strategy(self, alias: str, hook: str) -> Iterator[None]:
        """Count the time of the block under a strategy's hook."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.strategies[alias][hook] += time.perf_counter() - started
