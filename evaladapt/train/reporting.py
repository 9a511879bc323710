"""What a person and a program see of a training: progress on stderr, metrics as JSON lines in the output folder.

The trainer reports; nothing is read back except on resume, when lines written after the checkpoint are dropped.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from evaladapt.errors import DataError
from evaladapt.system.files import read_regular, write_atomically
from evaladapt.system.strict_json import Fields, Malformed, parse_json

METRICS_NAME = "metrics.jsonl"
MOST_BYTES = 1 << 30
PLAIN_SECONDS = 10.0


@dataclass(frozen=True)
class StepMetrics:
    """One training step. ``loss`` is in nats per token, ``seconds`` count from the first start.

    ``gradient_norm`` is the norm before clipping, ``rate`` the multiplier of the peak learning rates.
    """

    step: int
    tokens: int
    seconds: float
    loss: float
    gradient_norm: float
    rate: float


@dataclass(frozen=True)
class ValidationMetrics:
    """Bits per byte of each source's held-out text with averaged weights, after ``step`` steps."""

    step: int
    seconds: float
    val_bpb: dict[str, float]


class MetricsFile:
    """Appends one JSON object a line."""

    def __init__(self, folder: Path, keep_until_step: int) -> None:
        self._path = folder / METRICS_NAME
        kept = [line for line in self._lines() if self._step_of(line) <= keep_until_step]
        write_atomically(self._path, [line + b"\n" for line in kept])

    def append(self, metrics: StepMetrics | ValidationMetrics) -> None:
        """Write one line. Raises :class:`DataError` when the disk refuses."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(metrics)) + "\n")
        except OSError as error:
            raise DataError(f"Cannot write {self._path}: {error.strerror}.") from error

    def _lines(self) -> list[bytes]:
        """Whole lines of an earlier run; a kill may have torn the last one."""
        if not self._path.exists():
            return []
        content = read_regular(self._path, MOST_BYTES)
        return content[: content.rfind(b"\n") + 1].splitlines()

    def _step_of(self, line: bytes) -> int:
        try:
            return Fields(parse_json(line, str(self._path)), str(self._path)).whole("step")
        except Malformed as error:
            raise Malformed(f"{error} Move the file away, or train into another --out.") from error


class ProgressReport:
    """A bar on a terminal, otherwise a plain line every ten seconds; always on stderr."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._shown = 0.0
        if sys.stderr.isatty():
            columns = (TextColumn("train"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=1.0)

    def step(self, metrics: StepMetrics, progress: float, tokens_per_second: float) -> None:
        """Show a finished step."""
        speed = f"{tokens_per_second:,.0f} tokens/s"
        text = f"step {metrics.step}  loss {metrics.loss:.4f}  lr x{metrics.rate:.3f}  {speed}"
        if self._bar is not None:
            self._bar.start()
            self._bar.update(self._task, completed=progress, description=text)
        elif time.monotonic() - self._shown >= PLAIN_SECONDS:
            self._shown = time.monotonic()
            self.say(f"{progress:6.1%}  {metrics.seconds:7.0f} s  {text}")

    def validation(self, metrics: ValidationMetrics) -> None:
        """Show a validation."""
        figures = "  ".join(f"{name} {value:.4f} bpb" for name, value in metrics.val_bpb.items())
        self.say(f"validation after step {metrics.step}: {figures}")

    def say(self, text: str) -> None:
        """Print one line without disturbing the bar."""
        if self._bar is not None:
            self._bar.console.print(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
