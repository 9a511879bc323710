"""Which model features help: short trainings of one preset's sizes that differ in one feature each.

All trainings have the same seed, steps, rows and text, and the same initial weights where they share any. Prints a
table of bits per byte on the held-out shards, as ``evaladapt train`` measures them, and what each feature adds to or
takes off the plain model's figure. Results are kept in a file as they come, so an interrupted comparison goes on where
it stopped.

    python artifacts/ablation.py --data corpus/web=0.6 --data corpus/novels=0.4
        --tokenizer corpus/web/tokenizer.model --steps 100 --rows 4 --results ablation.jsonl
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.model.config import ModelConfig
from evaladapt.train.job import TrainJob
from evaladapt.train.loader import Source
from evaladapt.train.reporting import ProgressReport
from evaladapt.train.schedule import Budget
from evaladapt.train.settings import load_preset, preset_path
from evaladapt.train.trainer import Trainer

PLAIN = "plain"


def variants(model: ModelConfig) -> dict[str, dict[str, Any]]:
    """Changes to ``model`` by what they are called; sizes follow the model's."""
    last, half, quarter = model.layers, model.layers // 2, model.head_width // 4
    return {
        PLAIN: {},
        "partial RoPE, a quarter": {"rope_width": quarter - quarter % 2},
        "partial RoPE, a half": {"rope_width": model.head_width // 4 * 2},
        "QK gain 4": {"qk_gain": 4.0},
        "XSA, last half": {"xsa_layers": half},
        "XSA, all layers": {"xsa_layers": last},
        "value embeddings, last 2": {"value_embedding_layers": (last - 2, last - 1), "value_embedding_width": 64},
        "BigramHash 2048 x 64": {"bigram_buckets": 2048, "bigram_width": 64},
        "SmearGate": {"smear_gate": True},
        "U-Net skips": {"unet_skips": True},
        "no residual mixing": {"residual_mix": False},
        "depth scale": {"depth_scale": True},
        "parallel residuals, last half": {"parallel_layers": half},
        "recurrence, inner layers twice": {"loop_start": 1, "loop_stop": last - 1, "loop_times": 2},
        "1 multi-token head": {"mtp_heads": 1},
    }


@dataclass(frozen=True)
class Trial:
    """One training. ``bpb`` is by source, in bits per byte."""

    variant: str
    seed: int
    steps: int
    rows: int
    parameters: int
    seconds: float
    bpb: dict[str, float]

    @property
    def mean(self) -> float:
        """Bits per byte, the mean over the sources."""
        return statistics.mean(self.bpb.values())


@dataclass(frozen=True)
class Comparison:
    """What all trainings have in common. ``validation_tokens`` are scored per source, at the end only."""

    sources: tuple[Source, ...]
    tokenizer: Tokenizer
    preset: str
    steps: int
    rows: int
    validation_tokens: int

    def model(self) -> ModelConfig:
        """The preset's sizes, without the table of token pairs that ``tiny`` owes to this comparison."""
        chosen = load_preset(preset_path(self.preset), self.tokenizer.vocab_size, self.tokenizer.bos_id)
        return replace(chosen.model, bigram_buckets=0)

    def train(self, variant: str, seed: int) -> Trial:
        """Train one variant in a folder that is gone afterwards."""
        chosen = load_preset(preset_path(self.preset), self.tokenizer.vocab_size, self.tokenizer.bos_id)
        plain = self.model()
        model = replace(plain, **variants(plain)[variant])
        settings = replace(
            chosen.settings,
            rows=self.rows,
            validate_every=self.steps + 1,
            validation_tokens=self.validation_tokens,
        )
        with tempfile.TemporaryDirectory() as folder:
            job = TrainJob(
                model, settings, self.sources, self.tokenizer, Budget(steps=self.steps), Path(folder) / "out", seed
            )
            trainer = Trainer(job, ProgressReport())
            parameters = sum(weight.numel() for weight in trainer.model.parameters())
            result = trainer.run()
        seconds = round(result.seconds, 1)
        return Trial(variant, seed, self.steps, self.rows, parameters, seconds, result.val_bpb)


class ResultsFile:
    """Finished trainings, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._trials = [Trial(**json.loads(line)) for line in lines]

    def of(self, comparison: Comparison) -> list[Trial]:
        """Those of the same length and batch."""
        return [one for one in self._trials if (one.steps, one.rows) == (comparison.steps, comparison.rows)]

    def add(self, trial: Trial) -> None:
        """Keep one more."""
        self._trials.append(trial)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(trial)) + "\n")


def table(trials: Sequence[Trial]) -> Iterator[str]:
    """Markdown, the best first: figures of the first seed, differences by seed, and their mean."""
    plain = {trial.seed: trial for trial in trials if trial.variant == PLAIN}
    names = list(trials[0].bpb)
    headings = " | ".join(f"bpb {name}, first seed" for name in names)
    yield f"| variant | parameters | {headings} | to plain, by seed | mean |"
    yield "|---" * (len(names) + 4) + "|"
    rows = []
    for variant in dict.fromkeys(trial.variant for trial in trials):
        own = [trial for trial in trials if trial.variant == variant and trial.seed in plain]
        if not own:
            continue
        own.sort(key=lambda trial: trial.seed)
        figures = " | ".join(f"{own[0].bpb[name]:.4f}" for name in names)
        differences = [trial.mean - plain[trial.seed].mean for trial in own]
        by_seed, mean = ", ".join(f"{difference:+.4f}" for difference in differences), statistics.mean(differences)
        rows.append((mean, f"| {variant} | {own[0].parameters:,} | {figures} | {by_seed} | {mean:+.4f} |"))
    yield from (line for _, line in sorted(rows))


@click.command()
@click.option("--data", multiple=True, required=True, metavar="DIR[=WEIGHT]", help="Shards, as for evaladapt train.")
@click.option("--tokenizer", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--preset", default="tiny", show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--rows", type=click.IntRange(min=1), default=4, show_default=True, help="Windows per step.")
@click.option("--validation-tokens", type=click.IntRange(min=1), default=32_768, show_default=True)
@click.option("--seed", "seeds", multiple=True, type=click.IntRange(min=0), default=(0,), help="Repeat for several.")
@click.option("--only", multiple=True, help="Names of variants; the plain one is always trained.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="One file per comparison; it is continued.",
)
def ablation(
    data: tuple[str, ...],
    tokenizer: Path,
    preset: str,
    steps: int,
    rows: int,
    validation_tokens: int,
    seeds: tuple[int, ...],
    only: tuple[str, ...],
    results: Path,
) -> None:
    """Train a preset with one feature switched at a time, and print the bits per byte that each wins or loses."""
    sources = tuple(map(Source.parse, data))
    comparison = Comparison(sources, SentencePieceTokenizer.load(tokenizer), preset, steps, rows, validation_tokens)
    known = list(variants(comparison.model()))
    for name in only:
        if name not in known:
            raise click.UsageError(f"--only {name!r} is no variant. Variants: {', '.join(known)}.")
    kept = ResultsFile(results)
    for seed in seeds:
        for variant in known:
            done = any((one.variant, one.seed) == (variant, seed) for one in kept.of(comparison))
            if done or (only and variant not in (PLAIN, *only)):
                continue
            trial = comparison.train(variant, seed)
            kept.add(trial)
            click.echo(f"{variant}, seed {seed}: {trial.mean:.4f} bits per byte, {trial.seconds:.0f} s", err=True)
    click.echo("\n".join(table(kept.of(comparison))))


if __name__ == "__main__":
    ablation()
