"""What the contract costs: block mode against the bare forward passes it makes, bookkeeping, and memory.

Ratios are of runs made in turn, A B A B, and the median over the pairs is reported, so that a machine whose speed
drifts does not decide the result.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from evaladapt.artifact import Artifact, find_artifact, read_artifact
from evaladapt.bench.report import BenchReport, BenchSettings, Figure
from evaladapt.contract.composition import Composition, compose
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.loop import Settings
from evaladapt.engine.parts import block_parts
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.records.record import environment
from evaladapt.model.backend import Backend, transformer_from_tensors

DEFAULT_TARGETS = 8192
MEMORY_TARGETS = 16384
MEMORY_GROWTH = 10


def run(settings: BenchSettings) -> BenchReport:
    """Measure with the given artifact and the first targets of the given text."""
    artifact = read_artifact(find_artifact(settings.artifact))
    stream = load_stream(settings.data, SentencePieceTokenizer(artifact.tokenizer_model))
    model = transformer_from_tensors(artifact.model_config, artifact.tensors)
    short = stream.limit(min(stream.targets, settings.limit_tokens or DEFAULT_TARGETS))
    figures = (
        _against_bare_forward(model, short, settings.repeats),
        _bookkeeping(model, short, settings.repeats),
        *_memory(artifact, settings),
    )
    return BenchReport("engine", figures, environment("cpu"))


def _against_bare_forward(model: Backend, stream: TokenStream, repeats: int) -> Figure:
    composition = compose(["sliding"])
    inputs = _inputs(model, stream, composition)

    def bare() -> None:
        with torch.no_grad():
            for tokens, scored in inputs:
                model.head(model.hidden(tokens)[:, -scored:])

    def engine() -> None:
        InlineRun(model, stream, composition, Settings()).run()

    ratio = _median_ratio(engine, bare, repeats)
    return Figure(f"sliding, {stream.targets:,} targets: time over its bare forward passes", ratio, "times", 1.1)


def _inputs(model: Backend, stream: TokenStream, composition: Composition) -> list[tuple[torch.Tensor, int]]:
    """The very inputs that the engine forwards, with the count of columns it scores."""
    run = InlineRun(model, stream, composition, Settings())
    run.engine.text.learn(0, stream.tokens)
    keeper, batches = Keeper(run.engine.text, torch.device("cpu")), run.engine.batches()
    parts = [part for batch in batches for part in block_parts(batch)]
    return [(keeper.inputs(part), max(span.stop - span.first for span in part.spans)) for part in parts]


def _bookkeeping(model: Backend, stream: TokenStream, repeats: int) -> Figure:
    """Share of a run with ``slot-lbfgs`` that is neither forward pass, strategy, nor the arithmetic of the score."""
    shares = []
    for _ in range(repeats):
        outcome = InlineRun(model, stream, compose(["slot-lbfgs"]), Settings()).run()
        strategies = sum(sum(hooks.values()) for hooks in outcome.closing.strategies.values())
        spent = strategies + sum(outcome.closing.phases[phase] for phase in ("forward", "score"))
        shares.append(100 * (1 - spent / outcome.seconds))
    what = f"slot-lbfgs, {stream.targets:,} targets: share of the engine's own work"
    return Figure(what, statistics.median(shares), "% of the run", 5.0)


def _memory(artifact: Artifact, settings: BenchSettings) -> list[Figure]:
    """Peak memory of a process that scores a text, and of one that scores ten times as much."""
    base = settings.limit_tokens or MEMORY_TARGETS
    peaks = [_peak_megabytes(artifact, settings, base * factor) for factor in (1, MEMORY_GROWTH)]
    return [
        Figure(f"peak memory, {base:,} targets", peaks[0], "MB"),
        Figure(f"peak memory with {MEMORY_GROWTH} times the text, over that", peaks[1] / peaks[0], "times", 1.1),
    ]


def _peak_megabytes(artifact: Artifact, settings: BenchSettings, targets: int) -> float:
    arguments = [str(artifact.path), str(targets), *(str(path) for path in settings.data)]
    done = subprocess.run(
        [sys.executable, "-m", "evaladapt.bench.memory", *arguments], capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout)["peak_megabytes"])


def _median_ratio(first: Callable[[], None], second: Callable[[], None], repeats: int) -> float:
    first()
    second()
    return statistics.median(_seconds(first) / _seconds(second) for _ in range(repeats))


def _seconds(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
