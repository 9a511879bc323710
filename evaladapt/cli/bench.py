"""``evaladapt bench NAME``: comparable measurements on the user's machine."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import click

from evaladapt.cli.bench_scaling import scaling
from evaladapt.cli.benches.codec import codec
from evaladapt.cli.benches.quantise import quantise
from evaladapt.cli.benches.seeds import seeds
from evaladapt.cli.benches.strategies import strategies
from evaladapt.cli.benches.train import train

BENCHES = {
    "speed": "how much faster the strategies are than the loops of published scripts",
    "engine": "time and memory that the contract costs",
    "audit": "what the audit adds to a run, and how long all probes take",
    "solver": "the logit fit against a loop of torch.optim.LBFGS",
    "artifact": "seconds to load the default artifact and one of 16 MB",
}


@click.group()
def bench() -> None:
    """Measure speed and quality and compare them with what is promised."""


def _figures(name: str, what: str) -> click.Command:
    """The command of a benchmark that returns figures."""

    @click.command(name, help=f"Measure {what}.")
    @click.option("--artifact", default="default", show_default=True)
    @click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), help="Text or shards, as for run.")
    @click.option("--limit-tokens", type=click.IntRange(min=1))
    @click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True,
                  help="Counted runs; the median.")  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    def measure(artifact: str, paths: tuple[Path, ...], limit_tokens: int | None, repeats: int, as_json: bool) -> None:
        from evaladapt.bench.report import BenchSettings

        settings = BenchSettings(artifact=artifact, data=paths, limit_tokens=limit_tokens, repeats=repeats)
        report = import_module(f"evaladapt.bench.{name.replace('-', '_')}").run(settings)
        click.echo(json.dumps(report.to_json()) if as_json else report.to_text())

    return measure


for name, what in BENCHES.items():
    bench.add_command(_figures(name, what))
bench.add_command(codec)
bench.add_command(quantise)
bench.add_command(scaling)
bench.add_command(seeds)
bench.add_command(strategies)
bench.add_command(train)
