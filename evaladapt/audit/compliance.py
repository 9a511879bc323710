"""The compliance report: what run records and findings say about the contract, clause by clause, in words and figures.

Everything in it is copied or computed from records that runs wrote; nobody fills it in.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaladapt.errors import DataError, UsageError

RECORD_FORMATS = ("evaladapt-record-1",)
CLAUSES = {
    "C1": "causality: the distribution of a target is a function of the artifact, the options and the prefix",
    "C2": "distribution: it is whole, sums to one, and was fixed before the target was looked at",
    "C3": "score before update: no state sees a target before its score is in the ledger",
    "C4": "single pass: left to right, every target scored exactly once",
    "D": "determinism: the same run gives the same ledger, bit for bit",
    "W": "weights: they are what was loaded when the run starts, and again when it ends",
}
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
        """Those whose run came to its end; the engine ends one when it finds a clause broken."""
        return tuple(record for record in self.records if record["adapted"])

    @property
    def verdict(self) -> str:
        """The worst of all verdicts, a failed finding included."""
        if any(one["outcome"] == "fail" for one in self.findings):
            return "VIOLATED"
        verdicts = [record["verdict"] for record in self.records]
        return next((one for one in ("VIOLATED", "NONCAUSAL") if one in verdicts), "CAUSAL")

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
        outcome = next((one for one in ("fail", "pass") if one in outcomes), "not covered")
        return {
            "clause": name,
            "statement": CLAUSES[name],
            "outcome": outcome,
            "evidence": [f"run: {text}" for text in dict.fromkeys(one["evidence"] for one in said)]
            + [_finding_line(one) for one in found],
            "not_covered": [_finding_line(one) for one in found if one["outcome"] == "not covered"],
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON-ready values."""
        names = ("bpb", "claimed_bpb", "charged_bpb", "base")
        scores = {name: self.spread(name) for name in names}
        return {
            "format": "evaladapt-report-1",
            "verdict": self.verdict,
            "scores_bits_per_byte": {name: vars(one) for name, one in scores.items() if one},
            "nats": [nats(record) for record in self.finished],
            "seeds": [record["settings"]["seed"] for record in self.records],
            "clauses": [self.clause(name) for name in CLAUSES],
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
    records = tuple(read_json(path, "a run record") for path in paths)
    for path, record in zip(paths, records, strict=True):
        if record.get("format") not in RECORD_FORMATS:
            raise DataError(f"{path} is no run record of evaladapt; evaladapt run writes record.json into its folder")
    for path, record in zip(paths[1:], records[1:], strict=True):
        for part in ("artifact", "data", "composition"):
            if _identity(record, part) != _identity(records[0], part):
                raise UsageError(f"{path} is of another {part} than {paths[0]}; a report covers seeds of one run")
    return records


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        DataError: it cannot be read or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not JSON, so it is not {what}: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not {what}")
    return content


def report_on(records: Sequence[Json], findings: Sequence[Json] = ()) -> Report:
    """A report on records, with the findings they hold and those of audits."""
    held = [one for record in records for one in record.get("findings", [])]
    return Report(tuple(records), (*held, *findings))


def nats(record: Json) -> dict[str, float]:
    """The score in nats, with what it is per: people convert both ways."""
    total, data = record["adapted"]["nats"], record["data"]
    return {"total": total, "per_target": total / data["targets"], "per_byte": total / data["bytes"]}


def not_covered(report: Report) -> list[str]:
    """What nobody looked at."""
    gaps = [f"{name}: no evidence" for name in CLAUSES if report.clause(name)["outcome"] == "not covered"]
    gaps += [gap for name in CLAUSES for gap in report.clause(name)["not_covered"]]
    if not report.findings:
        gaps.append("no probe was run; evaladapt audit runs them all")
    data = report.first["data"]
    if data["limited"]:
        gaps.append(f"only the first {data['targets']:,} targets of a longer text were scored")
    gaps.append("whether the artifact was trained on this text, other machines, and strategies that notice an audit;"
                " for the last, evaladapt encode and decode")  # fmt: skip
    return list(dict.fromkeys(gaps))


def _figure(record: Json, name: str, verdict: str) -> float | None:
    if name == "base":
        return record["base"]["bits_per_byte"] if record.get("base") else None
    if name in ("bpb", "claimed_bpb") and verdict == "VIOLATED":
        return record["adapted"]["bits_per_byte"] if record["adapted"] and name == "claimed_bpb" else None
    value = record.get(name)
    if isinstance(value, Mapping):
        value = value.get("charged_bpb")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _identity(record: Json, part: str) -> Any:
    if part == "artifact":
        return record["artifact"]["sha256"]
    if part == "data":
        return record["data"]["tokens_sha256"]
    return record["composition"]


def _finding_line(one: Json) -> str:
    line = f"{one['probe']} on the {one['backend']}: {one['outcome']}; {one['evidence']}"
    example = one.get("counterexample")
    if not example:
        return line
    return f"{line}. Changed: {example['changed']}; then {example['difference']}. Again: `{example['command']}`"
