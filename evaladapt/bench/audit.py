"""What the contract costs: a whole ``evaladapt run`` as it is, against the same run inside one process.

Both are commands, starts included; they are made in turn, now one first and now the other, and the median over the
pairs counts, so that a machine whose speed drifts does not decide.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaladapt.bench.report import BenchReport, BenchSettings, Figure
from evaladapt.errors import EvaladaptError
from evaladapt.judge.records.record import environment


@dataclass(frozen=True)
class Promise:
    """A composition, how many times longer it may take than inline, and how many looks must have been made."""

    plugins: str
    times: float
    looks: int


PROMISES = (
    Promise("ttt,slot-lbfgs", 1.25, 59),
    Promise("ttt,slot-lbfgs,bias,ngram,hedge", 1.4, 20),
)


@dataclass(frozen=True)
class _Timed:
    seconds: float
    record: dict[str, Any]


def run(settings: BenchSettings) -> BenchReport:
    """Measure with the given artifact and text; all of it unless ``limit_tokens`` says less.

    Raises:
        EvaladaptError: a run failed.
    """
    figures = [figure for promise in PROMISES for figure in _figures(promise, settings)]
    return BenchReport("audit", tuple(figures), environment("cpu"))


def _figures(promise: Promise, settings: BenchSettings) -> list[Figure]:
    sealed: list[_Timed] = []
    inline: list[_Timed] = []
    for number in range(settings.repeats):
        for is_inline in (bool(number % 2), not number % 2):
            (inline if is_inline else sealed).append(_timed(promise.plugins, settings, inline=is_inline))
    ratio = statistics.median(one.seconds / other.seconds for one, other in zip(sealed, inline, strict=True))
    looks = min(len(one.record["checked"]["looks"]) for one in sealed)
    ledgers = {one.record["adapted"]["ledger_sha256"] for one in (*sealed, *inline)}
    name = promise.plugins
    return [
        Figure(f"{name}: inline", statistics.median(one.seconds for one in inline), "s"),
        Figure(f"{name}: sealed and doubted", statistics.median(one.seconds for one in sealed), "s"),
        Figure(f"{name}: over inline", ratio, "times", promise.times),
        Figure(f"{name}: looks missing of {promise.looks}", float(max(0, promise.looks - looks)), "looks", 0.0),
        Figure(f"{name}: looks", float(looks), "looks"),
        Figure(f"{name}: ledgers beside the first", float(len(ledgers) - 1), "ledgers", 0.0),
    ]


def _timed(plugins: str, settings: BenchSettings, *, inline: bool) -> _Timed:
    with tempfile.TemporaryDirectory(prefix="evaladapt-bench-") as folder:
        command = [sys.executable, "-m", "evaladapt", "run", settings.artifact, "--plugins", plugins, "--json"]
        command += ["--out", str(Path(folder) / "run"), *(["--inline"] if inline else [])]
        command += [part for path in settings.data for part in ("--data", str(path))]
        command += ["--limit-tokens", str(settings.limit_tokens)] if settings.limit_tokens else []
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise EvaladaptError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return _Timed(seconds, json.loads(done.stdout))
