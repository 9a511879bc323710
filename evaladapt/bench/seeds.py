"""Every strategy that comes with evaladapt on one text, alone, and compositions: ``evaladapt bench seeds``.

What a replica claims stands beside what its legal form scores on the same targets. Every legal strategy and composition
is compared with the plan alone, paired over documents.

Such a measurement takes hours on a long text. With a folder to keep them in, every finished composition leaves its
record there and an unfinished one its ledger and snapshot, so that the same command goes on where it stopped. A record
counts again where artifact, text, options and settings are the same; that the code has changed is not noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from evaladapt.artifact import find_artifact, read_artifact
from evaladapt.audit.compliance import read_json
from evaladapt.bench.seeds_report import Claim, Result, SeedsReport
from evaladapt.codec.side import charge_claim
from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import DEFAULT_PLAN, Composition, compose
from evaladapt.contract.registry import StrategyType, installed, load
from evaladapt.data.load import load_stream
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.engine.evaluate import Request, evaluate, identity, score_base
from evaladapt.engine.loop import Outcome, Progress, Settings
from evaladapt.engine.record import environment, write_record
from evaladapt.errors import EvaladaptError, UsageError
from evaladapt.model.allocator import keep_freed_memory
from evaladapt.model.backend import transformer_from_tensors

DISTRIBUTION = "evaladapt"
BEST = ("ttt", "slot-lbfgs", "bias", "ngram", "hedge")
"""The best legal composition that was found."""
RECORD = "record.json"

ProgressOf = Callable[[str], Progress]


@dataclass(frozen=True, kw_only=True)
class SeedSettings:
    """What a person may choose.

    Attributes:
        artifact: a path, or a name that ships.
        data: files of the text; none for the default text.
        limit_tokens: score the first targets only.
        replica_tokens: of these, score fewer where a strategy peeks, and its legal form on as many.
        compositions: names of strategies, beside every strategy alone and ``BEST``.
        folder: where records are kept and looked for.
        replicas: whether strategies that peek are measured at all.
    """

    artifact: str = "default"
    data: tuple[Path, ...] = ()
    limit_tokens: int | None = None
    replica_tokens: int | None = None
    compositions: tuple[tuple[str, ...], ...] = ()
    folder: Path | None = None
    replicas: bool = True


class Measurement:
    """Scores compositions on one text, each once, against the plan alone."""

    def __init__(self, request: Request, progress: ProgressOf | None) -> None:
        self._request = request
        self._progress = progress
        self._records: dict[str, dict[str, Any]] = {}

    @property
    def targets(self) -> int:
        """How many every row covers."""
        return self._request.stream.targets

    def result(self, composition: Composition) -> Result:
        """What a legal composition scores."""
        return Result.of(self._record(composition))

    def claim(self, replica: Composition, legal: Composition) -> Claim:
        """What a composition that peeks claims, beside what its legal form scores."""
        return Claim.of(self._record(replica), self.result(legal))

    def _record(self, composition: Composition) -> dict[str, Any]:
        line = composition.line
        if line not in self._records:
            self._records[line] = self._kept(composition) or self._measured(composition)
        return self._records[line]

    def _kept(self, composition: Composition) -> dict[str, Any] | None:
        folder = self._folder(composition)
        if folder is None or not (folder / RECORD).exists():
            return None
        return read_json(folder / RECORD, "a run record")

    def _measured(self, composition: Composition) -> dict[str, Any]:
        request, progress = self._request_for(composition), self._progress_for(composition)
        record = evaluate(request, progress, self._base)
        if composition.peeking:
            charging = progress("charged") if progress else None
            record = replace(record, charged=charge_claim(request, record, charging))
        if request.folder is not None:
            write_record(request.folder / RECORD, record)
        return record.to_json()

    @cached_property
    def _base(self) -> Outcome:
        plan = self._request.composition.base()
        return score_base(self._request_for(plan), self._progress_for(plan))

    def _request_for(self, composition: Composition) -> Request:
        """With its own folder, where an interrupted run of it may have left a ledger."""
        folder = self._folder(composition)
        if folder is not None:
            _make(folder)
        return replace(self._request, composition=composition, folder=folder, resume=folder is not None)

    def _folder(self, composition: Composition) -> Path | None:
        """One folder for every identity, so that what was measured otherwise is never taken up."""
        if self._request.folder is None:
            return None
        return self._request.folder / f"{composition.line}-{identity(self._request, composition)[:16]}"

    def _progress_for(self, composition: Composition) -> ProgressOf | None:
        progress = self._progress
        return None if progress is None else lambda name: progress(f"{composition.line}, {name}")


def run(settings: SeedSettings, progress: ProgressOf | None = None) -> SeedsReport:
    """Measure with the given artifact on the given text.

    Args:
        settings: what to measure.
        progress: called with the name of every pass; returns the callback for it.
    """
    keep_freed_memory()
    adaptive = built_in()
    alone = [compose([one.alias]) for one in adaptive if not one.capabilities.peeks]
    together = [compose(names) for names in (BEST, *settings.compositions)]
    _refuse_other_plans(together)
    replicas = [one for one in adaptive if one.capabilities.peeks] if settings.replicas else []
    request = _request(settings)
    whole = start = Measurement(_limited(request, settings.limit_tokens), progress)
    if settings.replica_tokens is not None and settings.replica_tokens < whole.targets:
        start = Measurement(_limited(request, settings.replica_tokens), progress)
    return SeedsReport(
        claims=tuple(start.claim(*_with_legal_form(one)) for one in replicas),
        results=tuple(map(whole.result, {one.line: one for one in (*alone, *together)}.values())),
        environment=environment("cpu"),
    )


def built_in() -> list[StrategyType]:
    """The strategies that come with evaladapt and do something, by alias."""
    types = [load(one.qualified) for one in installed() if one.distribution == DISTRIBUTION]
    return [one for one in types if one.capabilities.stage != Stage.PLAN]


def _with_legal_form(replica: StrategyType) -> tuple[Composition, Composition]:
    """The replica alone and what it names as its legal relative; the plan alone where it names none."""
    legal = replica.capabilities.legal_relative or DEFAULT_PLAN
    return compose([replica.alias], allow_noncausal=True), compose([legal])


def _refuse_other_plans(compositions: Sequence[Composition]) -> None:
    for one in compositions:
        if one.plan.alias != DEFAULT_PLAN:
            raise UsageError(
                f"{one.line} plans by {one.plan.alias!r}, and every other row by {DEFAULT_PLAN!r}; leave it out, or"
                f" measure it by: evaladapt run --plugins {one.line}"
            )


def _request(settings: SeedSettings) -> Request:
    """The plan alone on the whole text."""
    artifact = read_artifact(find_artifact(settings.artifact))
    return Request(
        artifact=artifact,
        model=transformer_from_tensors(artifact.model_config, artifact.tensors),
        stream=load_stream(settings.data, SentencePieceTokenizer(artifact.tokenizer_model)),
        composition=compose([DEFAULT_PLAN]),
        settings=Settings(),
        paths=tuple(map(str, settings.data)),
        folder=settings.folder,
    )


def _limited(request: Request, targets: int | None) -> Request:
    """The same on the first ``targets``; None for all."""
    return request if targets is None else replace(request, stream=request.stream.limit(targets))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaladaptError(f"the folder {folder} cannot be made: {error.strerror}") from error
