"""``--documents`` and ``--targets``: the rows of a result, written to files for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.system.text import safe

if TYPE_CHECKING:
    from evaladapt.results.result import Result

Command = Callable[..., Any]
_FILE = click.Path(path_type=Path, dir_okay=False)


def frame_options(command: Command) -> Command:
    """Add ``--documents`` and ``--targets`` to a command."""
    documents = click.option("--documents", type=_FILE, metavar="FILE",
                             help="Write a row per document: bytes, bits before and after, gain (.csv, .jsonl,"
                             " .parquet).")  # fmt: skip
    targets = click.option("--targets", type=_FILE, metavar="FILE",
                           help="Write a row per target: token, bytes, nats before and after (.csv, .jsonl,"
                           " .parquet).")  # fmt: skip
    return documents(targets(command))


@dataclass(frozen=True)
class FrameFiles:
    """Where rows shall go; None where they are not wanted."""

    documents: Path | None
    targets: Path | None

    def refuse_unwritable(self) -> None:
        """Before a run, so that none is made for nothing.

        Raises:
            UsageError: a file's name ends in no form of table, or its folder is not there.
        """
        for path in filter(None, (self.documents, self.targets)):
            from evaladapt.results.table import writer_for

            writer_for(path)

    def write(self, result: Result) -> None:
        """Write what was asked for, and say so."""
        if self.documents is not None:
            documents = result.documents()
            documents.save(self.documents)
            click.echo(safe(f"{len(documents):,} documents: {self.documents}"), err=True)
        if self.targets is not None:
            targets = result.targets()
            targets.save(self.targets)
            click.echo(safe(f"{len(targets):,} targets: {self.targets}"), err=True)
