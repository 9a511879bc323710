"""``evaladapt run``: score a text with a frozen artifact and a composition of strategies."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.options import TextOptions, build_request, read_config, split_names, text_options
from evaladapt.cli.processes import rank
from evaladapt.errors import EXIT_CONTRACT, EXIT_OK, UsageError

if TYPE_CHECKING:
    from evaladapt.engine.record import Record

RUNS_FOLDER = "runs"


@click.command(
    epilog="Examples:  evaladapt run --plugins ttt,slot-lbfgs    |    "
    "evaladapt run model.eva --data text.jsonl -o sliding.stride=64 --json"
)
@click.argument("artifact", default="default")
@click.option("--plugins", "names", default="", metavar="A,B,…",
              help="Strategies, in the order they act; without a plan, sliding is put first.")  # fmt: skip
@text_options
@click.option(
    "--audit",
    type=click.Choice(["off", "sample", "full"]),
    default="sample",
    show_default=True,
    help="sample: probes in the run, at most a tenth of its time; full: every probe on its first targets.",
)
@click.option("--no-base", is_flag=True, help="Do not score the plan alone for comparison.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help=f"Folder of the record and the ledgers.  [default: {RUNS_FOLDER}/DATE-TIME-PLUGINS]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the interrupted run in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as one JSON object.")
def run(
    artifact: str, names: str, audit: str, no_base: bool, out: Path | None, resume: bool, as_json: bool, **text: Any
) -> int:
    """Score a text with ARTIFACT (a .eva file; default: the one that ships) and the strategies of --plugins."""
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the run that was interrupted")
    given = TextOptions(**text)
    request = build_request(artifact, read_config(given.config, split_names(names), given.assignments), given)
    line = request.composition.line
    leads = rank() == 0
    folder = make_folder(out or Path(RUNS_FOLDER) / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{line}")

    from evaladapt.audit.run_audit import evaluate_audited, level_named
    from evaladapt.cli.progress import RunProgress
    from evaladapt.cli.run_table import run_table
    from evaladapt.codec.side import charge_claim
    from evaladapt.engine.record import NONCAUSAL, VIOLATED, RunRecord, write_record
    from evaladapt.system.processes import joined

    device = next(iter(dict(request.model.named_parameters()).values())).device
    with joined(device) as processes:
        wanted = replace(request, with_base=not no_base, folder=folder, resume=resume, processes=processes)
        record = evaluate_audited(wanted, level_named(audit), RunProgress() if leads else None)
    if not leads:
        return EXIT_OK
    if isinstance(record, RunRecord) and record.verdict == NONCAUSAL:
        record = replace(record, charged=charge_claim(request, record, RunProgress()("charged")))
    path = folder / "record.json"
    write_record(path, record)
    if as_json:
        click.echo(json.dumps(record.to_json()))
    elif isinstance(record, RunRecord) and record.verdict != VIOLATED:
        click.echo(run_table(record, path))
    else:
        click.echo(f"error: {_without_score(record, line, path)}", err=True)
    return EXIT_CONTRACT if record.verdict == VIOLATED else EXIT_OK


def _without_score(record: Record, line: str, path: Path) -> str:
    """What a person is told where a clause is broken; the number is then no score and is not printed."""
    evidence = "; ".join(f"{one.clause}: {one.evidence}" for one in record.clauses if one.outcome == "fail")
    return (
        f"{line} breaks the contract, so there is no score. {evidence}. The evidence with counterexamples is in {path};"
        f" see: evaladapt report {path}"
    )


def make_folder(folder: Path) -> Path:
    """Create the folder of a run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return folder
