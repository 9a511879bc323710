"""One evaluation: the plan alone, then the composition, on the same text; out comes the run record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.artifact import Artifact
from evaladapt.contract.composition import Composition
from evaladapt.data.stream import TokenStream
from evaladapt.engine.loop import Engine, Journal, Outcome, Progress, Settings
from evaladapt.engine.paired import paired_difference
from evaladapt.engine.record import (
    CAUSAL,
    NONCAUSAL,
    VIOLATED,
    ArtifactUsed,
    DataUsed,
    Record,
    RunRecord,
    clauses_of,
    clauses_of_broken,
    describe,
    environment,
    score,
)
from evaladapt.engine.weights import digest
from evaladapt.errors import ContractViolation
from evaladapt.model.backend import Backend
from evaladapt.system.processes import ALONE, Processes

BASE, ADAPTED = "base", "adapted"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to evaluate.

    Attributes:
        paths: files of the text, as they were named; none for the default text.
        text_field: the field of their records that holds the text, where one was named.
        with_base: also score the plan alone, to compare with.
        folder: where ledgers and snapshots go; without it nothing is written and nothing can be resumed.
        resume: continue what an interrupted run of the same request left in ``folder``.
        processes: among which the rows of every batch are split; the first of them writes to ``folder``.
    """

    artifact: Artifact
    model: Backend
    stream: TokenStream
    composition: Composition
    settings: Settings
    paths: tuple[str, ...] = ()
    text_field: str | None = None
    with_base: bool = True
    folder: Path | None = None
    resume: bool = False
    processes: Processes = ALONE


def evaluate(
    request: Request, progress: Callable[[str], Progress] | None = None, base: Outcome | None = None
) -> RunRecord:
    """Carry out the request.

    Args:
        request: what to run.
        progress: called with the name of every pass; returns the callback for it.
        base: outcome of the plan alone on the same text, where it is known already.

    Raises:
        ContractViolation: a clause was broken and the run ended; :func:`broken_record` makes its record.
    """
    base = base or wanted_base(request, progress)
    adapted = _pass(ADAPTED, request, request.composition, progress)
    text_bytes, noncausal = request.stream.text_bytes, bool(request.composition.peeking)
    final = score(request.composition.line, adapted, text_bytes)
    return RunRecord(
        verdict=NONCAUSAL if noncausal else CAUSAL,
        clauses=clauses_of(request.composition, adapted),
        bpb=None if noncausal else final.bits_per_byte,
        claimed_bpb=final.bits_per_byte if noncausal else None,
        adapted=final,
        difference=paired_difference(base.document_nats, adapted.document_nats, document_bytes(request.stream))
        if base
        else None,
        **_what_was_run(request, base, adapted.weights_digest),
    )


def broken_record(request: Request, violation: ContractViolation, base: Outcome | None = None) -> Record:
    """The record of a run that the engine ended because a clause was broken: what was run, and no score.

    Args:
        request: what was run.
        violation: what ended it.
        base: outcome of the plan alone, where it was known before.
    """
    weights = digest(dict(request.model.named_parameters()))
    return Record(verdict=VIOLATED, clauses=clauses_of_broken(violation), **_what_was_run(request, base, weights))


def wanted_base(request: Request, progress: Callable[[str], Progress] | None = None) -> Outcome | None:
    """Score the plan of the request alone, if that was asked for and is not the request itself."""
    return score_base(request, progress) if request.with_base and request.composition.adaptive else None


def score_base(request: Request, progress: Callable[[str], Progress] | None = None) -> Outcome:
    """Score the plan of the request alone."""
    return _pass(BASE, request, request.composition.base(), progress)


def document_bytes(stream: TokenStream) -> NDArray[np.int64]:
    """Bytes of every document of a stream."""
    return np.bincount(stream.documents, weights=stream.byte_lengths).astype(np.int64)


def identity(request: Request, composition: Composition) -> str:
    """Hash of everything that the ledger of a pass depends on; runs of one identity may continue each other."""
    content = {
        "artifact": request.artifact.sha256,
        "stream": request.stream.sha256,
        "composition": describe(composition),
        "settings": asdict(request.settings),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _pass(name: str, request: Request, composition: Composition, progress: Callable[[str], Progress] | None) -> Outcome:
    journal = None
    if request.folder is not None:
        journal = Journal(request.folder, name, identity(request, composition), request.resume)
    engine = Engine(
        request.model,
        request.stream,
        composition,
        request.settings,
        journal=journal,
        progress=progress(name) if progress else None,
        processes=request.processes,
    )
    return engine.run()


def _what_was_run(request: Request, base: Outcome | None, weights_sha256: str) -> dict[str, Any]:
    """The fields that every record has, without verdict and clauses."""
    artifact, device = request.artifact, next(iter(dict(request.model.named_parameters()).values())).device
    return {
        "artifact": ArtifactUsed(str(artifact.path), artifact.sha256, artifact.bytes, weights_sha256),
        "data": _data_used(request),
        "settings": request.settings,
        "composition": describe(request.composition),
        "base": score(request.composition.base().line, base, request.stream.text_bytes) if base else None,
        "environment": environment(str(device), request.processes.count),
    }


def _data_used(request: Request) -> DataUsed:
    stream = request.stream
    return DataUsed(
        name=stream.name,
        targets=stream.targets,
        bytes=stream.text_bytes,
        documents=stream.n_documents,
        tokens_sha256=stream.sha256,
        text_sha256=stream.text_sha256,
        limited=stream.limited,
        paths=request.paths,
        text_field=request.text_field,
    )
