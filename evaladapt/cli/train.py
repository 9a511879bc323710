"""``evaladapt train``: from token shards to the weights of a model.

Reads the options, builds a :class:`evaladapt.train.job.TrainJob` and prints how it ended. Progress goes to stderr.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaladapt.cli.processes import rank
from evaladapt.errors import UsageError
from evaladapt.train.settings import load_preset, preset_names, preset_path

if TYPE_CHECKING:
    from evaladapt.train.job import TrainResult

Folder = click.Path(path_type=Path, file_okay=False)
File = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--data",
    multiple=True,
    required=True,
    metavar="DIR[=WEIGHT]",
    help="Folder of train_*.bin and val_*.bin shards, and its share of the rows. Repeat for several.",
)
@click.option("--tokenizer", type=File, required=True, help="The sentencepiece model that wrote the shards.")
@click.option("--out", type=Folder, required=True, help="Folder for checkpoint, metrics and the finished model.")
@click.option("--preset", metavar="NAME", help=f"Built-in preset: {', '.join(preset_names())}.  [default: tiny]")
@click.option("--config", type=File, help="TOML file with [model] and [train] tables, instead of a preset.")
@click.option("--minutes", type=float, help="Length in minutes of wall clock; the learning rates fall by the clock.")
@click.option("--steps", type=int, help="Length in steps; the training then repeats bit for bit.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def train(
    data: tuple[str, ...],
    tokenizer: Path,
    out: Path,
    preset: str | None,
    config: Path | None,
    minutes: float | None,
    steps: int | None,
    seed: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Train a model on token shards (see: evaladapt data prepare).

    Several processes share the rows of every step: torchrun --nproc-per-node N -m evaladapt train ...
    """
    if preset and config:
        raise UsageError("train: give either --preset or --config.")
    path = config or preset_path(preset or "tiny")

    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
    from evaladapt.model.device import choose_device
    from evaladapt.system.processes import joined, own_device
    from evaladapt.system.threads import use_threads
    from evaladapt.train.job import TrainJob
    from evaladapt.train.loader import Source
    from evaladapt.train.reporting import ProgressReport
    from evaladapt.train.schedule import Budget
    from evaladapt.train.trainer import Trainer

    use_threads()
    budget = Budget(minutes, steps)
    pieces = SentencePieceTokenizer.load(tokenizer)
    chosen = load_preset(path, pieces.vocab_size, pieces.bos_id)
    sources = tuple(Source.parse(text) for text in data)
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"train: --data names a folder {name!r} twice; metrics could not tell the sources apart.")
    job = TrainJob(chosen.model, chosen.settings, sources, pieces, budget, out, seed, resume)
    with joined(own_device(choose_device("auto"))) as processes:
        result = Trainer(job, ProgressReport(), processes).run()
    if rank() > 0:
        return
    click.echo(json.dumps(_as_json(result)) if as_json else _as_text(result))


def _as_json(result: TrainResult) -> dict[str, object]:
    return {**asdict(result), "path": str(result.path)}


def _as_text(result: TrainResult) -> str:
    figures = "\n".join(
        f"  {name}: {value:.4f} bits per byte (held-out shards, windows side by side)"
        for name, value in result.val_bpb.items()
    )
    return (
        f"{result.path}\n{result.steps} steps, {result.tokens:,} tokens, {result.seconds:,.0f} s\n{figures}\n"
        f"Next: evaladapt pack {result.path} --out MODEL.eva"
    )
