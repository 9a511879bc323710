"""What the audit costs: a run with its default audit against the run alone, and all probes on the same composition.

Runs are made in turn, now one first and now the other, and the median over the pairs counts, so that a machine whose
speed drifts does not decide.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from evaladapt.artifact import find_artifact, read_artifact
from evaladapt.audit.bench import Bench
from evaladapt.audit.full import audit
from evaladapt.audit.run_audit import SLICE, Level, evaluate_audited
from evaladapt.audit.subject import Subject
from evaladapt.audit.toy_subject import toy_subject
from evaladapt.bench.report import BenchReport, BenchSettings, Figure
from evaladapt.contract.composition import compose
from evaladapt.contract.registry import load
from evaladapt.data.load import load_stream
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.engine.evaluate import Request
from evaladapt.engine.loop import Settings
from evaladapt.engine.record import environment
from evaladapt.model.allocator import keep_freed_memory
from evaladapt.model.backend import transformer_from_tensors

COMPOSITION = ("ttt", "slot-lbfgs")
PERCENT_PROMISED = 10.0
SECONDS_PROMISED = 600.0


def run(settings: BenchSettings) -> BenchReport:
    """Measure with the given artifact and text; all of it unless ``limit_tokens`` says less."""
    keep_freed_memory()
    request = _request(settings)
    pairs = [_pair(request, audited_first=bool(number % 2)) for number in range(settings.repeats)]
    added = statistics.median(100 * (pair.audited / pair.plain - 1) for pair in pairs)
    figures = (
        Figure(f"run alone ({request.stream.targets:,} targets)", statistics.median(pair.plain for pair in pairs), "s"),
        Figure("added by its default audit", added, "%", PERCENT_PROMISED),
        Figure(f"all probes, artifact ({SLICE} targets) and toy", _full_seconds(request), "s", SECONDS_PROMISED),
    )
    return BenchReport("audit", figures, environment("cpu"))


@dataclass(frozen=True)
class _Pair:
    """Seconds of the same run without and with its default audit."""

    plain: float
    audited: float


def _pair(request: Request, *, audited_first: bool) -> _Pair:
    order: tuple[Level, ...] = ("sample", "off") if audited_first else ("off", "sample")
    seconds = {level: _seconds(request, level) for level in order}
    return _Pair(seconds["off"], seconds["sample"])


def _request(settings: BenchSettings) -> Request:
    artifact = read_artifact(find_artifact(settings.artifact))
    stream = load_stream(settings.data, SentencePieceTokenizer(artifact.tokenizer_model))
    return Request(
        artifact=artifact,
        model=transformer_from_tensors(artifact.model_config, artifact.tensors),
        stream=stream.limit(settings.limit_tokens) if settings.limit_tokens else stream,
        composition=compose(COMPOSITION),
        settings=Settings(),
    )


def _seconds(request: Request, level: Level) -> float:
    with tempfile.TemporaryDirectory(prefix="evaladapt-bench-") as folder:
        started = time.perf_counter()
        evaluate_audited(replace(request, folder=Path(folder)), level)
        return time.perf_counter() - started


def _full_seconds(request: Request) -> float:
    started = time.perf_counter()
    on_artifact = Subject(
        model=request.model,
        stream=request.stream.limit(SLICE),
        composition=request.composition,
        settings=request.settings,
    )
    audit(Bench(on_artifact))
    audit(Bench(toy_subject([load(name) for name in COMPOSITION], {})))
    return time.perf_counter() - started
