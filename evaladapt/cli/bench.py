"""``evaladapt bench NAME``: comparable measurements on the user's machine."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import click

BENCHES = {
    "engine": "time and memory that the contract costs",
    "audit": "what the audit adds to a run, and how long all probes take",
    "solver": "the logit fit against a loop of torch.optim.LBFGS",
    "train": "the trainer beside torch.optim.Muon and beside AdamW alone",
    "codec": "size and speed beside xz, brotli, zstd and PPMd, on 64 KiB",
}


@click.command(epilog="Benchmarks:  " + "   ".join(f"{name}: {what}." for name, what in BENCHES.items()))
@click.argument("name", type=click.Choice(list(BENCHES)))
@click.option("--artifact", default="default", show_default=True)
@click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), help="Text or shards, as for run.")
@click.option("--limit-tokens", type=click.IntRange(min=1))
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Counted runs; the median.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Length of each training of train.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(
    name: str,
    artifact: str,
    paths: tuple[Path, ...],
    limit_tokens: int | None,
    repeats: int,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Measure speed and quality and compare them with what is promised."""
    from evaladapt.bench.report import BenchSettings

    settings = BenchSettings(artifact=artifact, data=paths, limit_tokens=limit_tokens, repeats=repeats, seconds=seconds)
    report = import_module(f"evaladapt.bench.{name.replace('-', '_')}").run(settings)
    click.echo(json.dumps(report.to_json()) if as_json else report.to_text())
