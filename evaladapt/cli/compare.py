"""``evaladapt compare``: several compositions against the same base, on the same text and in the same process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.options import Chosen, TextOptions, build_request, read_config, split_names, text_options
from evaladapt.cli.run import make_folder
from evaladapt.errors import UsageError

if TYPE_CHECKING:
    from evaladapt.engine.record import RunRecord


@click.command(epilog="Example:  evaladapt compare --plugins ttt --plugins slot-lbfgs --plugins ttt,slot-lbfgs")
@click.argument("artifact", default="default")
@click.option("--plugins", "lines", multiple=True, required=True, metavar="A,B,…",
              help="A composition; repeat for every one to compare. All share one plan.")  # fmt: skip
@text_options
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for one record per composition.")
@click.option("--json", "as_json", is_flag=True, help="Print all records as one JSON object.")
def compare(artifact: str, lines: tuple[str, ...], out: Path | None, as_json: bool, **text: Any) -> None:
    """Score several compositions of strategies on ARTIFACT and print how each differs from the plan alone."""
    given = TextOptions(**text)
    chosen = [read_config(given.config, split_names(line), given.assignments) for line in lines]
    every_alias = {name for one in chosen for name in one.names}
    first = build_request(artifact, Chosen(chosen[0].names, _own_options(chosen[0], every_alias)), given)
    folder = make_folder(out) if out else None

    from evaladapt.cli.progress import RunProgress
    from evaladapt.contract.composition import compose
    from evaladapt.engine.evaluate import evaluate, score_base
    from evaladapt.engine.record import write_record

    compositions = [
        compose(one.names, _own_options(one, every_alias), allow_noncausal=given.allow_noncausal) for one in chosen
    ]
    plan = first.composition.plan
    for composition in compositions:
        if composition.plan != plan:
            raise UsageError(
                f"{composition.line} plans otherwise than {first.composition.line}; compare under one plan"
            )
    base = score_base(first, RunProgress())
    records = []
    for composition in compositions:
        record = evaluate(replace(first, composition=composition), RunProgress(), base)
        if folder:
            write_record(folder / f"{composition.line}.json", record)
        records.append(record)
    click.echo(json.dumps([record.to_json() for record in records]) if as_json else _table(records))


def _own_options(chosen: Chosen, every_alias: set[str]) -> dict[str, dict[str, object]]:
    """Options for strategies that take part in another of the compositions are not this one's mistake."""
    elsewhere = every_alias - set(chosen.names)
    return {alias: given for alias, given in chosen.options.items() if alias not in elsewhere}


def _table(records: list[RunRecord]) -> str:
    data, first = records[0].data, records[0].base
    width = max(len(record.adapted.plugins) for record in records)
    rows = [
        f"{data.name}: {data.targets:,} targets, {data.bytes:,} bytes, {data.documents:,} documents",
        f"{'':{width}}  {'bpb':>7}  change ± standard error [95 % interval], better/worse   seconds  verdict",
    ]
    if first is not None:
        rows.append(f"{first.plugins:{width}}  {first.bits_per_byte:7.4f}  {'base':55}  {first.seconds:7.1f}")
    return "\n".join([*rows, *(_row(record, width) for record in records)])


def _row(record: RunRecord, width: int) -> str:
    final, difference = record.adapted, record.difference
    change = ""
    if difference is not None and record.base is not None:
        percent = 100 * difference.bpb / record.base.bits_per_byte
        change = f"{difference.bpb:+.4f}{difference.spread} ({percent:+.2f} %), {difference.better}/{difference.worse}"
    return f"{final.plugins:{width}}  {final.bits_per_byte:7.4f}  {change:55}  {final.seconds:7.1f}  {record.verdict}"
