"""``evaladapt data``: commands that turn text into what the other commands read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

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
@click.option("--exclude", multiple=True, type=FILE, help="Leave out every document of this text; repeatable.")
@click.option(
    "--split-chars", type=click.IntRange(min=100), help="Cut .txt files into documents of about this many characters."
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
    """Turn text files (.txt, .jsonl) into token shards with a manifest of counts and hashes.

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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def overlap(folder: Path, text: Path, as_json: bool) -> None:
    """Refuse TEXT when one of its documents is in the training split of the prepared FOLDER."""
    from evaladapt.data.manifest import refuse_trained_text

    compared = refuse_trained_text(folder, text)
    line = f"none of the {compared:,} documents of {text} is in the training text of {folder}"
    click.echo(json.dumps({"documents": compared, "overlapping": 0}) if as_json else line)


def _summary(out: Path, manifest: dict[str, Any]) -> str:
    tokenizer, left_out = manifest["tokenizer"], manifest["left_out"]
    kind = "lossless" if tokenizer["lossless"] else "NOT lossless: it normalises text"
    lines = [f"tokenizer  {tokenizer['vocab_size']} pieces, {kind}, sha256 {tokenizer['sha256'][:12]}"]
    for name, split in (*manifest["splits"].items(), ("holdout", manifest.get("holdout"))):
        if split:
            tokens = f", {split['tokens']:,} tokens" if "tokens" in split else ""
            lines.append(f"{name:<10} {split['documents']:,} documents, {split['text_bytes']:,} bytes{tokens}")
    lines.append(f"left out   {left_out['duplicates']:,} duplicates, {left_out['excluded']:,} excluded documents")
    lines.append(f"written    {out / 'manifest.json'}")
    return "\n".join(lines)
