"""``evaladapt bench seeds``: every strategy on one text, beside what the published forms claim."""

from __future__ import annotations

import json
from pathlib import Path

import click

from evaladapt.cli.options import split_names


@click.command(epilog="Example:  evaladapt bench seeds --data text.jsonl --out seeds --plugins ttt,ngram,hedge")
@click.option("--artifact", default="default", show_default=True)
@click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), help="Text or shards, as for run.")
@click.option("--limit-tokens", type=click.IntRange(min=1), help="Score only the first N targets.")
@click.option("--replica-tokens", type=click.IntRange(min=1),
              help="Score only the first N targets where a strategy peeks, and its legal form on as many.")  # fmt: skip
@click.option("--no-replicas", is_flag=True, help="Legal strategies only.")
@click.option("--plugins", "lines", multiple=True, metavar="A,B,…", help="A further composition; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder that keeps what is done; the same command goes on from there.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def seeds(
    artifact: str,
    paths: tuple[Path, ...],
    limit_tokens: int | None,
    replica_tokens: int | None,
    no_replicas: bool,
    lines: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Score every strategy that comes with evaladapt: replicas beside their legal forms, then what is legal."""
    from evaladapt.bench.seeds import SeedSettings, run
    from evaladapt.cli.progress import RunProgress

    settings = SeedSettings(
        artifact=artifact,
        data=paths,
        limit_tokens=limit_tokens,
        replica_tokens=replica_tokens,
        compositions=tuple(map(split_names, lines)),
        folder=out,
        replicas=not no_replicas,
    )
    report = run(settings, RunProgress())
    click.echo(json.dumps(report.to_json()) if as_json else report.to_text())
