"""From what a run came to, and how it was doubted, to its record and verdict."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.data.stream import TokenStream
from evaladapt.engine.paired import paired_difference
from evaladapt.errors import ContractViolation
from evaladapt.judge.doubt.conviction import NoncausalError
from evaladapt.judge.doubt.twins import Twins
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.player.performers import Seat
from evaladapt.judge.player.players import refuse_unsealed
from evaladapt.judge.records.clauses import clauses_of, clauses_of_broken, verdict_of
from evaladapt.judge.records.record import (
    NONCAUSAL,
    VIOLATED,
    ArtifactUsed,
    Checked,
    DataUsed,
    Record,
    RunRecord,
    environment,
    score,
)
from evaladapt.judge.request import Request


def finished_record(
    request: Request,
    ready: dict[str, Any],
    stream: TokenStream,
    outcome: Outcome,
    base: Outcome | None,
    checked: Checked,
) -> RunRecord:
    """The record of a run that came to its end; ``ready`` is what the player said of itself."""
    final = score(ready["line"], outcome, stream.text_bytes)
    verdict = verdict_of(bool(ready["peeking"]), checked)
    return RunRecord(
        verdict=verdict,
        clauses=clauses_of(ready, outcome, checked, request.settings.mode),
        bpb=None if verdict == NONCAUSAL else final.bits_per_byte,
        claimed_bpb=final.bits_per_byte if verdict == NONCAUSAL else None,
        adapted=final,
        difference=paired_difference(base.document_nats, outcome.document_nats, document_bytes(stream))
        if base
        else None,
        checked=checked,
        **_what_was_run(request, ready, stream, base),
    )


def broken_record(
    request: Request,
    ready: dict[str, Any],
    stream: TokenStream,
    violation: ContractViolation,
    base: Outcome | None,
    checked: Checked,
) -> Record:
    """The record of a run that was ended because a clause was broken: what was run, and no score."""
    if isinstance(violation, NoncausalError):
        checked = replace(checked, example=asdict(violation.example))
    return Record(
        verdict=VIOLATED,
        clauses=clauses_of_broken(violation),
        checked=checked,
        **_what_was_run(request, ready, stream, base),
    )


def document_bytes(stream: TokenStream) -> NDArray[np.int64]:
    """Bytes of every document of a stream."""
    return np.bincount(stream.documents, weights=stream.byte_lengths).astype(np.int64)


def checked_by(request: Request, seat: Seat, twins: Twins | None) -> Checked:
    """What a verdict on a player's run stands on."""
    files = [one for one in seat.ready["files"] if isinstance(one, dict)]
    models = {str(path) for path in seat.player.recipe.model_files}
    code = sum(int(one["bytes"]) for one in files if not str(one["path"]).startswith(tuple(models or {"\0"})))
    bounds = twins.looks.bounds() if twins else None
    step = request.settings.mode == "step"
    return Checked(
        sealed_by=seat.sealed.mechanisms,
        left_open=seat.sealed.open,
        unchecked_because=_why_unchecked(request, seat, twins),
        looks=tuple(twins.asked) if twins else (),
        failed_looks=twins.failed if twins else 0,
        worst_nats=twins.worst if twins else 0.0,
        targets_bound=0.0 if step else bounds.targets if bounds and bounds.looks else None,
        gain_bound=0.0 if step else bounds.gain if bounds else None,
        files=tuple(files),
        code_bytes=code,
    )


def _why_unchecked(request: Request, seat: Seat, twins: Twins | None) -> str | None:
    unsealed = refuse_unsealed(seat.sealed)
    if unsealed:
        return unsealed
    if request.settings.mode == "step":
        return None
    if request.processes > 1:
        return f"rows were split over {request.processes} players that are connected, so no twin could be asked"
    if request.doubt == "off":
        return "looks were left out (--audit off)"
    if seat.ready["device"] != "cpu":
        return f"a process that has used {seat.ready['device']} cannot be forked, so no twin was asked"
    if twins and twins.shares_memory:
        return twins.shares_memory
    if twins and twins.failed:
        return f"{twins.failed} of {len(twins.asked)} looks got no answer"
    return None if twins and twins.asked else "no target was looked at"


def _what_was_run(request: Request, ready: dict[str, Any], stream: TokenStream, base: Outcome | None) -> dict[str, Any]:
    """The fields that every record has, without verdict and clauses."""
    model = ready["model"]
    return {
        "artifact": ArtifactUsed(
            path=str(model["path"]), family=str(model["family"]), sha256=str(model["sha256"]),
            bytes=int(model["bytes"]), weights_sha256=str(model["weights_sha256"]),
        ),
        "data": DataUsed(
            name=stream.name,
            targets=stream.targets,
            bytes=stream.text_bytes,
            documents=stream.n_documents,
            tokens_sha256=stream.sha256,
            text_sha256=stream.text_sha256,
            limited=stream.limited,
            paths=request.paths,
            text_field=request.text_field,
            boundaries=request.boundaries,
        ),
        "settings": request.settings,
        "composition": list(ready["composition"]),
        "base": score(str(ready["base_line"]), base, stream.text_bytes) if base else None,
        "environment": environment(str(ready["device"]), request.threads, request.processes),
    }  # fmt: skip
