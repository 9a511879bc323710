"""``evaladapt bench train``: the trainer beside torch's own optimisers."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(epilog="Example:  evaladapt bench train --data text.jsonl --seconds 60")
@click.option("--artifact", default="default", show_default=True, help="Its tokenizer is used.")
@click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), help="Text or shards, as for run.")
@click.option("--limit-tokens", type=click.IntRange(min=1))
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Timed pairs; the median.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Length of each training.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def train(
    artifact: str,
    paths: tuple[Path, ...],
    limit_tokens: int | None,
    repeats: int,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Compare the speed with torch.optim.Muon, and the loss at equal time with AdamW alone."""
    from evaladapt.bench.report import BenchSettings
    from evaladapt.bench.train import run

    report = run(
        BenchSettings(artifact=artifact, data=paths, limit_tokens=limit_tokens, repeats=repeats, seconds=seconds)
    )
    click.echo(json.dumps(report.to_json()) if as_json else report.to_text())
