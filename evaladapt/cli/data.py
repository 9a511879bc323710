"""``evaladapt data``: commands that turn text into what the other commands read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evaladapt.system.text import safe_lines

FILE = click.Path(path_type=Path)


@click.group()
def data() -> None:
    """Prepare text for training and evaluation."""


@data.command()
@click.argument("inputs", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="Folder for the shards, the tokenizer and manifest.json.")
@click.option("--tokenizer", type=FILE, help="Use this sentencepiece model.")
@click.option(
    "--train-tokenizer", "train_vocab", type=int, metavar="VOCAB", help="Train a lossless tokenizer of VOCAB pieces."
)
@click.option(
    "--tokenizer-text", multiple=True, type=FILE, help="Further text for training the tokenizer only; repeatable."
)
@click.option("--text-field", metavar="NAME", help="Field or column that holds the text of a record.  [default: text]")
@click.option("--exclude", multiple=True, type=FILE, help="Leave out every document of this text; repeatable.")
@click.option(
    "--split-chars",
    type=click.IntRange(min=100),
    help="Cut a file that is one text into documents of about so many characters.",
)
@click.option("--unix-newlines", is_flag=True, help="Write CRLF and CR as LF and drop a byte order mark.")
@click.option(
    "--normalise", is_flag=True, help="Accept a tokenizer that rewrites text; the shards hold the text as rewritten."
)
@click.option(
    "--val-fraction", default=0.03, show_default=True, help="Share of the text for validation, chosen by hash."
)
@click.option("--val-max-bytes", default=300_000, show_default=True, help="Upper limit of the validation text.")
@click.option("--holdout", type=FILE, help="Write whole documents, in neither split, to this .jsonl file.")
@click.option("--holdout-bytes", default=300_000, show_default=True, help="How much text to hold out.")
@click.option("--shard-tokens", default=100_000_000, show_default=True, help="Close a shard after this many tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def prepare(as_json: bool, **options: Any) -> None:
    """Turn text files into token shards with a manifest of counts and hashes.

    A .txt file is one document; .jsonl, .ndjson, .json and .parquet hold many; .gz, .bz2, .xz and .zst are unpacked.

    Every document lands in exactly one of train, validation and holdout; duplicates are left out. The same inputs and
    options give the same bytes.
    """
    from evaladapt.data.prepare import prepare
    from evaladapt.data.selection import Plan

    plan = Plan(**options)
    manifest = prepare(plan)
    click.echo(json.dumps(manifest) if as_json else _summary(plan.out, manifest))


@data.command()
@click.argument("folder", type=FILE)
@click.argument("text", type=FILE)
@click.option("--text-field", metavar="NAME", help="Field or column that holds the text of a record.  [default: text]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def overlap(folder: Path, text: Path, text_field: str | None, as_json: bool) -> None:
    """Refuse TEXT (- for standard input) when one of its documents is in the training split of the prepared FOLDER."""
    from evaladapt.data.manifest import refuse_trained_text

    compared = refuse_trained_text(folder, text, text_field)
    line = f"none of the {compared:,} documents of {text} is in the training text of {folder}"
    click.echo(json.dumps({"documents": compared, "overlapping": 0}) if as_json else safe_lines(line))


def _summary(out: Path, manifest: dict[str, Any]) -> str:
    tokenizer, left_out = manifest["tokenizer"], manifest["left_out"]
    kind = "lossless" if tokenizer["lossless"] else "NOT lossless: it normalises text"
    lines = [f"tokenizer  {tokenizer['vocab_size']} pieces, {kind}, sha256 {tokenizer['sha256'][:12]}"]
    for name, split in (*manifest["splits"].items(), ("holdout", manifest.get("holdout"))):
        if split:
            tokens = f", {split['tokens']:,} tokens" if "tokens" in split else ""
            written = sum(shard["text_bytes"] for shard in split.get("shards", ()))
            kept = not written or written == split["text_bytes"]
            rewritten = "" if kept else f", which the tokenizer rewrites as {written:,} bytes"
            size = f"{split['text_bytes']:,} bytes{rewritten}"
            lines.append(f"{name:<10} {split['documents']:,} documents, {size}{tokens}")
    lines.append(
        f"left out   {left_out['duplicates']:,} duplicates, {left_out['excluded']:,} excluded and "
        f"{left_out['empty']:,} empty documents"
    )
    lines.append(f"written    {out / 'manifest.json'}")
    return safe_lines("\n".join(lines))
