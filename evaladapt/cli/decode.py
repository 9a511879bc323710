"""``evaladapt decode``: the text of an ``.evz`` file, from the artifact and the file alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from evaladapt.errors import UsageError


@click.command(epilog="Example:  evaladapt decode text.evz --out text.txt")
@click.argument("arguments", nargs=-1, metavar="[ARTIFACT] FILE.evz")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The text to write.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint beside --out.")
@click.option("--device", default="cpu", show_default=True, help="The device it was encoded on.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def decode(arguments: tuple[str, ...], out: Path, resume: bool, device: str, as_json: bool) -> None:
    """Turn FILE.evz back into its text with ARTIFACT (default: the one that ships), byte for byte.

    Strategies and options are in the file. They run in a sealed process that has it piece by piece, and nothing else.
    """
    if not 1 <= len(arguments) <= 2:
        raise click.UsageError(
            "name the artifact and the .evz file: evaladapt decode model.eva text.evz --out text.txt"
        )
    artifact, path = arguments if len(arguments) == 2 else ("default", arguments[0])

    from evaladapt.cli.interruption import resumable
    from evaladapt.cli.progress import RunProgress
    from evaladapt.codec import decode as codec
    from evaladapt.codec.container import read_evz
    from evaladapt.codec.seats import seats_for
    from evaladapt.judge.evaluate import tokenizer_of
    from evaladapt.system.cores import device_named

    read_evz(Path(path))
    if out.exists() and out.samefile(path):
        raise UsageError(f"{out} is the coded file itself; name another file to write: --out TEXT")
    with resumable(out):
        decoded = codec.decode(seats_for(artifact, device_named(device)), tokenizer_of(artifact), Path(path), out,
                               resume=resume, progress=RunProgress()("decode"))  # fmt: skip
    seconds = decoded.outcome.seconds if decoded.outcome else 0.0
    targets = decoded.outcome.targets if decoded.outcome else 0
    if as_json:
        found = {"text_bytes": decoded.text_bytes, "file_bytes": decoded.file_bytes, "targets": targets,
                 "plugins": decoded.plugins, "ledger_sha256": decoded.outcome.digest if decoded.outcome else None,
                 "seconds": seconds}  # fmt: skip
        click.echo(json.dumps(found))
        return
    rate = targets / max(seconds, 1e-9)
    click.echo(
        f"text   {out}: {decoded.text_bytes:,} bytes, as they were encoded (SHA-256)\n"
        f"run    {decoded.plugins}, {targets:,} targets, {seconds:.1f} s, {rate:,.0f} targets/s"
    )
