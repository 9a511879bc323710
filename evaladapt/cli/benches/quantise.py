"""``evaladapt bench quantise``: one training's weights by quantiser and coder."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(epilog="Example:  evaladapt bench quantise --weights trained --data text.jsonl")
@click.option("--weights", type=click.Path(path_type=Path), required=True, help="A finished training's folder.")
@click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), help="Text or shards, as for run.")
@click.option("--limit-tokens", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quantise(weights: Path, paths: tuple[Path, ...], limit_tokens: int | None, as_json: bool) -> None:
    """Measure bytes and bits per byte of the same weights at several widths, beside lzma and brotli."""
    from evaladapt.bench.quantise import run
    from evaladapt.bench.report import BenchSettings

    report = run(BenchSettings(data=paths, weights=weights, limit_tokens=limit_tokens))
    click.echo(json.dumps(report.to_json()) if as_json else report.to_text())
