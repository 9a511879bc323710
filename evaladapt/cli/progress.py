"""Progress of a run on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

PLAIN_LINE_SECONDS = 15.0


class RunProgress:
    """Makes the progress callback for every pass of a run."""

    def __call__(self, name: str) -> PassProgress:
        """Callback for the pass called ``name``."""
        return PassProgress(name)


class PassProgress:
    """Shows targets done, rate and remaining time of one pass."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = self._shown = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __call__(self, done: int, total: int) -> None:
        """Targets charged so far, of all."""
        if sys.stderr.isatty():
            self._show_bar(done, total)
        elif done == total or time.monotonic() - self._shown >= PLAIN_LINE_SECONDS:
            self._shown = time.monotonic()
            print(self._line(done, total), file=sys.stderr, flush=True)

    def _show_bar(self, done: int, total: int) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"),
                       TimeRemainingColumn())  # fmt: skip
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(self._name, total=total, rate="")
            self._bar.start()
        rate = done / max(time.monotonic() - self._started, 1e-9)
        self._bar.update(self._task, completed=done, rate=f"{rate:,.0f} targets/s")
        if done == total:
            self._bar.stop()

    def _line(self, done: int, total: int) -> str:
        rate = done / max(time.monotonic() - self._started, 1e-9)
        left = (total - done) / rate
        return f"{self._name}: {done:,} of {total:,} targets, {rate:,.0f} targets/s, {left:,.0f} s left"
