"""The audit inside ``evaladapt run``: a watcher around the hooks of the run that is scored, and a replay of its start.

Watching costs little; rehearsals are drawn by seed over the whole text and stop when their share of the time is used
up. After the run its first batches are scored again from a text that is revealed batch by batch, and must give the
ledger's numbers bit for bit.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from evaladapt.audit.bench import Bench
from evaladapt.audit.draws import Draw
from evaladapt.audit.finding import (
    FAIL,
    NOT_COVERED,
    PASS,
    Finding,
    engine_probe,
    failures,
    found_by_the_engine,
)
from evaladapt.audit.full import audit
from evaladapt.audit.replay import Charged, replayed
from evaladapt.audit.sightings import LOOKED, finding_from
from evaladapt.audit.subject import Subject
from evaladapt.audit.watch import watched
from evaladapt.audit.watcher import AuditWatcher
from evaladapt.engine.evaluate import ADAPTED, Request, broken_record, evaluate, identity, wanted_base
from evaladapt.engine.ledger import LedgerFile
from evaladapt.engine.loop import Journal, Outcome, Progress
from evaladapt.engine.record import NONCAUSAL, VIOLATED, Clause, Record, RunRecord, Score
from evaladapt.errors import ContractViolation, UsageError

Level = Literal["off", "sample", "full"]
LEVELS: tuple[Level, ...] = get_args(Level)
SHARE = 0.1
"""Largest share of a run's time that its audit takes."""
WATCHING, REPLAYING = 0.35, 0.2
"""Shares of that share, for rehearsals and for the replay; the rest is slack."""
REHEARSED = 0.5
"""Share of hook calls that are rehearsed, as long as there is time for it."""
PEEKING_BREAKS = ("C1", "C2", "C3")
SLICE = 2048
"""Targets that all probes look at under ``full``."""


def level_named(name: str) -> Level:
    """The level a person named.

    Raises:
        UsageError: there is no such level.
    """
    if name not in LEVELS:
        raise UsageError(f"--audit {name!r} is none of {', '.join(LEVELS)}")
    return name


def evaluate_audited(
    request: Request,
    level: Level,
    progress: Callable[[str], Progress] | None = None,
    *,
    share: float | None = SHARE,
) -> Record:
    """Carry out the request and audit it; the record holds the findings and is VIOLATED where one convicts.

    A clause that the engine finds broken ends the run; the record says so and holds no score at all.

    Args:
        request: what to run.
        level: ``sample`` for the run itself and its start once more; ``full`` adds every probe on the first targets.
        progress: as for :func:`evaladapt.engine.evaluate.evaluate`.
        share: largest share of the run's time that its audit takes; None for no limit.
    """
    if level == "off":
        return _evaluated(request, progress)
    if request.processes.count > 1:
        return _unaudited(request, level, progress)
    if request.folder is None:
        with tempfile.TemporaryDirectory(prefix="evaladapt-audit-") as folder:
            return evaluate_audited(replace(request, folder=Path(folder)), level, progress, share=share)
    seed = request.settings.seed
    watching = None if share is None else WATCHING * share
    watcher = AuditWatcher(request.model, request.stream, Draw(seed), rate=REHEARSED, share=watching)
    record = _evaluated(replace(request, composition=watched(request.composition, watcher)), progress)
    findings = [finding_from(watcher.sightings, probe, "run", _again) for probe in LOOKED]
    if isinstance(record, RunRecord):
        replaying = record.adapted.seconds * (1.0 if share is None else REPLAYING * share)
        findings += replayed(_subject(request), _charged(request, request.folder, record.adapted), replaying, seed)
        if level == "full":
            whole = _subject(request)
            findings += audit(Bench(replace(whole, stream=request.stream.limit(SLICE)), seed=seed))
    return judged(record, findings)


def _evaluated(request: Request, progress: Callable[[str], Progress] | None) -> Record:
    """The record, also of a run that the engine ended because a clause was broken."""
    base: Outcome | None = None
    try:
        base = wanted_base(request, progress)
        return evaluate(request, progress, base)
    except ContractViolation as violation:
        found = found_by_the_engine(violation, engine_probe(violation), "run", _command())
        return judged(broken_record(request, violation, base), [found])


def _unaudited(request: Request, level: Level, progress: Callable[[str], Progress] | None) -> Record:
    """The run without probes: rehearsals by the clock would fall differently in every process."""
    count = request.processes.count
    if level == "full":
        raise UsageError(f"--audit full runs in one process, not {count}; leave out torchrun, or use --audit off")
    why = f"rows were split over {count} processes, and probes run in one: evaladapt audit"
    finding = Finding(clause="C1", probe="REHEARSAL", outcome=NOT_COVERED, evidence=why)
    return judged(_evaluated(request, progress), [finding])


def judged(record: Record, findings: Sequence[Finding]) -> Record:
    """The record with what was found; its number is no bpb where a finding convicts.

    A strategy that peeks is expected to break C1, C3 and with them C2; that is what NONCAUSAL says already.
    """
    found = [*record.findings, *(one.to_json() for one in findings)]
    judged_record = replace(record, findings=found, clauses=merged(record.clauses, findings))
    declared = PEEKING_BREAKS if record.verdict == NONCAUSAL else ()
    convicted = not all(one.clause in declared for one in failures(findings))
    if convicted and isinstance(judged_record, RunRecord):
        return replace(judged_record, verdict=VIOLATED, bpb=None, claimed_bpb=None)
    return judged_record


def merged(clauses: Sequence[Clause], findings: Sequence[Finding]) -> list[Clause]:
    """What the engine says about every clause, and what the probes found."""
    return [_merged_clause(one, [found for found in findings if found.clause == one.clause]) for one in clauses]


def _merged_clause(clause: Clause, found: Sequence[Finding]) -> Clause:
    convicting = [f"{one.probe}: {one.evidence}" for one in found if one.outcome == FAIL]
    if convicting:
        return Clause(clause.clause, FAIL, "; ".join(convicting))
    passed = [f"{one.probe}: {one.evidence}" for one in found if one.outcome == PASS]
    if not passed or clause.outcome == FAIL or not _decided(clause.clause, found):
        return clause
    engine = [clause.evidence.removesuffix("; probes not run")] if clause.outcome == PASS else []
    return Clause(clause.clause, PASS, "; ".join([*engine, *passed]))


def _decided(clause: str, found: Sequence[Finding]) -> bool:
    """Only a repetition can say that runs repeat; that nobody drew a global random number is a hint."""
    return clause != "D" or any(one.probe == "REPEAT" and one.outcome == PASS for one in found)


def _subject(request: Request) -> Subject:
    return Subject(
        model=request.model,
        stream=request.stream,
        composition=request.composition,
        settings=request.settings,
        reproduce=lambda probe, seed: _again(probe),
    )


def _again(probe: str) -> str:
    """The command of this run, with all probes on."""
    return f"{_command()} --audit full  (probe {probe})"


def _command() -> str:
    return shlex.join(["evaladapt", *sys.argv[1:]])


def _charged(request: Request, folder: Path, score: Score) -> Charged:
    """The ledger of the run, from its file."""
    journal = Journal(folder, ADAPTED, identity(request, request.composition))
    lines = list(LedgerFile(journal.ledger, journal.identity).lines())
    ends = tuple(line.first + len(line.logprobs) for line in lines)
    return Charged(np.concatenate([line.logprobs for line in lines]), ends, score.seconds)
