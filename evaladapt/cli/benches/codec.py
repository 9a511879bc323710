"""``evaladapt bench codec``: the codec beside general compressors, on the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from evaladapt.cli.options import split_names


@click.command(epilog="Example:  evaladapt bench codec --data text.jsonl --plugins ttt,ngram,hedge")
@click.option("--artifact", default="default", show_default=True)
@click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), help="Text or shards, as for run.")
@click.option("--limit-bytes", type=click.IntRange(min=1), default=65_536, show_default=True,
              help="Take so many bytes from the text's start.")  # fmt: skip
@click.option("--plugins", "names", default="", metavar="A,B,…",
              help="The composition beside sliding.  [default: the best that ships]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def codec(artifact: str, paths: tuple[Path, ...], limit_bytes: int, names: str, as_json: bool) -> None:
    """Compare size and speed with xz, brotli, zstd and PPMd; every file is decoded before it counts."""
    from evaladapt.bench.codec import BEST, CodecSettings, run
    from evaladapt.cli.progress import RunProgress

    settings = CodecSettings(
        artifact=artifact, data=paths, limit_bytes=limit_bytes, composition=split_names(names) or BEST
    )
    report = run(settings, RunProgress())
    click.echo(json.dumps(report.to_json()) if as_json else report.to_text())
