"""The run record: one JSON file that says what was run, on what, with what outcome, and what was checked."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import evaladapt
from evaladapt.contract.composition import Composition
from evaladapt.engine.loop import Outcome, Settings
from evaladapt.engine.paired import PairedDifference
from evaladapt.errors import ContractViolation, EvaladaptError

FORMAT = "evaladapt-record-1"
CAUSAL, NONCAUSAL, VIOLATED = "CAUSAL", "NONCAUSAL", "VIOLATED"
CLAUSES = ("C1", "C2", "C3", "C4", "D", "W")


@dataclass(frozen=True)
class Clause:
    """One clause of the contract with what this run can say about it: pass, fail or not covered."""

    clause: str
    outcome: str
    evidence: str


@dataclass(frozen=True)
class Score:
    """Outcome of one pass over the text. ``bits_per_byte`` is a score only under the verdict CAUSAL."""

    plugins: str
    bits_per_byte: float
    nats: float
    bits: float
    ledger_sha256: str
    seconds: float
    phases: dict[str, float]
    strategies: dict[str, dict[str, float]]
    scalars: dict[str, dict[str, float | int | str]]


@dataclass(frozen=True)
class DataUsed:
    """The text that was scored.

    ``limited`` says that it is the beginning of a longer one; ``paths`` are the files as they were named, none for the
    default text; ``text_field`` is the field of their records, where one was named.
    """

    name: str
    targets: int
    bytes: int
    documents: int
    tokens_sha256: str
    text_sha256: str
    limited: bool
    paths: tuple[str, ...] = ()
    text_field: str | None = None


@dataclass(frozen=True)
class ArtifactUsed:
    """The frozen model."""

    path: str
    sha256: str
    bytes: int
    weights_sha256: str


@dataclass(frozen=True)
class Charged:
    """A claim paid for: the same predictions as a code, with the bits of what its decoder would have to be told.

    Attributes:
        charged_bpb: text and side information together.
        text_bpb: the text, predicted from what was told.
        side_bpb: what was told.
        numbers: how many numbers that was.
        step: of the quantiser, chosen from a few; the choice is paid for too.
        windows: in the run.
        break_even_bits: what the numbers of one window may cost before the gain over the base is gone.
    """

    charged_bpb: float
    text_bpb: float
    side_bpb: float
    numbers: int
    step: float
    windows: int
    break_even_bits: float | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was run, on what, and what was checked. Alone it is of a run that the engine ended: it has no score.

    ``findings`` is what the audit of the run found, probe by probe.
    """

    verdict: str
    artifact: ArtifactUsed
    data: DataUsed
    settings: Settings
    composition: list[dict[str, Any]]
    clauses: list[Clause]
    base: Score | None
    environment: dict[str, Any]
    format: str = FORMAT
    findings: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values; null stands for a score that there is not."""
        return dict.fromkeys(OF_THE_SCORE) | dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class RunRecord(Record):
    """A finished run. ``bpb`` exists under the verdict CAUSAL only, ``claimed_bpb`` under NONCAUSAL only."""

    bpb: float | None
    claimed_bpb: float | None
    adapted: Score
    difference: PairedDifference | None
    charged: Charged | None = None


OF_THE_SCORE = ("bpb", "claimed_bpb", "adapted", "difference", "charged")


def score(plugins: str, outcome: Outcome, text_bytes: int) -> Score:
    """The score of an outcome: bpb = Σ −log2 p / bytes."""
    return Score(
        plugins=plugins,
        bits_per_byte=outcome.bits / text_bytes,
        nats=outcome.nats,
        bits=outcome.bits,
        ledger_sha256=outcome.digest,
        seconds=outcome.seconds,
        phases=dict(outcome.clock.phases),
        strategies={alias: dict(hooks) for alias, hooks in outcome.clock.strategies.items()},
        scalars=outcome.scalars,
    )


def clauses_of(composition: Composition, outcome: Outcome) -> list[Clause]:
    """What a finished run can say about every clause from what it saw itself."""
    peeking = ", ".join(member.alias for member in composition.peeking)
    broken = sorted({clause for member in composition.peeking for clause in member.capabilities.breaks})
    causal = "no view held a target at or after the frontier; probes not run"
    return [
        _causality("C1", peeking, broken, causal),
        Clause("C2", "pass", f"every distribution was finite and whole; worst |ln sum| {outcome.worst_sum:.1e} nats"),
        _causality("C3", peeking, broken, "every target was in the ledger before it was observed"),
        Clause("C4", "pass", f"{outcome.targets} targets charged once each, in order"),
        Clause("D", "not covered", "one run; a second one must give the same ledger hash"),
        Clause("W", "pass", f"weights at the end are those loaded, sha256 {outcome.weights_digest[:16]}"),
    ]


def clauses_of_broken(violation: ContractViolation) -> list[Clause]:
    """What a run can say that the engine ended: which clause was broken, and nothing about the others."""
    ended = "the run ended before this could be said"
    return [
        Clause(name, "fail", str(violation)) if name == violation.clause else Clause(name, "not covered", ended)
        for name in CLAUSES
    ]


def describe(composition: Composition) -> list[dict[str, Any]]:
    """Every member with origin, options and declared powers."""
    return [
        {
            "alias": member.alias,
            "distribution": member.type.listing.distribution,
            "version": member.type.listing.version,
            "stage": str(member.capabilities.stage),
            "scope": member.capabilities.scope,
            "peeks": member.capabilities.peeks,
            "options": dataclasses.asdict(member.options),
        }
        for member in composition.members
    ]


def environment(device: str, processes: int = 1) -> dict[str, Any]:
    """Versions and machine, as far as they can change a bit of the result."""
    packages = ("torch", "numpy", "safetensors", "sentencepiece", "pluggy")
    return {
        "evaladapt": evaladapt.__version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "platform": platform.platform(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device,
        "processes": processes,
        "command": " ".join(sys.argv),
    }


def write_record(path: Path, record: Record) -> None:
    """Write the record, whole or not at all.

    Raises:
        EvaladaptError: it cannot be written.
    """
    temporary = path.with_suffix(".partial")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record.to_json(), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise EvaladaptError(f"the run record {path} cannot be written: {error.strerror}") from error


def _causality(clause: str, peeking: str, broken: list[str], evidence: str) -> Clause:
    if not peeking:
        return Clause(clause, "pass", evidence)
    if broken and clause not in broken:
        return Clause(clause, "not covered", f"{peeking} peeks")
    return Clause(clause, "fail", f"{peeking} is shown targets before they are scored")
