"""The compliance report: what run records and findings say about the contract, clause by clause, in words and figures.

Everything in it is copied or computed from records that runs wrote; nobody fills it in.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaladapt.audit.finding import FAIL, NOT_COVERED, PASS
from evaladapt.errors import UsageError
from evaladapt.judge.records.record import CAUSAL, NONCAUSAL, PROVEN, UNCHECKED, VIOLATED
from evaladapt.judge.records.record_file import read_record
from evaladapt.system.strict_json import Fields, read_json

CLAUSES = {
    "C1": "causality: the distribution of a target is a function of the artifact, the options and the prefix",
    "C2": "distribution: it is whole, sums to one, and was fixed before the target was looked at",
    "C3": "score before update: no state sees a target before its score is in the ledger",
    "C4": "single pass: left to right, every target scored exactly once",
    "D": "determinism: the same run gives the same ledger, bit for bit",
    "W": "weights: they are what was loaded when the run starts, and again when it ends",
}
FROM_WORST = (VIOLATED, NONCAUSAL, UNCHECKED, CAUSAL, PROVEN)
OUTCOMES = (FAIL, PASS, NOT_COVERED)
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over ``count`` records; the deviation of one record is unknown."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True)
class Report:
    """A report on records of one composition, artifact and text."""

    records: tuple[Json, ...]
    findings: tuple[Json, ...]

    @property
    def first(self) -> Json:
        """The record that stands for what all have in common."""
        return self.records[0]

    @property
    def finished(self) -> tuple[Json, ...]:
        """Those whose run came to its end; the judge ends one when a clause is broken."""
        return tuple(record for record in self.records if record["adapted"])

    @property
    def verdict(self) -> str:
        """The worst of all verdicts, a failed finding included."""
        if any(one["outcome"] == FAIL for one in self.findings):
            return VIOLATED
        verdicts = [record["verdict"] for record in self.records]
        return next(one for one in FROM_WORST if one in verdicts)

    def spread(self, name: str) -> Spread | None:
        """Of ``bpb``, ``claimed_bpb``, ``charged_bpb`` or ``base``; None where no record has it.

        What a clause was broken for is a claim, whatever the record called it.
        """
        held = (_figure(record, name, self.verdict) for record in self.records)
        values = [value for value in held if value is not None]
        if not values:
            return None
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return Spread(statistics.fmean(values), deviation, len(values))

    def clause(self, name: str) -> dict[str, Any]:
        """Outcome and evidence of a clause over records and findings."""
        said = [one for record in self.records for one in record["clauses"] if one["clause"] == name]
        found = [one for one in self.findings if one["clause"] == name]
        outcomes = [one["outcome"] for one in (*said, *found)]
        return {
            "clause": name,
            "statement": CLAUSES[name],
            "outcome": next((one for one in OUTCOMES if one in outcomes), NOT_COVERED),
            "evidence": [f"run: {text}" for text in dict.fromkeys(one["evidence"] for one in said)]
            + [_finding_line(one) for one in found],
            "not_covered": [_finding_line(one) for one in found if one["outcome"] == NOT_COVERED],
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON-ready values."""
        names = ("bpb", "claimed_bpb", "charged_bpb", "base")
        scores = {name: self.spread(name) for name in names}
        return {
            "format": "evaladapt-report-2",
            "verdict": self.verdict,
            "scores_bits_per_byte": {name: vars(one) for name, one in scores.items() if one},
            "nats": [nats(record) for record in self.finished],
            "seeds": [record["settings"]["seed"] for record in self.records],
            "clauses": [self.clause(name) for name in CLAUSES],
            "checked": [record["checked"] for record in self.records],
            "artifact": self.first["artifact"],
            "data": self.first["data"],
            "composition": self.first["composition"],
            "settings": self.first["settings"],
            "ledgers_sha256": [record["adapted"]["ledger_sha256"] for record in self.finished],
            "environment": self.first["environment"],
            "not_covered": not_covered(self),
        }


def read_records(paths: Sequence[Path]) -> tuple[Json, ...]:
    """Run records, checked to be of one composition, artifact and text.

    Raises:
        DataError: a file cannot be read or is no run record.
        UsageError: they are not of the same run but for the seed.
    """
    records = tuple(_checked(read_record(path), str(path)) for path in paths)
    for path, record in zip(paths[1:], records[1:], strict=True):
        for part, identity in _identity(record).items():
            if identity != _identity(records[0])[part]:
                raise UsageError(f"{path} is of another {part} than {paths[0]}; a report covers seeds of one run")
    return records


def _checked(record: dict[str, Any], what: str) -> Json:
    """A record that has what a report tells.

    Raises:
        Malformed: it has not.
    """
    fields = Fields(record, what)
    fields.text("verdict", FROM_WORST)
    for member in fields.fields_of_each("composition"):
        for name in ("alias", "distribution", "version", "stage", "scope"):
            member.text(name)
        member.fields("options")
    return {**record, "findings": [_finding(one) for one in fields.fields_of_each("findings")]}


def read_findings(path: Path) -> list[Json]:
    """What ``evaladapt audit --out`` wrote.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    members = Fields(read_json(path), f"{path}, which should be findings of evaladapt audit").fields_of_each("findings")
    return [_finding(one) for one in members]


def _finding(one: Fields) -> Json:
    """Those of its fields that a report tells.

    Raises:
        Malformed: one is missing or odd.
    """
    example = None
    if one.value("counterexample") is not None:
        told = one.fields("counterexample")
        example = {name: told.text(name) for name in ("changed", "difference", "command")}
    return {
        "clause": one.text("clause", tuple(CLAUSES)),
        "outcome": one.text("outcome", OUTCOMES),
        "counterexample": example,
        **{name: one.text(name) for name in ("probe", "backend", "evidence")},
    }


def report_on(records: Sequence[Json], findings: Sequence[Json] = ()) -> Report:
    """A report on records, with the findings they hold and those of audits."""
    held = [one for record in records for one in record["findings"]]
    return Report(tuple(records), (*held, *findings))


def nats(record: Json) -> dict[str, float]:
    """The score in nats, with what it is per: people convert both ways."""
    total, data = record["adapted"]["nats"], record["data"]
    return {"total": total, "per_target": total / data["targets"], "per_byte": total / data["bytes"]}


def not_covered(report: Report) -> list[str]:
    """What nobody looked at."""
    gaps = [f"{name}: no evidence" for name in CLAUSES if report.clause(name)["outcome"] == NOT_COVERED]
    gaps += [gap for name in CLAUSES for gap in report.clause(name)["not_covered"]]
    checks = [record["checked"] for record in report.records]
    gaps += [f"unchecked: {one['unchecked_because']}" for one in checks if one["unchecked_because"]]
    gaps += [f"the seal left open: {what}" for one in checks for what in one["left_open"]]
    if not any(one["probe"] == "ECHO" for one in report.findings):
        gaps.append(
            "knowledge of the text that was brought along was not looked for: run --audit full, evaladapt audit"
        )
    data = report.first["data"]
    if data["limited"]:
        gaps.append(f"only the first {data['targets']:,} targets of a longer text were scored")
    gaps.append("whether the artifact was trained on this text, and other machines")
    return list(dict.fromkeys(gaps))


def _figure(record: Json, name: str, verdict: str) -> float | None:
    if name == "base":
        return record["base"]["bits_per_byte"] if record["base"] else None
    if name in ("bpb", "claimed_bpb") and verdict == VIOLATED:
        return record["adapted"]["bits_per_byte"] if record["adapted"] and name == "claimed_bpb" else None
    if name == "charged_bpb":
        return record["charged"]["charged_bpb"] if record["charged"] else None
    value = record[name]
    return float(value) if value is not None and math.isfinite(value) else None


def _identity(record: Json) -> dict[str, Any]:
    return {
        "artifact": record["artifact"]["sha256"],
        "data": (record["data"]["tokens_sha256"], record["data"]["boundaries"]),
        "composition": record["composition"],
    }


def _finding_line(one: Json) -> str:
    line = f"{one['probe']} on the {one['backend']}: {one['outcome']}; {one['evidence']}"
    example = one["counterexample"]
    if not example:
        return line
    return f"{line}. Changed: {example['changed']}; then {example['difference']}. Again: `{example['command']}`"
