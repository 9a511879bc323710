"""How much faster the strategies are than the loops that published scripts are made of (``bench.plain``).

Both sides run in turn in one process on one thread, plain and evaladapt alternating, and the ratio is the median over
the pairs, of CPU seconds: other work on the machine disturbs both alike. Every pair says how far the results lie apart.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from evaladapt.artifact import Artifact, find_artifact, read_artifact
from evaladapt.bench import plain
from evaladapt.bench.report import BenchSettings
from evaladapt.contract.composition import compose
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.records.record import environment
from evaladapt.model.backend import transformer_from_tensors
from evaladapt.model.transformer import Transformer
from evaladapt.toolbox.bias_prior import GammaPrior
from evaladapt.toolbox.logit_bias import fit

CHUNK = 2048
SGD = plain.Recipe(chunk=CHUNK, epochs=1, lr=0.01, sequences=2)
MUON = plain.Recipe(chunk=CHUNK, epochs=1, lr=0.002, sequences=2, muon=True)
STRENGTH, CLAMP, PRECISION = 1.5, 5.0, 100.0
"""The defaults of ``slot-lbfgs`` and ``slot-hidden``."""


PLANS_APART = 0.01
"""Nats per target: 0.3 % of what a target costs the default artifact."""


@dataclass(frozen=True)
class Pair:
    """Two ways to the same result; ``promised`` is the least ratio, ``apart`` the nats per target they may differ."""

    name: str
    targets: int
    plain: Callable[[], Any]
    ours: Callable[[], Any]
    promised: float
    apart: float
    nats: Callable[[Any], float] = float


@dataclass(frozen=True)
class Measured:
    """Medians over the repeats: CPU seconds of both, and of the ratio of every pair of runs."""

    name: str
    targets: int
    plain_seconds: float
    seconds: float
    ratio: float
    promised: float
    apart_nats: float
    agrees: bool

    @property
    def line(self) -> str:
        """A row of the table."""
        return (
            f"{self.name:36} {self.targets:>7,} {self.plain_seconds:>8.2f} s {self.seconds:>8.2f} s"
            f" {self.ratio:>7.2f} x {self.promised:>6.1f} x {self.apart_nats:>9.1e}{'' if self.agrees else '  DIFFERS'}"
        )


@dataclass(frozen=True)
class SpeedReport:
    """All pairs, with the machine they were measured on."""

    pairs: tuple[Measured, ...]
    repeats: int
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        pairs = [asdict(one) for one in self.pairs]
        return {"bench": "speed", "pairs": pairs, "repeats": self.repeats, "environment": self.environment}

    def to_text(self) -> str:
        """As a table."""
        head = f"{'CPU time, one thread':36} targets      plain  evaladapt     ratio promised nats apart"
        return "\n".join([head, *(one.line for one in self.pairs)])


class Subject:
    """A model and a text; every run begins with the artifact's weights."""

    def __init__(self, artifact: Artifact, stream: TokenStream) -> None:
        self._frozen = transformer_from_tensors(artifact.model_config, artifact.tensors)
        self._stream = stream

    def pair(
        self,
        name: str,
        targets: int,
        loop: Callable[..., plain.Nats],
        line: str,
        options: Mapping[str, Any],
        promised: float,
        apart: float = 1e-5,
    ) -> Pair:
        """A published loop and a composition that must agree."""
        stream = self._stream.limit(min(targets, self._stream.targets))
        return Pair(name, stream.targets, partial(self._plain, stream, loop),
                    partial(self._ours, stream, line, options), promised, apart)  # fmt: skip

    def plan_pair(self, stride: int, targets: int) -> Pair:
        """``stream`` beside ``sliding``: not the same function, so they may lie 0.3 % apart."""
        stream = self._stream.limit(min(targets, self._stream.targets))
        promised = 0.8 * self._frozen.context / stride
        return Pair(f"stream, for sliding of stride {stride}", stream.targets,
                    partial(self._ours, stream, "sliding", {"sliding": {"stride": stride}}),
                    partial(self._ours, stream, "stream", {}), promised, PLANS_APART)  # fmt: skip

    def fit_pair(self, rows: int, tokens: int) -> Pair:
        """The fit of ``slot-lbfgs`` alone, on the model's logits of neighbouring stretches."""
        model, tokens = self._frozen, min(tokens, self._stream.targets // rows)
        text = torch.from_numpy(self._stream.tokens[: rows * tokens + 1]).long()
        with torch.no_grad():
            logits = model(text[:-1].view(rows, tokens))
        targets, prior = text[1:].view(rows, tokens), GammaPrior(STRENGTH)

        def value(deltas: torch.Tensor) -> float:
            shifted = (logits + deltas[:, None]).flatten(0, 1)
            nats = torch.nn.functional.cross_entropy(shifted, targets.flatten(), reduction="sum")
            return float(nats.double() + prior.cost(deltas).sum()) / targets.numel()

        def one_after_the_other() -> torch.Tensor:
            rows_fitted = zip(logits, targets, strict=True)
            return torch.stack([plain.fit_one_logit_bias(one, answers, prior) for one, answers in rows_fitted])

        return Pair(f"slot-lbfgs, the fit of {rows} x {tokens}", targets.numel(), one_after_the_other,
                    lambda: fit(logits, targets, prior).delta, 60.0, 1e-4, value)  # fmt: skip

    def _plain(self, stream: TokenStream, loop: Callable[..., plain.Nats]) -> float:
        return -float(np.mean(loop(copy.deepcopy(self._frozen), stream.tokens)))

    def _ours(self, stream: TokenStream, line: str, options: Mapping[str, Any]) -> float:
        model: Transformer = copy.deepcopy(self._frozen)
        composition = compose([] if line == "sliding" else line.split(","), dict(options))
        outcome = InlineRun(model, stream, composition, Settings(), boundaries="charged").run()
        return outcome.nats / outcome.targets


def run(settings: BenchSettings) -> SpeedReport:
    """Measure on the given artifact and text, at most ``limit_tokens`` targets of it in every pair."""
    artifact = read_artifact(find_artifact(settings.artifact))
    stream = load_stream(settings.data, SentencePieceTokenizer(artifact.tokenizer_model))
    if settings.limit_tokens:
        stream = stream.limit(min(stream.targets, settings.limit_tokens))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measured = tuple(_measured(pair, settings.repeats) for pair in pairs(Subject(artifact, stream)))
    finally:
        torch.set_num_threads(threads)
    return SpeedReport(measured, settings.repeats, environment("cpu"))


def pairs(subject: Subject) -> list[Pair]:
    """Every pair, with what is promised of it."""

    def sliding(stride: int, targets: int, promised: float) -> Pair:
        loop = partial(plain.plain_sliding, stride=stride)
        options = {"sliding": {"stride": stride}}
        return subject.pair(f"sliding, stride {stride}", targets, loop, "sliding", options, promised)

    def training(what: str, recipe: plain.Recipe, promised: float, **options: Any) -> Pair:
        loop = partial(plain.plain_training, stride=256, recipe=recipe)
        given = {"epochs": recipe.epochs, "lr": recipe.lr, "schedule": "cosine", "freeze": recipe.freeze, **options}
        return subject.pair(f"ttt, {what}", 2 * CHUNK + 256, loop, "ttt", {"sliding": {"stride": 256}, "ttt": given},
                            promised)  # fmt: skip

    bias = partial(plain.plain_logit_bias, stride=64, prior=GammaPrior(STRENGTH), clamp=CLAMP)
    delta = partial(plain.plain_hidden_delta, stride=256, precision=PRECISION)
    last_quarter = plain.Recipe(CHUNK, 3, 0.01, 2, freeze=3)
    return [
        sliding(16, 1024, 1.8),
        sliding(64, 4096, 2.0),
        sliding(256, 8192, 1.4),
        subject.plan_pair(64, 8192),
        subject.fit_pair(8, 256),
        subject.pair("slot-lbfgs, stride 64", 2048, bias, "slot-lbfgs", {"sliding": {"stride": 64}}, 2.5, 1e-3),
        subject.pair("slot-hidden, stride 256", 4096, delta, "slot-hidden", {"sliding": {"stride": 256}}, 3.0, 1e-3),
        training("SGD, 3 epochs, last layer of 4", last_quarter, 2.5, optimiser="sgd"),
        training("SGD, 1 epoch", SGD, 1.3, optimiser="sgd"),
        training("Muon, 1 epoch", MUON, 1.4, optimiser="muon"),
    ]


def _measured(pair: Pair, repeats: int) -> Measured:
    apart = abs(pair.nats(pair.plain()) - pair.nats(pair.ours()))
    times = [(_cpu_seconds(pair.plain), _cpu_seconds(pair.ours)) for _ in range(repeats)]
    return Measured(
        pair.name,
        pair.targets,
        statistics.median(one for one, _ in times),
        statistics.median(one for _, one in times),
        statistics.median(one / other for one, other in times),
        pair.promised,
        apart,
        apart <= pair.apart,
    )


def _cpu_seconds(action: Callable[[], Any]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started
