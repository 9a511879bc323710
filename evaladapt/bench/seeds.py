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

from evaladapt.bench.seeds_report import Claim, Result, SeedsReport
from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import DEFAULT_PLAN, Composition, compose
from evaladapt.contract.registry import StrategyType, installed, load
from evaladapt.data.load import load_stream
from evaladapt.errors import EvaladaptError, UsageError
from evaladapt.judge.charging import Progress
from evaladapt.judge.claim import charged_claim
from evaladapt.judge.evaluate import evaluate, score_base, tokenizer_of
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.record import NONCAUSAL, RunRecord, environment, write_record
from evaladapt.judge.records.record_file import read_record
from evaladapt.judge.request import Composed, Request

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
        inline: run everything in this process, where nothing is proven; quick for short texts.
        replicas: whether strategies that peek are measured at all.
    """

    artifact: str = "default"
    data: tuple[Path, ...] = ()
    limit_tokens: int | None = None
    replica_tokens: int | None = None
    compositions: tuple[tuple[str, ...], ...] = ()
    folder: Path | None = None
    replicas: bool = True
    inline: bool = False


class Measurement:
    """Scores compositions on one text, each once, against the plan alone."""

    def __init__(self, request: Request, targets: int, progress: ProgressOf | None) -> None:
        self._request, self.targets, self._progress = request, targets, progress
        self._records: dict[str, dict[str, Any]] = {}

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
        return read_record(folder / RECORD) if folder is not None and (folder / RECORD).exists() else None

    def _measured(self, composition: Composition) -> dict[str, Any]:
        request, progress = self._request_for(composition), self._progress_for(composition)
        record = evaluate(request, progress, base=self._base)
        if not isinstance(record, RunRecord):
            raise EvaladaptError(f"{composition.line} broke the contract while it was measured")
        if record.verdict == NONCAUSAL:
            charging = progress("charged") if progress else None
            record = replace(record, charged=charged_claim(request, record, charging))
        if request.folder is not None:
            write_record(request.folder / RECORD, record)
        return record.to_json()

    @cached_property
    def _base(self) -> Outcome:
        plan = compose([DEFAULT_PLAN])
        request, progress = self._request_for(plan), self._progress_for(plan)
        return score_base(request, progress)

    def _request_for(self, composition: Composition) -> Request:
        """With its own folder, where an interrupted run of it may have left a ledger."""
        folder = self._folder(composition)
        if folder is not None:
            _make(folder)
        composed = Composed(
            names=tuple(one.type.listing.qualified for one in composition.members), allow_noncausal=True
        )
        return replace(self._request, composed=composed, folder=folder, resume=folder is not None)

    def _folder(self, composition: Composition) -> Path | None:
        if self._request.folder is None:
            return None
        return self._request.folder / f"{composition.line}-{self.targets}"

    def _progress_for(self, composition: Composition) -> ProgressOf | None:
        progress = self._progress
        return None if progress is None else lambda name: progress(f"{composition.line}, {name}")


def run(settings: SeedSettings, progress: ProgressOf | None = None) -> SeedsReport:
    """Measure with the given artifact on the given text.

    Args:
        settings: what to measure.
        progress: called with the name of every pass; returns the callback for it.
    """
    adaptive = built_in()
    alone = [compose([one.alias]) for one in adaptive if not one.capabilities.peeks]
    together = [compose(names) for names in (BEST, *settings.compositions)]
    _refuse_other_plans(together)
    replicas = [one for one in adaptive if one.capabilities.peeks] if settings.replicas else []
    whole = start = _measurement(settings, settings.limit_tokens, progress)
    if settings.replica_tokens is not None and settings.replica_tokens < whole.targets:
        start = _measurement(settings, settings.replica_tokens, progress)
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


def _measurement(settings: SeedSettings, targets: int | None, progress: ProgressOf | None) -> Measurement:
    """On the first ``targets``, None for all; every BOS is charged, as the published loops charge it."""
    stream = load_stream(settings.data, tokenizer_of(settings.artifact))
    stream = stream if targets is None else stream.limit(min(targets, stream.targets))
    request = Request(
        model=settings.artifact,
        open_text=lambda _: stream,
        paths=tuple(map(str, settings.data)),
        boundaries="charged",
        inline=settings.inline,
        folder=settings.folder,
    )
    return Measurement(request, stream.targets, progress)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaladaptError(f"the folder {folder} cannot be made: {error.strerror}") from error
