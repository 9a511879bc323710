"""``evaladapt show``: a finished run again, as a table or as files by document and by target; nothing is run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from evaladapt.cli.frames import FrameFiles, frame_options
from evaladapt.errors import UsageError


@click.command(
    epilog="Examples:  evaladapt show runs/long    |    "
    "evaladapt show runs/long --documents gain.csv --targets targets.parquet    |    evaladapt show runs/grid"
)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@frame_options
@click.option("--json", "as_json", is_flag=True, help="Print the record as one JSON object.")
def show(folder: Path, documents: Path | None, targets: Path | None, as_json: bool) -> None:
    """Show a finished RUN (its folder) from its record, ledger and text, without running it again.

    RUN may be the folder of a comparison too, whose table is shown.
    """
    from evaladapt.cli.run_table import run_table
    from evaladapt.judge.records.folder import RECORD
    from evaladapt.results.comparison import open_comparison
    from evaladapt.results.manifest import NAME
    from evaladapt.results.result import open_run

    frames = FrameFiles(documents, targets)
    if (folder / NAME).exists():
        if documents or targets:
            raise UsageError("--documents and --targets are of one run; in Python: evaladapt.open_comparison(FOLDER)")
        comparison = open_comparison(folder)
        click.echo(json.dumps(comparison.to_json()) if as_json else comparison.table())
        return
    frames.refuse_unwritable()
    result = open_run(folder)
    click.echo(json.dumps(result.record.to_json()) if as_json else run_table(result.record, folder / RECORD))
    frames.write(result)
