"""``evaladapt run``: score a text with a frozen model and a composition of strategies."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.frames import FrameFiles, frame_options
from evaladapt.cli.options import TextOptions, build_request, read_config, text_options
from evaladapt.cli.processes import count, rank
from evaladapt.errors import EXIT_CONTRACT, EXIT_OK, UsageError
from evaladapt.judge.player.forking import prepare_players
from evaladapt.system.cores import default_threads, device_named

if TYPE_CHECKING:
    from evaladapt.judge.evaluate import Evaluated
    from evaladapt.judge.records.record import Record

RUNS_FOLDER = "runs"


@click.command(
    epilog="Examples:  evaladapt run --plugins ttt,slot-lbfgs    |    "
    "evaladapt run model.eva --data text.jsonl -o sliding.stride=64 --json"
)
@click.argument("model", default="default")
@click.option("--plugins", "names", default="", metavar="A,B,…",
              help="Strategies, in the order they act; without a plan, sliding is put first.")  # fmt: skip
@text_options
@click.option("--audit", "doubt", type=click.Choice(["off", "sample", "full"]), default="sample", show_default=True,
              help="How much the player is doubted: sample, for a tenth of the time; full, in every batch, and ECHO;"
              " off, and the verdict is UNCHECKED.")  # fmt: skip
@click.option("--prove", is_flag=True, help="Also encode the text, decode it in a fresh sealed process, and compare.")
@click.option("--inline", is_flag=True, help="Everything in this process, for a debugger: tracebacks, and UNCHECKED.")
@click.option("--no-base", is_flag=True, help="Do not score the plan alone for comparison.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help=f"Folder of the record and the ledgers.  [default: {RUNS_FOLDER}/DATE-TIME-PLUGINS]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the interrupted run in --out.")
@click.option("--overwrite", is_flag=True, help="Replace the run that is in --out.")
@frame_options
@click.option("--json", "as_json", is_flag=True, help="Print the record as one JSON object.")
def run(
    model: str,
    names: str,
    doubt: str,
    prove: bool,
    inline: bool,
    no_base: bool,
    out: Path | None,
    resume: bool,
    overwrite: bool,
    documents: Path | None,
    targets: Path | None,
    as_json: bool,
    **text: Any,
) -> int:
    """Score a text with MODEL (a .eva file, or hf:, golf:, python:; default: the one that ships) and --plugins."""
    if (resume or overwrite) and out is None:
        raise UsageError("--resume and --overwrite need --out, the folder of the run that is meant")
    if prove and inline:
        raise UsageError("--prove decodes in a sealed process, and --inline runs everything in this one; leave one out")
    frames = FrameFiles(documents, targets)
    given = TextOptions(**text)
    if not inline:
        prepare_players(device_named(given.device), default_threads(), count())
    asked = build_request(model, read_config(given.config, names, given.assignments), given)

    from evaladapt.cli.interruption import resumable
    from evaladapt.cli.progress import RunProgress
    from evaladapt.judge.records.folder import RECORD, run_folder
    from evaladapt.judge.request import level_named
    from evaladapt.results.carrying_out import carry_out

    asked = replace(asked, doubt=level_named(doubt), inline=inline, with_base=not no_base, resume=resume,
                    processes=count(), writes=rank() == 0)  # fmt: skip
    if rank() > 0:
        carry_out(replace(asked, folder=out if resume else None))
        return EXIT_OK
    frames.refuse_unwritable()
    folder = out or Path(RUNS_FOLDER) / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{asked.composed.line}"
    with run_folder(folder, new=out is None, resume=resume, overwrite=overwrite) as place:
        with resumable(place):
            done = carry_out(replace(asked, folder=place), RunProgress(), prove=prove)
        return _tell(done, place / RECORD, frames, as_json)


def _tell(done: Evaluated, path: Path, frames: FrameFiles, as_json: bool) -> int:
    """Print first, then write: a number that took an hour is not lost to a full disk."""
    from evaladapt.cli.run_table import run_table
    from evaladapt.judge.records.record import VIOLATED, RunRecord, write_record
    from evaladapt.results.carrying_out import result_of

    record = done.record
    broken = record.verdict == VIOLATED
    if as_json:
        click.echo(json.dumps(record.to_json()))
    elif isinstance(record, RunRecord) and not broken:
        click.echo(run_table(record, path))
    else:
        click.echo(f"error: {_without_score(record, path)}", err=True)
    write_record(path, record)
    if not broken:
        frames.write(result_of(done))
    return EXIT_CONTRACT if broken else EXIT_OK


def _without_score(record: Record, path: Path) -> str:
    """What a person is told where a clause is broken; the number is then no score and is not printed."""
    line = ",".join(str(one["alias"]) for one in record.composition)
    evidence = "; ".join(f"{one.clause}: {one.evidence}" for one in record.clauses if one.outcome == "fail")
    return (
        f"{line} breaks the contract, so there is no score. {evidence}. The evidence with counterexamples is in {path};"
        f" see: evaladapt report {path}"
    )
