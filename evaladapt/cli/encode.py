"""``evaladapt encode``: a text as the bytes that a run would charge for it, and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.options import read_config
from evaladapt.errors import UsageError

if TYPE_CHECKING:
    from evaladapt.codec.encode import Encoded

MOST_THREADS_BY_DEFAULT = 2


@click.command(
    epilog="Examples:  evaladapt encode --in text.txt --out text.evz    |    "
    "evaladapt encode model.eva --plugins ttt,slot-lbfgs --in text.txt --out text.evz"
)
@click.argument("model", default="default")
@click.option("--plugins", "names", default="", metavar="A,B,…",
              help="Strategies, in the order they act; without a plan, sliding is put first.")  # fmt: skip
@click.option("-o", "--option", "assignments", multiple=True, metavar="ALIAS.KEY=VALUE", help="Option of a strategy.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file: plugins = [...], and a table per strategy.")
@click.option("--in", "source", required=True, type=click.Path(path_type=Path), help="File of any bytes.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The .evz file to write.")
@click.option("--limit-bytes", type=click.IntRange(min=0), help="Encode only the first N bytes.")
@click.option("--batch", type=click.IntRange(min=1), default=16, show_default=True,
              help="Windows between two updates of what outlives a window.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", "count", type=click.IntRange(1, 1024),
              help="Threads of both sides, kept in the file.  [default: torch's number, at most 2]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue from the checkpoint beside --out.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, …; the decoder needs the same.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def encode(
    model: str,
    names: str,
    assignments: tuple[str, ...],
    config: Path | None,
    source: Path,
    out: Path,
    limit_bytes: int | None,
    batch: int,
    seed: int,
    count: int | None,
    resume: bool,
    device: str,
    as_json: bool,
) -> None:
    """Compress a file losslessly with MODEL (default: the one that ships) and the strategies of --plugins.

    The size is the score: bits per byte that can be turned back into the text by `evaladapt decode`.
    """
    chosen = read_config(config, names, assignments)
    if out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"{out} is the text itself; name another file to write: --out {out}.evz")

    from evaladapt.cli.interruption import resumable
    from evaladapt.cli.progress import RunProgress
    from evaladapt.codec import encode as codec
    from evaladapt.codec.seats import Coding
    from evaladapt.codec.text import text_from_bytes
    from evaladapt.judge.evaluate import tokenizer_of
    from evaladapt.system.cores import default_threads, device_named

    threads = count or min(default_threads(), MOST_THREADS_BY_DEFAULT)
    coding = Coding(model=model, names=chosen.names, options=chosen.options, batch=batch, seed=seed, threads=threads,
                    device=device_named(device))  # fmt: skip
    with coding.seated() as seat, resumable(out):
        text = text_from_bytes(read_any(source)[:limit_bytes], tokenizer_of(model), source.name)
        encoded = codec.encode(
            seat, text, out, batch=batch, seed=seed, threads=threads, resume=resume, progress=RunProgress()("encode")
        )
    click.echo(json.dumps(summary(encoded)) if as_json else _table(encoded, out))


def read_any(path: Path) -> bytes:
    """The bytes of a regular file, of which there may be none."""
    from evaladapt.codec.container import MAX_TEXT_BYTES
    from evaladapt.system.files import read_regular

    return read_regular(path, 16 * MAX_TEXT_BYTES)


def summary(encoded: Encoded) -> dict[str, Any]:
    """The outcome as JSON-ready values."""
    seconds = encoded.outcome.seconds if encoded.outcome else 0.0
    return {
        "text_bytes": encoded.text_bytes,
        "targets": encoded.outcome.targets if encoded.outcome else 0,
        "file_bytes": encoded.file_bytes,
        "payload_bytes": encoded.payload_bytes,
        "header_bytes": encoded.header_bytes,
        "document_bytes": encoded.document_bytes,
        "run_bits": encoded.bits,
        "ledger_sha256": encoded.outcome.digest if encoded.outcome else None,
        "seconds": seconds,
    }


def _table(encoded: Encoded, out: Path) -> str:
    found = summary(encoded)
    per_byte = 8 * encoded.file_bytes / max(encoded.text_bytes, 1)
    rate = found["targets"] / max(found["seconds"], 1e-9)
    return "\n".join(
        [
            f"text   {encoded.text_bytes:,} bytes, {found['targets']:,} targets",
            f"file   {out}: {encoded.file_bytes:,} bytes, {per_byte:.4f} bits per byte of text",
            f"       {encoded.payload_bytes:,} coded text, {encoded.header_bytes} header, strategies and checksum,"
            f" {encoded.document_bytes} lengths of documents",
            f"run    {encoded.bits / 8:,.1f} bytes by the ledger, {found['seconds']:.1f} s, {rate:,.0f} targets/s",
        ]
    )
