"""``evaladapt compare``: several compositions against the same base, on the same text, each in a player of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.options import TextOptions, build_request, read_config, split_names, text_options
from evaladapt.errors import EXIT_CONTRACT, EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from evaladapt.judge.charging import Progress
    from evaladapt.judge.record import Record


@click.command(epilog="Example:  evaladapt compare --plugins ttt --plugins slot-lbfgs --plugins ttt,slot-lbfgs")
@click.argument("model", default="default")
@click.option("--plugins", "lines", multiple=True, required=True, metavar="A,B,…",
              help="A composition; repeat for every one to compare. All share one plan.")  # fmt: skip
@text_options
@click.option("--audit", "doubt", type=click.Choice(["off", "sample", "full"]), default="sample", show_default=True,
              help="How much every player is doubted, as in run.")  # fmt: skip
@click.option("--inline", is_flag=True, help="Everything in this process: UNCHECKED.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for one record per composition.")
@click.option("--json", "as_json", is_flag=True, help="Print all records as one JSON object.")
def compare(
    model: str, lines: tuple[str, ...], doubt: str, inline: bool, out: Path | None, as_json: bool, **text: Any
) -> int:
    """Score several compositions of strategies on MODEL and print how each differs from the plan alone."""
    given = TextOptions(**text)
    chosen = [read_config(given.config, split_names(line), given.assignments) for line in lines]
    every_alias = {name for one in chosen for name in one.names}

    from evaladapt.cli.progress import RunProgress
    from evaladapt.judge.evaluate import evaluate, score_base
    from evaladapt.judge.record import VIOLATED, write_record
    from evaladapt.judge.request import level_named

    requests = []
    for one in chosen:
        elsewhere = every_alias - set(one.names)
        options = {alias: values for alias, values in one.options.items() if alias not in elsewhere}
        asked = build_request(model, replace(one, options=options), given)
        requests.append(replace(asked, doubt=level_named(doubt), inline=inline))
    if out:
        _make(out)
    base = None if inline else score_base(requests[0], RunProgress())
    records: list[Record] = []
    for line, request in zip(lines, requests, strict=True):
        record = evaluate(request, _called(request.composed.line), base=base)
        if records and record.composition[0] != records[0].composition[0]:
            raise UsageError(f"{line} plans otherwise than {lines[0]}; compare under one plan")
        if out:
            write_record(out / f"{len(records) + 1:02}-{request.composed.line}.json", record)
        records.append(record)
    click.echo(json.dumps([record.to_json() for record in records]) if as_json else _table(records))
    return EXIT_CONTRACT if any(record.verdict == VIOLATED for record in records) else EXIT_OK


def _called(line: str) -> Callable[[str], Progress]:
    """Progress of a composition under its own name."""
    from evaladapt.cli.progress import RunProgress
    from evaladapt.judge.evaluate import ADAPTED

    progress = RunProgress()
    return lambda name: progress(line if name == ADAPTED else name)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error


def _table(records: list[Record]) -> str:
    data, first = records[0].data, records[0].base
    width = max(len(_line(record)) for record in records)
    rows = [f"{data.name}: {data.targets:,} targets, {data.bytes:,} bytes, {data.documents:,} documents",
            f"{'':{width}}  {'bpb':>7}  {'change [95 %]':>26}  {'%':>7}  better/worse  seconds  verdict"]  # fmt: skip
    if first is not None:
        rows.append(
            f"{first.plugins:{width}}  {first.bits_per_byte:7.4f}  {'base':>26}  {'':7}  {'':12}  {first.seconds:7.1f}"
        )
    return "\n".join([*rows, *(_row(record, width) for record in records)])


def _line(record: Record) -> str:
    return ",".join(str(one["alias"]) for one in record.composition)


def _row(record: Record, width: int) -> str:
    from evaladapt.judge.record import VIOLATED, RunRecord

    if not isinstance(record, RunRecord) or record.verdict == VIOLATED:
        return f"{_line(record):{width}}  {'':7}  {'':26}  {'':7}  {'':12}  {'':7}  {record.verdict}"
    final, difference = record.adapted, record.difference
    change, percent, counts = "", "", ""
    if difference is not None and record.base is not None:
        change = f"{difference.bpb:+.4f}"
        if difference.low is not None and difference.high is not None:
            change += f" [{difference.low:+.4f}, {difference.high:+.4f}]"
        percent = f"{100 * difference.bpb / record.base.bits_per_byte:+.2f}"
        counts = f"{difference.better}/{difference.worse}"
    return (
        f"{final.plugins:{width}}  {final.bits_per_byte:7.4f}  {change:>26}  {percent:>7}  {counts:>12}"
        f"  {final.seconds:7.1f}  {record.verdict}"
    )
