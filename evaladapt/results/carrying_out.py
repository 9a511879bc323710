"""A request carried out in full: the run, then what was asked for beside it, then what its folder keeps."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace

from evaladapt.audit.echo import echoed
from evaladapt.codec.prove import proven
from evaladapt.errors import ContractViolation
from evaladapt.judge.charging import Progress
from evaladapt.judge.claim import charged_claim
from evaladapt.judge.evaluate import Evaluated, evaluated
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.record import NONCAUSAL, VIOLATED, Record, RunRecord
from evaladapt.judge.request import Request
from evaladapt.results.result import Result
from evaladapt.results.scored_text import ScoredText

ProgressOf = Callable[[str], Progress]


def carry_out(
    request: Request,
    progress: ProgressOf | None = None,
    *,
    prove: bool = False,
    base: Outcome | None = None,
    keep_text: bool = True,
) -> Evaluated:
    """Run it; price a claim, look for echoes under ``doubt="full"``, prove where asked; keep the text beside ledgers.

    Args:
        request: what to run.
        progress: called with the name of every pass; returns the callback for it.
        prove: also encode and decode the text.
        base: the plan alone on the same text, where it is known already.
        keep_text: in the request's folder; else somebody keeps it for several runs.

    Raises:
        EvaladaptError: the request cannot be carried out, or a strategy failed.
    """
    done = evaluated(request, progress, base=base)
    if keep_text and request.folder is not None and request.writes:
        ScoredText.of(done.stream).save(request.folder)
    return replace(done, record=_with_more(request, done.record, progress or _silent, prove))


def result_of(done: Evaluated) -> Result:
    """What a person gets of it.

    Raises:
        ContractViolation: a clause was broken; there is no score.
    """
    if not isinstance(done.record, RunRecord) or done.adapted is None or done.record.verdict == VIOLATED:
        failed = next(one for one in done.record.clauses if one.outcome == "fail")
        raise ContractViolation(failed.evidence, clause=failed.clause)
    return Result(done.record, ScoredText.of(done.stream), done.base, done.adapted)


def _with_more(request: Request, record: Record, progress: ProgressOf, prove: bool) -> Record:
    if isinstance(record, RunRecord) and record.verdict == NONCAUSAL:
        return replace(record, charged=charged_claim(request, record, progress("charged")))
    if request.doubt == "full" and not request.inline and request.processes == 1:
        record = echoed(request, record, again=shlex.join(["evaladapt", *sys.argv[1:]]))
    return proven(request, record, progress) if prove else record


def _silent(name: str) -> Progress:
    return lambda done, total: None
