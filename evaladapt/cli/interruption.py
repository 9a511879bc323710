"""What a person who interrupts a long command is told; being told to end is an interruption like Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Name the next command when the block is interrupted, by Ctrl-C or by SIGTERM."""
    try:
        with _terminated_like_interrupted():
            yield
    except KeyboardInterrupt:
        click.echo(f"the same command with --resume goes on with {out}", err=True)
        raise


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
