"""``evaladapt verify``: a record's numbers and its run once more, and a slice decoded where the text is not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.options import Chosen, TextOptions, build_request
from evaladapt.cli.processes import count, rank
from evaladapt.errors import EXIT_CONTRACT, EXIT_FAILED, EXIT_OK, DataError, UsageError
from evaladapt.judge.records.folder import RECORD

if TYPE_CHECKING:
    from evaladapt.codec.verify import Check
    from evaladapt.data.stream import TokenStream
    from evaladapt.judge.request import Request

SLICE_BYTES = 16_000


@click.command(epilog="Example:  evaladapt verify runs/20260101-120000-sliding,ttt --bytes 64000")
@click.argument("record", type=click.Path(path_type=Path))
@click.option("--bytes", "size", type=click.IntRange(min=1), default=SLICE_BYTES, show_default=True,
              help="Bytes of the text, from its start, that are encoded and decoded.")  # fmt: skip
@click.option("--model", help="The model.  [default: where the record says]")
@click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
              help="The text.  [default: where the record says]")  # fmt: skip
@click.option("--device", help="Device of the second run.  [default: the record's]")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON object.")
def verify(
    record: Path, size: int, model: str | None, paths: tuple[Path, ...], device: str | None, as_json: bool
) -> int:
    """Check the score in RECORD (a run's folder or record.json): recompute it, run again, encode and decode a slice.

    The outcome is written into the record. Exit code 3 means that the score does not hold, 1 that it cannot be repeated
    here, and why.
    """
    path = record / RECORD if record.is_dir() else record
    content = _read(path)
    request = _request(content, model, paths, device)

    from evaladapt.cli.progress import RunProgress
    from evaladapt.codec.verify import ELSEWHERE, FAIL, again, own_ledger, own_numbers
    from evaladapt.judge.records.record import environment

    stream = _the_text(content, request)
    same = replace(request, open_text=lambda _: stream)
    second = again(content, replace(same, processes=count(), writes=rank() == 0), RunProgress())
    if rank() > 0:
        return EXIT_OK
    checks = [own_numbers(content), own_ledger(content, path.parent), second]
    checks += _slice_checks(content, same, stream, size)
    content["verification"] = {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "bytes": size,
        "checks": [asdict(check) for check in checks],
        "environment": environment(request.device, request.threads, count()),
    }
    _state_determinism(content, checks[2])
    _write(path, content)
    outcomes = {check.outcome for check in checks}
    click.echo(json.dumps(content["verification"]) if as_json else _table(checks, path))
    if FAIL in outcomes:
        return EXIT_CONTRACT
    return EXIT_FAILED if checks[2].outcome == ELSEWHERE else EXIT_OK


def _read(path: Path) -> dict[str, Any]:
    from evaladapt.judge.records.record import FORMAT
    from evaladapt.judge.records.record_file import read_record

    content = read_record(path)
    if content.get("format") != FORMAT:
        raise DataError(f"{path} is no record of a run; evaladapt run writes them as record.json")
    if content["adapted"] is None:
        raise UsageError(f"the run of {path} was ended, so there is no score to verify; see: evaladapt report {path}")
    return content


def _request(content: Mapping[str, Any], model: str | None, paths: tuple[Path, ...], device: str | None) -> Request:
    """The record's run, on the record's model and text and no others, with its threads."""
    data, settings = content["data"], content["settings"]
    given = TextOptions(
        assignments=(),
        config=None,
        paths=paths or tuple(map(Path, data["paths"])),
        text_field=data["text_field"],
        limit_tokens=data["targets"],
        batch=settings["batch"],
        seed=settings["seed"],
        mode=settings["mode"],
        memory=settings.get("memory"),
        allow_noncausal=any(one["peeks"] for one in content["composition"]),
        device=device or content["environment"]["device"],
        boundaries=data["boundaries"],
    )
    members = content["composition"]
    chosen = Chosen(tuple(one["name"] for one in members), {one["name"]: one["chosen"] for one in members})
    request = build_request(model or content["artifact"]["path"], chosen, given)
    return replace(request, threads=content["environment"]["threads"], doubt="off")


def _the_text(content: Mapping[str, Any], request: Request) -> TokenStream:
    """The record's text.

    Raises:
        DataError: it is another.
    """
    from evaladapt.judge.evaluate import open_text

    data = content["data"]
    try:
        stream = open_text(request)
    except DataError as error:
        raise DataError(f"{error} If the record's text is elsewhere now, say where: --data PATH") from error
    if stream.sha256 != data["tokens_sha256"]:
        raise DataError(
            f"the text {stream.name!r} is not the record's {data['name']!r}: other tokens. Name the right one:"
            " --data PATH"
        )
    return stream


def _slice_checks(content: Mapping[str, Any], request: Request, stream: TokenStream, size: int) -> list[Check]:
    import numpy as np

    from evaladapt.cli.progress import RunProgress
    from evaladapt.codec.verify import FAIL, Check, verify_slice

    peeking = [one["alias"] for one in content["composition"] if one["peeks"]]
    if peeking:
        return [Check("decode", FAIL, f"{', '.join(peeking)} peeks, and no decoder has what it is shown: a claim, not a"
                      " score")]  # fmt: skip
    within = int(np.searchsorted(np.cumsum(stream.byte_lengths), size, side="right")) - 1
    with tempfile.TemporaryDirectory(prefix="evaladapt-verify-") as folder:
        return verify_slice(request, stream.limit(max(within, 1)), Path(folder), RunProgress())


def _state_determinism(content: dict[str, Any], second: Check) -> None:
    outcome = second.outcome if second.outcome in ("pass", "fail") else "not covered"
    for clause in content["clauses"]:
        if clause["clause"] == "D":
            clause["outcome"], clause["evidence"] = outcome, second.evidence


def _write(path: Path, content: Mapping[str, Any]) -> None:
    from evaladapt.system.files import write_atomically

    write_atomically(path, [json.dumps(content, indent=2).encode(), b"\n"])


def _table(checks: list[Check], record: Path) -> str:
    outcomes = {check.outcome for check in checks}
    said = "the score does not hold" if "fail" in outcomes else "the score holds"
    if "fail" not in outcomes and checks[2].outcome != "pass":
        said = "what could be checked holds; the run cannot be repeated here bit for bit"
    return "\n".join(
        [
            *(f"{check.name:8} {check.outcome:6} {check.evidence}" for check in checks),
            f"verdict  {said}",
            f"record   {record}",
        ]
    )
