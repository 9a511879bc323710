"""``evaladapt bench strategies``: every strategy on several models and texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaladapt.errors import UsageError

if TYPE_CHECKING:
    from evaladapt.judge.request import Level


@click.command(
    epilog="Example:  evaladapt bench strategies --model micro --model default --data web=web.jsonl --data help"
    " --out strategies"
)
@click.option("--model", "models", multiple=True, help="As for run; repeat for several.  [default: micro and default]")
@click.option("--data", "texts", multiple=True, metavar="NAME=FILE",
              help="A text by name; a name alone is Python's help topics. Repeat for several.")  # fmt: skip
@click.option("--limit-tokens", type=click.IntRange(min=1), help="Score only the first N targets of every text.")
@click.option("--plugins", "lines", multiple=True, metavar="A,B,…",
              help="A composition beside every strategy alone, instead of the best known; repeatable.")  # fmt: skip
@click.option("--audit", type=click.Choice(["off", "sample", "full"]), default="sample", show_default=True,
              help="How much every player is doubted, as in run.")  # fmt: skip
@click.option("--inline", is_flag=True, help="Everything in this process: UNCHECKED.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder that keeps what is done; the same command goes on from there.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def strategies(
    models: tuple[str, ...],
    texts: tuple[str, ...],
    limit_tokens: int | None,
    lines: tuple[str, ...],
    audit: Level,
    inline: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score every strategy alone, and compositions, with several models on several texts."""
    from evaladapt.bench.strategies import BEST, MODELS, StrategySettings, run
    from evaladapt.cli.progress import RunProgress

    settings = StrategySettings(
        models=models or MODELS,
        texts=_by_name(texts) if texts else None,
        limit_tokens=limit_tokens,
        compositions=lines or BEST,
        folder=out,
        audit=audit,
        inline=inline,
    )
    report = run(settings, RunProgress())
    click.echo(json.dumps(report.to_json()) if as_json else report.to_text())


def _by_name(texts: tuple[str, ...]) -> dict[str, Path | None]:
    found: dict[str, Path | None] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not name or name in found:
            raise UsageError(f"--data {text!r}: every text needs a name of its own, as in: --data web=web.jsonl")
        found[name] = Path(path) if path else None
    return found
