"""The training loop: from a job to ``final.safetensors``, resumable at every step.

The command line describes the job; the loader gives windows, the optimisers move the weights, the average follows, and
the folder ``out`` collects metrics, checkpoints and the finished model, which ``evaladapt pack`` takes from there.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from types import FrameType

import torch

from evaladapt.artifact.plan import QuantisationPlan
from evaladapt.errors import EXIT_INTERRUPTED, DataError, EvaladaptError
from evaladapt.model.allocator import keep_freed_memory
from evaladapt.model.device import choose_device
from evaladapt.model.multi_token import for_scoring
from evaladapt.model.transformer import Transformer
from evaladapt.system.files import write_atomically
from evaladapt.system.locks import locked
from evaladapt.system.processes import ALONE, Processes, own_device
from evaladapt.train.averaging import average_for
from evaladapt.train.checkpoint import (
    CHECKPOINT_NAME,
    MODEL_NAME,
    NamedTensors,
    damaged,
    prefixed,
    read_tensors,
    without_prefix,
    write_tensors,
)
from evaladapt.train.compiling import loss_for
from evaladapt.train.gradients import RowSplit, StepGradient, backpropagate
from evaladapt.train.groups import OptimizerSet, weight_groups
from evaladapt.train.job import TrainJob, TrainResult
from evaladapt.train.loader import Loader, TokenBatch, read_source
from evaladapt.train.precision import multiplying_in, product_type
from evaladapt.train.reporting import MetricsFile, ProgressReport, StepMetrics, ValidationMetrics
from evaladapt.train.rounding import Rounding
from evaladapt.train.schedule import rate_multiplier
from evaladapt.train.validation import bits_per_byte, held_out

SMOOTHING = 0.95
DIVERGED_NATS = 1.0
TOKENIZER_NAME = "tokenizer.model"


class TrainingDiverged(EvaladaptError):
    """The loss left the numbers or rose far above its best."""


class TrainingInterrupted(EvaladaptError):
    """Ctrl-C or a termination signal; a checkpoint was written."""

    exit_code = EXIT_INTERRUPTED


@dataclass
class _Position:
    """Where a training stands; the numbers of a checkpoint."""

    step: int = 0
    seconds: float = 0.0
    smoothed_loss: float | None = None
    best_loss: float | None = None
    loader: list[int] = field(default_factory=list)
    average_updates: int = 0


class Trainer:
    """One training. Build it, then :meth:`run` it.

    With several processes each has a whole trainer and the same weights; they read different rows of every step, and
    the first of them reports and writes.
    """

    def __init__(
        self,
        job: TrainJob,
        report: ProgressReport,
        processes: Processes = ALONE,
        optimizers: type[OptimizerSet] = OptimizerSet,
    ) -> None:
        self._job = job
        self._report = report
        self._processes = processes
        self._leads = processes.rank == 0
        self._split = RowSplit(job.settings.rows, job.settings.accumulate, processes)
        self._device = own_device(choose_device("auto"))
        if self._device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(job.seed)
        self.model = Transformer(job.model).to(self._device)
        self._products = product_type(self._device, job.settings.precision)
        self._training_loss = loss_for(self._device, job.settings.compiled)
        self._optimizers = optimizers(weight_groups(self.model.named_parameters()), job.settings, processes)
        self._average = average_for(self.model, job.settings)
        plan = QuantisationPlan(job.settings.rounded_bits, job.settings.rounded_embedding_bits)
        self._rounding = Rounding(self.model, plan)
        vocab, context = job.model.vocab_size, job.model.context
        self._loader = Loader(job.sources, vocab, job.settings.rows, context, job.seed)
        tokens = job.settings.validation_tokens
        self._held_out = [
            held_out(source.name, read_source(source, "val", vocab), context, tokens, job.tokenizer)
            for source in job.sources
        ]
        self._position = _Position()
        self._stop_signal = 0
        if job.resume:
            self._load_checkpoint()
        elif (job.out / CHECKPOINT_NAME).exists():
            raise DataError(f"{job.out} holds a training already. Continue it with --resume, or choose another --out.")

    def run(self) -> TrainResult:
        """Train to the end of the budget and write the averaged weights.

        Raises:
            TrainingDiverged: the loss is not finite or rose; the last checkpoint stays.
            TrainingInterrupted: a signal came; the checkpoint is at the last finished step.
        """
        try:
            if not self._leads:
                return self._to_the_end(None)
            write_atomically(self._job.out / TOKENIZER_NAME, [self._job.tokenizer.model_bytes])
            with locked(self._job.out):
                return self._to_the_end(MetricsFile(self._job.out, self._position.step))
        finally:
            self._report.close()

    def _to_the_end(self, metrics: MetricsFile | None) -> TrainResult:
        with self._signals_noted():
            self._train(metrics)
        return self._finish(metrics)

    def _train(self, metrics: MetricsFile | None) -> None:
        clock = _Clock(self._position.seconds)
        saved_at = clock.seconds()
        settings = self._job.settings
        while (progress := self._progress(clock)) < 1:
            began = clock.seconds()
            done = self._step(progress, clock.seconds)
            if metrics:
                metrics.append(done)
                self._report.step(done, progress, self._batch_tokens / max(clock.seconds() - began, 1e-9))
            if done.step % settings.validate_every == 0:
                self._validate(metrics)
            self._position.seconds = clock.seconds()
            if self._processes.largest(self._stop_signal):
                self._save_checkpoint()
                raise TrainingInterrupted(
                    f"interrupted after step {done.step}; the checkpoint is in {self._job.out}. "
                    "Continue with the same command and --resume."
                )
            if clock.seconds() - saved_at >= 60 * settings.checkpoint_minutes:
                self._save_checkpoint()
                saved_at = clock.seconds()

    def _progress(self, clock: _Clock) -> float:
        """Share of the budget that is used; that of the process whose clock is furthest, for all of them."""
        return self._processes.largest(self._job.budget.progress(self._position.step, clock.seconds()))

    def _step(self, progress: float, seconds: Callable[[], float]) -> StepMetrics:
        settings, step = self._job.settings, self._position.step
        rate = rate_multiplier(step, progress, settings.warmup_steps, settings.warmdown_fraction)
        batch = self._loader.next_batch()
        rounded = progress >= 1 - settings.rounded_fraction
        with self._rounding.applied(step) if rounded else nullcontext():
            gradient = backpropagate(self._loss, batch, list(self.model.parameters()), self._split, settings.clip_norm)
        self._watch(gradient, step + 1, rate)
        self._optimizers.step(rate)
        self._average.update(step + 1, rate)
        self._position.step = step + 1
        tokens = (step + 1) * self._batch_tokens
        return StepMetrics(step + 1, tokens, round(seconds(), 3), gradient.loss, gradient.norm, rate)

    def _loss(self, batch: TokenBatch) -> torch.Tensor:
        inputs, targets = batch.inputs.to(self._device), batch.targets.to(self._device)
        with multiplying_in(self._device, self._products):
            apart = self._job.settings.document_masks
            return self._training_loss(self.model, inputs, targets, documents_apart=apart)

    @property
    def _batch_tokens(self) -> int:
        return self._job.settings.rows * self._job.model.context

    def _watch(self, gradient: StepGradient, step: int, rate: float) -> None:
        """Stop before broken numbers reach the weights."""
        position, loss, norm = self._position, gradient.loss, gradient.norm
        start = loss if position.smoothed_loss is None else position.smoothed_loss
        smoothed = SMOOTHING * start + (1 - SMOOTHING) * loss
        best = smoothed if position.best_loss is None else min(position.best_loss, smoothed)
        position.smoothed_loss, position.best_loss = smoothed, best
        if math.isfinite(loss + norm) and smoothed < best + DIVERGED_NATS:
            return
        saved = self._job.out / CHECKPOINT_NAME
        kept = f"The last checkpoint is {saved}." if saved.exists() else "There is no checkpoint yet."
        raise TrainingDiverged(
            f"training diverged at step {step}: loss {loss:.4g}, gradient norm {norm:.4g}, best smoothed loss "
            f"{best:.4f}, learning rates at x{rate:.3f}. {kept} Start again with smaller matrix_lr, "
            "embedding_lr and scalar_lr, or more warmup_steps."
        )

    def _validate(self, metrics: MetricsFile | None) -> dict[str, float]:
        """Bits per byte of the held-out shards; the first process measures, the others go on."""
        if metrics is None:
            return {}
        with self._average.applied():
            figures = {data.name: bits_per_byte(self.model, data, self._device) for data in self._held_out}
        measured = ValidationMetrics(self._position.step, round(self._position.seconds, 3), figures)
        metrics.append(measured)
        self._report.validation(measured)
        return figures

    def _finish(self, metrics: MetricsFile | None) -> TrainResult:
        position = self._position
        figures = self._validate(metrics)
        tokens = position.step * self._batch_tokens
        self._save_checkpoint()
        story = {"steps": position.step, "tokens": tokens, "seconds": round(position.seconds, 1), "val_bpb": figures}
        path = self._job.out / MODEL_NAME
        means = {name: mean.cpu() for name, mean in for_scoring(self._average.means).items()}
        if self._leads:
            facts = {**self._job.identity, "model": self._job.model.for_scoring().to_dict(), **story}
            write_tensors(
                path, NamedTensors(means, {**facts, "torch": torch.__version__, "threads": torch.get_num_threads()})
            )
        return TrainResult(path, position.step, tokens, position.seconds, figures)

    def _save_checkpoint(self) -> None:
        if not self._leads:
            return
        self._position.loader = self._loader.state()
        self._position.average_updates = self._average.updates
        tensors = {
            **prefixed("weights", dict(self.model.named_parameters())),
            **prefixed("average", self._average.means),
            **prefixed("optimizer", self._optimizers.state_tensors()),
            **prefixed("rounding", self._rounding.state_tensors()),
        }
        facts = {"identity": self._job.identity, "position": asdict(self._position)}
        write_tensors(self._job.out / CHECKPOINT_NAME, NamedTensors(tensors, facts))

    def _load_checkpoint(self) -> None:
        path = self._job.out / CHECKPOINT_NAME
        if not path.exists():
            raise DataError(f"{path} does not exist: nothing to resume. Start the training without --resume.")
        content = read_tensors(path)
        try:
            self._job.refuse_other(content.facts["identity"])
            self.model.load_state_dict(without_prefix("weights", content.tensors))
            self._optimizers.load_state_tensors(without_prefix("optimizer", content.tensors))
            self._rounding.load_state_tensors(without_prefix("rounding", content.tensors))
            self._position = _Position(**content.facts["position"])
            self._average.load(without_prefix("average", content.tensors), self._position.average_updates)
            self._loader.load_state(self._position.loader)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise damaged(path, f"it lacks what a training needs to go on ({type(error).__name__}: {error})") from error

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        """The first Ctrl-C or termination waits for the step's end; a second one acts at once."""

        def note(number: int, frame: FrameType | None) -> None:
            if self._stop_signal:
                raise KeyboardInterrupt
            self._stop_signal = number

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Clock:
    """Seconds of training, going on from where a checkpoint left off."""

    def __init__(self, seconds_before: float) -> None:
        self._began = time.monotonic() - seconds_before

    def seconds(self) -> float:
        """Seconds since the first start, pauses excluded."""
        return time.monotonic() - self._began
