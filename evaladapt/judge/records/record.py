"""The run record: one JSON file that says what was run, on what, with what outcome, and what was checked."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import evaladapt
from evaladapt.engine.loop import STATE_BYTES, Closing, Settings
from evaladapt.engine.paired import PairedDifference
from evaladapt.judge.outcome import Outcome, Pass
from evaladapt.system.cores import default_threads
from evaladapt.system.files import write_atomically

FORMAT = "evaladapt-record-3"
CAUSAL, PROVEN, UNCHECKED, NONCAUSAL, VIOLATED = "CAUSAL", "PROVEN", "UNCHECKED", "NONCAUSAL", "VIOLATED"
SCORES = (CAUSAL, PROVEN, UNCHECKED)
"""Verdicts under which a record has a ``bpb``."""
CLAUSES = ("C1", "C2", "C3", "C4", "D", "W")


@dataclass(frozen=True)
class Clause:
    """One clause of the contract with what this run can say about it: pass, fail or not covered."""

    clause: str
    outcome: str
    evidence: str


@dataclass(frozen=True)
class Score:
    """Outcome of one pass over the text; ``boundary_bits`` are part of ``bits``.

    ``phases``, ``strategies`` (seconds) and ``scalars`` are the player's own word. Beside the scalars of the strategies
    stand those called ``state_bytes``: what each kept when the text ended, as its hook ``state`` says, and ``weights``.
    ``taken_from`` is the ledger of another run that scored this pass, and whose times these are.
    """

    plugins: str
    bits_per_byte: float
    nats: float
    bits: float
    boundary_bits: int
    ledger_sha256: str
    seconds: float
    phases: dict[str, float]
    strategies: dict[str, dict[str, float]]
    scalars: dict[str, dict[str, float | int | str]]
    taken_from: str | None = None

    @property
    def state_bytes(self) -> int | None:
        """Bytes that all strategies together kept when the text ended; None where none says."""
        sizes = self.scalars.get(STATE_BYTES)
        return None if sizes is None else sum(int(one) for one in sizes.values() if not isinstance(one, str))


@dataclass(frozen=True)
class DataUsed:
    """The text that was scored.

    ``limited`` says that a limit cut the stream; ``paths`` are the files as they were named, none for the default text,
    and ``text_field`` what was named of their records. ``boundaries`` says how it was paid for where documents start.
    """

    name: str
    targets: int
    bytes: int
    documents: int
    tokens_sha256: str
    text_sha256: str
    limited: bool
    paths: tuple[str, ...]
    text_field: str | None
    boundaries: str


@dataclass(frozen=True)
class ArtifactUsed:
    """The frozen model. The hash of its weights is the player's word, that of the file is not."""

    path: str
    family: str
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
class Checked:
    """What the verdict stands on, as the judge saw it.

    Attributes:
        sealed_by: mechanisms that held the player; none for a run in one process.
        left_open: what this system leaves open.
        unchecked_because: why nothing follows; None where something does.
        looks: targets that twins were asked for, in order.
        failed_looks: of these, how many got no answer.
        worst_nats: largest difference between player and twin that was let pass.
        targets_bound: with 95 % confidence less than this share of targets was predicted with the help of themselves
            or of what follows; None where nothing follows.
        gain_bound: the same as a share of the gain over the base.
        files: every file outside of the interpreter and evaladapt that the player had read: path, bytes, sha256.
        code_bytes: of these, what is not the model's.
        example: the counterexample of a conviction.
    """

    sealed_by: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()
    unchecked_because: str | None = None
    looks: tuple[int, ...] = ()
    failed_looks: int = 0
    worst_nats: float = 0.0
    targets_bound: float | None = None
    gain_bound: float | None = None
    files: tuple[dict[str, Any], ...] = ()
    code_bytes: int = 0
    example: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was run, on what, and what was checked. Alone it is of a run that was ended: it has no score.

    ``findings`` is what an audit found, probe by probe.
    """

    verdict: str
    artifact: ArtifactUsed
    data: DataUsed
    settings: Settings
    composition: list[dict[str, Any]]
    clauses: list[Clause]
    base: Score | None
    checked: Checked
    environment: dict[str, Any]
    format: str = FORMAT
    findings: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values; null stands for a score that there is not."""
        return dict.fromkeys(OF_THE_SCORE) | dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class RunRecord(Record):
    """A finished run. ``bpb`` exists under the verdicts of ``SCORES`` only, ``claimed_bpb`` under NONCAUSAL only."""

    bpb: float | None
    claimed_bpb: float | None
    adapted: Score
    difference: PairedDifference | None
    charged: Charged | None = None


OF_THE_SCORE = ("bpb", "claimed_bpb", "adapted", "difference", "charged")


def score(plugins: str, outcome: Outcome, text_bytes: int) -> Score:
    """The score of an outcome: bpb = bits / bytes."""
    return Score(
        plugins=plugins,
        bits_per_byte=outcome.bits / text_bytes,
        nats=outcome.nats,
        bits=outcome.bits,
        boundary_bits=outcome.boundary_bits,
        ledger_sha256=outcome.digest,
        seconds=outcome.seconds,
        phases=outcome.closing.phases,
        strategies=outcome.closing.strategies,
        scalars=outcome.closing.scalars,
        taken_from=outcome.taken_from,
    )


def outcome_again(score: Score, charged: Pass, weights_digest: str) -> Outcome:
    """The outcome of a score, with what its ledger says of documents and targets; how whole its sums were is lost."""
    return Outcome(
        targets=len(charged.target_nats) - 1,
        nats=score.nats,
        boundary_bits=score.boundary_bits,
        document_nats=charged.document_nats,
        target_nats=charged.target_nats,
        digest=score.ledger_sha256,
        worst_sum=0.0,
        seconds=score.seconds,
        closing=Closing(
            weights_digest=weights_digest,
            scalars=score.scalars,
            phases=score.phases,
            strategies=score.strategies,
        ),
        taken_from=score.taken_from,
    )


def environment(device: str, threads: int | None = None, processes: int = 1) -> dict[str, Any]:
    """Versions and machine, as far as they can change a bit of the result; without ``threads`` this process's own."""
    packages = ("torch", "numpy", "safetensors", "sentencepiece", "pluggy")
    return {
        "evaladapt": evaladapt.__version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "platform": platform.platform(),
        "cpu": platform.machine(),
        "threads": default_threads() if threads is None else threads,
        "device": device,
        "processes": processes,
        "command": " ".join(sys.argv),
    }


def write_record(path: Path, record: Record) -> None:
    """Write the record, whole or not at all.

    Raises:
        EvaladaptError: it cannot be written.
    """
    content = json.dumps(record.to_json(), indent=2, default=_plain, allow_nan=False)
    write_atomically(path, [content.encode(), b"\n"])


def _plain(value: object) -> object:
    if isinstance(value, np.integer | np.floating):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a record")
