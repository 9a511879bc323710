"""``evaladapt compare``: several compositions on the same targets, each in a player of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.options import Chosen, TextOptions, build_request, read_config, text_options
from evaladapt.errors import EXIT_CONTRACT, EXIT_OK, UsageError

if TYPE_CHECKING:
    from evaladapt.results.grid import Subject

RUNS_FOLDER = "runs"


@click.command(
    epilog="Examples:  evaladapt compare --plugins ttt --plugins 'ttt[lr=0.004],slot-lbfgs'    |    "
    "evaladapt compare --plugins ttt --sweep ttt.lr=0.001,0.002 --seeds 0,1,2 --data a.txt --data b.jsonl"
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--plugins", "lines", multiple=True, required=True, metavar="A[KEY=VALUE],B,…",
              help="A composition; repeat for every one to compare. All share one plan.")  # fmt: skip
@click.option("--sweep", "sweeps", multiple=True, metavar="ALIAS.KEY=V,V,…",
              help="Run every composition that has the strategy with each value; several make a grid.")  # fmt: skip
@click.option("--seeds", metavar="N,N,…", help="Run every composition with each seed.  [default: --seed]")
@click.option("--plan", default="sliding", show_default=True, help="The strategy that plans the windows of all.")
@text_options
@click.option("--audit", "doubt", type=click.Choice(["off", "sample", "full"]), default="sample", show_default=True,
              help="How much every player is doubted, as in run.")  # fmt: skip
@click.option("--inline", is_flag=True, help="Everything in this process: UNCHECKED.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help=f"Folder of all records and ledgers.  [default: {RUNS_FOLDER}/DATE-TIME-compare]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the interrupted comparison in --out; what is finished stays.")
@click.option("--report", "page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Also write the page that evaladapt report --html writes.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print rows, differences and records as one JSON object.")
def compare(
    models: tuple[str, ...],
    lines: tuple[str, ...],
    sweeps: tuple[str, ...],
    seeds: str | None,
    plan: str,
    doubt: str,
    inline: bool,
    out: Path | None,
    resume: bool,
    page: Path | None,
    as_json: bool,
    **text: Any,
) -> int:
    """Score several compositions of strategies on MODEL (or several) and print what sets them apart.

    Every --data is a text of its own here; without one it is Python's help topics.
    """
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the comparison that is meant")
    given = TextOptions(**text)
    shared = read_config(given.config, "", given.assignments).options

    from evaladapt.cli.interruption import resumable
    from evaladapt.cli.progress import RunProgress
    from evaladapt.judge.records.record import VIOLATED
    from evaladapt.results.compare import carry_out_grid, grid_of
    from evaladapt.results.table import optional_package
    from evaladapt.results.variants import sweeps_of, variants

    found = variants(lines, sweeps_of(dict(map(_sweep, sweeps))), shared, plan)
    facts = {**_facts(given), "audit": doubt, "inline": inline, "options": shared}
    named = _text_names(given.paths)
    subjects = [_subject(model, path, given, doubt, inline) for model in models or ("default",) for path in named]
    grid = grid_of(subjects, list(named.values()), found, _seeds(seeds, given.seed), plan, facts, given.allow_noncausal)
    if page is not None:
        optional_package("matplotlib", "report")  # before hours of runs, not after
    folder = out or Path(RUNS_FOLDER) / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-compare"
    with resumable(folder):
        comparison = carry_out_grid(grid, folder, resume, RunProgress())
    if page is not None:
        comparison.report(page)
    click.echo(json.dumps(comparison.to_json()) if as_json else f"{comparison.table()}\nfolder  {folder}")
    return EXIT_CONTRACT if any(row.verdict == VIOLATED for row in comparison.rows) else EXIT_OK


def _subject(model: str, path: Path | None, given: TextOptions, doubt: str, inline: bool) -> Subject:
    from evaladapt.judge.request import level_named
    from evaladapt.results.grid import Subject
    from evaladapt.results.models import Model

    asked = build_request(model, Chosen((), {}), replace(given, paths=() if path is None else (path,)))
    return Subject(Model(model), replace(asked, doubt=level_named(doubt), inline=inline))


def _facts(given: TextOptions) -> dict[str, Any]:
    """What is asked of all runs, as JSON values; a comparison is resumed under the same only."""
    left_out = ("assignments", "config", "seed")
    facts = {name: value for name, value in asdict(given).items() if name not in left_out}
    return facts | {name: [str(one.absolute()) for one in facts[name]] for name in ("paths", "allow_read")}


def _text_names(paths: Sequence[Path]) -> dict[Path | None, str]:
    """Texts by their file's name, or by the whole path where two files have one name."""
    names = [path.name for path in paths]
    return {path: path.name if names.count(path.name) == 1 else str(path) for path in paths} or {None: "help topics"}


def _sweep(text: str) -> tuple[str, list[object]]:
    name, equals, values = text.partition("=")
    if not equals:
        raise UsageError(f"--sweep {text!r} is not of the form ALIAS.KEY=V,V, as in: --sweep ttt.lr=0.001,0.002")
    return name.strip(), [one.strip() for one in values.split(",") if one.strip()]


def _seeds(text: str | None, single: int) -> list[int]:
    try:
        return [single] if text is None else [int(one) for one in text.split(",")]
    except ValueError:
        raise UsageError(f"--seeds {text!r}: seeds are whole numbers, as in: --seeds 0,1,2") from None
