"""The trainer beside a plain loop with ``torch.optim.Muon``, and beside AdamW alone: ``evaladapt bench train``.

Both comparisons use the ``tiny`` preset on the given text (by default the one that ``run`` scores by default). Speeds
are measured in turn, A B A B, and the median over the pairs of ratios is reported. The plain loop is what one writes
with torch's own optimisers: forward, backward, clip, two steps; the trainer's step does its averaging and its records
besides. It runs in a process of its own, because the trainer changes how its process keeps freed memory. AdamW alone is
the same trainer with AdamW for the matrices too, at the better of two rates.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim import AdamW, Muon, Optimizer

from evaladapt.artifact import find_artifact, read_artifact
from evaladapt.bench.report import BenchReport, BenchSettings, Figure
from evaladapt.data.load import load_stream
from evaladapt.data.shards import write_shard
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.errors import UsageError
from evaladapt.judge.records.record import environment
from evaladapt.model.transformer import Transformer
from evaladapt.system.processes import Processes
from evaladapt.train.groups import OptimizerSet, WeightGroups, weight_groups
from evaladapt.train.job import TrainJob
from evaladapt.train.loader import Loader, Source
from evaladapt.train.reporting import ProgressReport, StepMetrics, ValidationMetrics
from evaladapt.train.schedule import Budget
from evaladapt.train.settings import TrainSettings, load_preset, preset_path
from evaladapt.train.trainer import Trainer

TIMED_STEPS = 4
"""Steps of one measurement, after one that is not counted."""
SEEDS = (0, 1, 2)
DEFAULT_SECONDS = 20.0
ADAMW_RATES = (0.002, 0.005)
HELD_OUT_SHARE = 0.1
PROMISED_SPEED = 1.5


@dataclass(frozen=True)
class Lesson:
    """A training job whose length, seed and folder are still open."""

    job: TrainJob
    folder: Path

    def to_learn(self, name: str, budget: Budget, seed: int = 0, **changes: float) -> TrainJob:
        """The job in a folder of its own."""
        settings = replace(self.job.settings, **changes)  # type: ignore[arg-type]
        return replace(self.job, settings=settings, budget=budget, seed=seed, out=self.folder / name)


class Stopwatch(ProgressReport):
    """Says nothing and keeps the speed of every step, in tokens per second."""

    def __init__(self) -> None:
        self.speeds: list[float] = []

    def step(self, metrics: StepMetrics, progress: float, tokens_per_second: float) -> None:
        """Keep it."""
        self.speeds.append(tokens_per_second)

    def validation(self, metrics: ValidationMetrics) -> None:
        """Not shown."""

    def close(self) -> None:
        """Nothing was opened."""


class AdamWAlone(OptimizerSet):
    """AdamW for every weight."""

    def _matrix_optimizer(self, groups: WeightGroups, settings: TrainSettings, processes: Processes) -> Optimizer:
        return AdamW(
            list(groups.matrices.values()),
            lr=settings.matrix_lr,
            betas=(settings.adam_beta1, settings.adam_beta2),
            weight_decay=settings.matrix_weight_decay,
            fused=True,
        )


def run(settings: BenchSettings) -> BenchReport:
    """Measure speed, then loss at equal time."""
    seconds = settings.seconds or DEFAULT_SECONDS
    with tempfile.TemporaryDirectory(prefix="evaladapt-bench-") as folder:
        lesson = _lesson(settings, Path(folder))
        figures = (*_speeds(lesson, settings.repeats), *_losses(lesson, seconds))
    return BenchReport("train", figures, environment("cuda" if torch.cuda.is_available() else "cpu"))


def _lesson(settings: BenchSettings, folder: Path) -> Lesson:
    """The text as shards, its end held out, and the preset for its tokenizer."""
    pieces = SentencePieceTokenizer(read_artifact(find_artifact(settings.artifact)).tokenizer_model)
    stream = load_stream(settings.data, pieces)
    tokens = stream.limit(settings.limit_tokens).tokens if settings.limit_tokens else stream.tokens
    chosen = load_preset(preset_path("tiny"), pieces.vocab_size)
    cut = int(len(tokens) * (1 - HELD_OUT_SHARE))
    if min(cut, len(tokens) - cut) < 2 * chosen.model.context:
        raise UsageError(
            f"{stream.name} has {len(tokens):,} tokens; a training with windows of {chosen.model.context} and a"
            f" held-out tenth needs {20 * chosen.model.context:,}. Name a longer text with --data"
        )
    write_shard(folder / "text" / "train_000000.bin", tokens[:cut])
    write_shard(folder / "text" / "val_000000.bin", tokens[cut:])
    calm = replace(chosen.settings, validate_every=10**9, checkpoint_minutes=1e9)
    job = TrainJob(chosen.model, calm, (Source(folder / "text"),), pieces, Budget(steps=1), folder)
    return Lesson(job, folder)


def _speeds(lesson: Lesson, repeats: int) -> Sequence[Figure]:
    ours, plain = [], []
    for repeat in range(repeats):
        ours.append(_trainer_seconds(lesson, f"speed-{repeat}"))
        plain.append(_in_a_new_process(_plain_seconds, lesson.job))
    ratio = statistics.median(one / other for one, other in zip(ours, plain, strict=True))
    tokens = lesson.job.settings.rows * lesson.job.model.context
    return (
        Figure("trainer", tokens / statistics.median(ours), "tokens/s"),
        Figure("plain loop with torch.optim.Muon", tokens / statistics.median(plain), "tokens/s"),
        Figure("forward and backward alone", tokens / _bare_seconds(lesson.job), "tokens/s"),
        Figure("trainer: time per token over the plain loop's", ratio, "times", 1 / PROMISED_SPEED),
    )


def _trainer_seconds(lesson: Lesson, name: str) -> float:
    watch = Stopwatch()
    job = lesson.to_learn(name, Budget(steps=TIMED_STEPS + 1), validation_tokens=1)
    Trainer(job, watch).run()
    return job.settings.rows * job.model.context / statistics.median(watch.speeds[1:])


def _in_a_new_process(measure: Callable[[TrainJob], float], job: TrainJob) -> float:
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,)) as process:
        return process.submit(measure, job).result()


def _plain_seconds(job: TrainJob) -> float:
    """Median seconds of a step that uses torch's optimisers as they come."""
    model, loader = Transformer(job.model), _loader(job)
    groups = weight_groups(model.named_parameters())
    others = [*groups.embeddings.values(), *groups.scalars.values()]
    optimizers: tuple[Optimizer, ...] = (
        Muon(list(groups.matrices.values()), lr=job.settings.matrix_lr),
        AdamW(others, lr=job.settings.embedding_lr),
    )

    def step() -> None:
        _backward(model, loader)
        torch.nn.utils.clip_grad_norm_(model.parameters(), job.settings.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return _median_seconds(step)


def _bare_seconds(job: TrainJob) -> float:
    """Median seconds of what no trainer can do without."""
    model, loader = Transformer(job.model), _loader(job)

    def step() -> None:
        _backward(model, loader)
        model.zero_grad()

    return _median_seconds(step)


def _loader(job: TrainJob) -> Loader:
    return Loader(job.sources, job.model.vocab_size, job.settings.rows, job.model.context, job.seed)


def _backward(model: Transformer, loader: Loader) -> None:
    batch = loader.next_batch()
    torch.autograd.backward(F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten()))


def _median_seconds(step: Callable[[], None]) -> float:
    step()
    times = []
    for _ in range(TIMED_STEPS):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _losses(lesson: Lesson, seconds: float) -> Sequence[Figure]:
    """Held-out bits per byte after equal time, per seed."""
    budget, figures, ratios = Budget(minutes=seconds / 60), [], []
    for seed in SEEDS:
        ours = _bits(Trainer(lesson.to_learn(f"ours-{seed}", budget, seed), Stopwatch()))
        theirs = min(
            _bits(
                Trainer(
                    lesson.to_learn(f"adamw-{seed}-{rate}", budget, seed, matrix_lr=rate),
                    Stopwatch(),
                    optimizers=AdamWAlone,
                )
            )
            for rate in ADAMW_RATES
        )
        figures += [
            Figure(f"seed {seed}, {seconds:g} s each: trainer", ours, "bits per byte, held out"),
            Figure(f"seed {seed}, {seconds:g} s each: AdamW alone", theirs, "bits per byte, held out"),
        ]
        ratios.append(ours / theirs)
    return (*figures, Figure("trainer's bits over AdamW's, worst seed", max(ratios), "times", 1.0))


def _bits(trainer: Trainer) -> float:
    (bits,) = trainer.run().val_bpb.values()
    return bits
