"""``evaladapt bench scaling``: how time and memory grow."""

from __future__ import annotations

import json
from pathlib import Path

import click

AXES = ("length", "vocabulary", "parameters")


@click.command(epilog="Example:  evaladapt bench scaling --axis vocabulary --out scaling")
@click.option("--axis", "axes", multiple=True, type=click.Choice(AXES), help="Along what.  [default: all]")
@click.option("--most-seconds", type=click.FloatRange(min=0, min_open=True), default=120.0, show_default=True,
              help="Leave out runs that would take longer.")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write scaling.json and scaling.svg here."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def scaling(axes: tuple[str, ...], most_seconds: float, out: Path | None, as_json: bool) -> None:
    """Measure time and memory by length of the text, vocabulary and model."""
    from evaladapt.bench.scaling import run
    from evaladapt.bench.scaling_picture import save_picture
    from evaladapt.results.table import optional_package
    from evaladapt.system.files import write_text_atomically

    if out is not None:
        optional_package("matplotlib", "report")  # before minutes of runs, not after
        out.mkdir(parents=True, exist_ok=True)
    report = run(axes or AXES, most_seconds, lambda line: click.echo(line, err=True))
    content = json.dumps(report.to_json(), indent=1)
    if out is not None:
        write_text_atomically(out / "scaling.json", content + "\n")
        save_picture(report, out / "scaling.svg")
    click.echo(content if as_json else report.to_text())
