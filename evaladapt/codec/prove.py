"""Proof by decoding: a text is written as a run would charge it, and a fresh sealed player turns the bytes back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evaladapt.codec.decode import decode
from evaladapt.codec.encode import encode
from evaladapt.codec.seats import Coding, seats_for
from evaladapt.codec.text import text_from_stream
from evaladapt.errors import ContractViolation, UsageError
from evaladapt.judge.charging import Progress
from evaladapt.judge.evaluate import open_text, tokenizer_of
from evaladapt.judge.records.clauses import clauses_of_broken
from evaladapt.judge.records.record import CAUSAL, PROVEN, Record, RunRecord
from evaladapt.judge.request import Request

SIZE_TOLERANCE = 0.001
"""By which the coded text may be longer or shorter than what the run charged, block mode against step mode."""
ROUNDING_BYTES = 16


def proven(request: Request, record: Record, progress: Callable[[str], Progress]) -> Record:
    """The record with the verdict PROVEN, if the text of a causal run comes back and takes the bytes it was charged.

    Raises:
        UsageError: a BOS is charged, which a coded text does not hold.
        EvaladaptError: encoding or decoding failed.
    """
    if not isinstance(record, RunRecord) or record.verdict != CAUSAL:
        return record
    if request.boundaries != "paid":
        raise UsageError("--prove writes where documents start into the file; leave out --boundaries charged")
    try:
        evidence = _round_trip(request, record, progress)
    except ContractViolation as violation:
        return Record(
            verdict="VIOLATED", artifact=record.artifact, data=record.data, settings=record.settings,
            composition=record.composition, clauses=clauses_of_broken(violation), base=record.base,
            checked=record.checked, environment=record.environment,
        )  # fmt: skip
    clauses = [replace(one, evidence=f"{one.evidence}; {evidence}") if one.clause in ("C1", "C3") else one
               for one in record.clauses]  # fmt: skip
    return replace(record, verdict=PROVEN, clauses=clauses)


def _round_trip(request: Request, record: RunRecord, progress: Callable[[str], Progress]) -> str:
    """Encode and decode; what is to be said of it.

    Raises:
        ContractViolation: the text does not come back, or takes more bytes than were charged.
    """
    composed, settings = request.composed, request.settings
    coding = Coding(
        model=request.model, names=composed.names, options=composed.options, batch=settings.batch, seed=settings.seed,
        threads=request.threads, device=request.device, patience=request.patience, allow_read=request.allow_read,
    )  # fmt: skip
    tokenizer = tokenizer_of(request.model)
    with tempfile.TemporaryDirectory(prefix="evaladapt-proof-") as folder:
        path, out = Path(folder) / "text.evz", Path(folder) / "text"
        with coding.seated() as seat:
            text = text_from_stream(open_text(request), tokenizer)
            encoded = encode(seat, text, path, batch=settings.batch, seed=settings.seed, threads=request.threads,
                             progress=progress("encode"))  # fmt: skip
        decode(seats_for(request.model, request.device, request.patience), tokenizer, path, out,
               progress=progress("decode"))  # fmt: skip
        if out.read_bytes() != text.content:
            raise ContractViolation("the decoded text is another (clause C1)", clause="C1")
    charged, written = record.adapted.bits / 8, encoded.payload_bytes + encoded.document_bytes
    if abs(written - charged) > SIZE_TOLERANCE * charged + ROUNDING_BYTES:
        raise ContractViolation(
            f"the text takes {written:,} bytes where {charged:,.1f} were charged: one by one, where no later token is"
            " at hand, its targets cost something else (clause C1)",
            clause="C1",
        )
    return f"{written:,} coded bytes for {charged:,.1f} charged, decoded by a fresh sealed player byte for byte"
