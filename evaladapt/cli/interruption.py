"""What a person who interrupts a long command is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Name the next command when the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"the same command with --resume goes on with {out}", err=True)
        raise
