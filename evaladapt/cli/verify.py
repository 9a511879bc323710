"""``evaladapt verify``: a record's run once more, and a slice of it decoded in a process that lacks the text."""

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
from evaladapt.errors import EXIT_CONTRACT, EXIT_OK, DataError, UsageError

if TYPE_CHECKING:
    from evaladapt.codec.verify import Check
    from evaladapt.engine.evaluate import Request

SLICE_BYTES = 16_000


@click.command(epilog="Example:  evaladapt verify runs/20260101-120000-sliding,ttt/record.json --bytes 64000")
@click.argument("record", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--bytes", "size", type=click.IntRange(min=1), default=SLICE_BYTES, show_default=True,
              help="Bytes of the text, from its start, that are encoded and decoded.")  # fmt: skip
@click.option("--artifact", help="The artifact.  [default: where the record says]")
@click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
              help="The text.  [default: where the record says]")  # fmt: skip
@click.option("--device", help="Device of the second run.  [default: the record's]")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON object.")
def verify(
    record: Path, size: int, artifact: str | None, paths: tuple[Path, ...], device: str | None, as_json: bool
) -> int:
    """Check the score in RECORD (a run's record.json): run again, compare the ledgers, encode and decode a slice.

    The outcome is written into the record. Exit code 3 means that the score does not hold.
    """
    content = _read(record)
    request = _request(content, artifact, paths, device)

    from evaladapt.cli.progress import RunProgress
    from evaladapt.codec.verify import same_ledgers
    from evaladapt.engine.evaluate import evaluate
    from evaladapt.engine.record import environment
    from evaladapt.system.threads import threads

    with threads(content["environment"]["threads"]):
        again = evaluate(replace(request, with_base=content["base"] is not None), RunProgress())
        checks = [same_ledgers(content, again), *_slice_checks(request, size)]
    content["verification"] = {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "bytes": size,
        "checks": [asdict(check) for check in checks],
        "environment": environment(again.environment["device"]),
    }
    _state_determinism(content, checks[0])
    _write(record, content)
    failed = any(check.outcome == "fail" for check in checks)
    click.echo(json.dumps(content["verification"]) if as_json else _table(checks, record))
    return EXIT_CONTRACT if failed else EXIT_OK


def _read(path: Path) -> dict[str, Any]:
    from evaladapt.engine.record import FORMAT

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the record {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"the record {path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path} is no record of a run; evaladapt run writes them as record.json")
    if content["adapted"] is None:
        raise UsageError(
            f"the engine ended the run of {path}, so there is no score to verify; see: evaladapt report {path}"
        )
    return content


def _request(content: Mapping[str, Any], artifact: str | None, paths: tuple[Path, ...], device: str | None) -> Request:
    """The record's run, on the record's artifact and text and no others."""
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
        allow_noncausal=any(one["peeks"] for one in content["composition"]),
        device=device or content["environment"]["device"],
    )
    members = content["composition"]
    chosen = Chosen(tuple(one["alias"] for one in members), {one["alias"]: one["options"] for one in members})
    request = build_request(artifact or content["artifact"]["path"], chosen, given)
    if request.artifact.sha256 != content["artifact"]["sha256"]:
        raise DataError(
            f"{request.artifact.path} is not the artifact of the record: its sha256 is {request.artifact.sha256[:16]}…,"
            f" the record's {content['artifact']['sha256'][:16]}…. Name the right one: --artifact PATH"
        )
    if request.stream.sha256 != data["tokens_sha256"]:
        raise DataError(
            f"the text {request.stream.name!r} is not the record's {data['name']!r}: other tokens. Name the right one:"
            " --data PATH"
        )
    return request


def _slice_checks(request: Request, size: int) -> list[Check]:
    import numpy as np

    from evaladapt.cli.progress import RunProgress
    from evaladapt.codec.verify import Check, verify_slice
    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
    from evaladapt.engine.frozen import Frozen

    if request.composition.peeking:
        names = ", ".join(member.alias for member in request.composition.peeking)
        return [Check("decode", "fail", f"{names} peeks, and no decoder has what it is shown: a claim, not a score")]
    frozen = Frozen(request.artifact, request.model, SentencePieceTokenizer(request.artifact.tokenizer_model))
    within = int(np.searchsorted(np.cumsum(request.stream.byte_lengths), size, side="right")) - 1
    part = request.stream.limit(max(within, 1))
    with tempfile.TemporaryDirectory(prefix="evaladapt-verify-") as folder:
        return verify_slice(frozen, part, request.composition, request.settings, Path(folder), RunProgress())


def _state_determinism(content: dict[str, Any], ledger: Check) -> None:
    for clause in content["clauses"]:
        if clause["clause"] == "D":
            clause["outcome"], clause["evidence"] = ledger.outcome, ledger.evidence


def _write(path: Path, content: Mapping[str, Any]) -> None:
    from evaladapt.system.files import write_atomically

    write_atomically(path, [json.dumps(content, indent=2).encode(), b"\n"])


def _table(checks: list[Check], record: Path) -> str:
    failed = any(check.outcome == "fail" for check in checks)
    return "\n".join(
        [
            *(f"{check.name:8} {check.outcome:6} {check.evidence}" for check in checks),
            f"verdict  {'the score does not hold' if failed else 'the score holds'}",
            f"record   {record}",
        ]
    )
