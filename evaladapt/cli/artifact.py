"""``evaladapt artifact``: looking into frozen models without running them."""

from __future__ import annotations

import json

import click

from evaladapt.system.text import safe


@click.group()
def artifact() -> None:
    """Look into artifacts."""


@artifact.command()
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def show(file: str, as_json: bool) -> None:
    """Check FILE (a path, or a name that ships, such as default) and print what it holds and what it takes."""
    from evaladapt.artifact import find_artifact, open_artifact
    from evaladapt.artifact.summary import summarise, summary_text

    summary = summarise(open_artifact(find_artifact(file)))
    if as_json:
        click.echo(json.dumps(summary.to_json()))
        return
    click.echo(summary_text(summary))
    for title, values in (("model", summary.model), ("made by", summary.metadata)):
        click.echo(f"\n{title}")
        for name, value in sorted(values.items()):
            shown = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            click.echo(f"  {safe(name):<18} {safe(shown)}")
