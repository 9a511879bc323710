"""What an entrant says of its runs: the figures, the table and the logs, all of them worked out from the runs alone.

So whoever has the runs can write them again and hold them against what was sent, letter by letter.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaladapt.errors import UsageError
from evaladapt.judge.records.record import RunRecord
from evaladapt.results.result import LN2, Result

FORMAT = "evaladapt-submission-1"
ENTRANT = {"author": None, "name": None, "blurb": None, "date": None}
"""For the entrant to fill in; nothing is held against them."""
LOG_LINES = 100
ENVIRONMENT = ("command", "evaladapt", "python", "platform", "device", "threads")
COLUMNS = ("seed", "pre-quantised", "quantised", "adapted", "change", "seconds", "bytes", "verdict")


@dataclass(frozen=True)
class Submission:
    """Runs that differ in their seed only.

    Attributes:
        runs: by seed, ascending.
        unquantised: the model before it was made small, under the plan alone, on the same text; None where nobody ran
            it.
    """

    runs: tuple[Result, ...]
    unquantised: Result | None = None

    @property
    def first(self) -> RunRecord:
        """The record that stands for what all have in common."""
        return self.runs[0].record

    def figures(self) -> dict[str, Any]:
        """What ``submission.json`` says, as JSON values.

        Bits per byte are ``…_bpb``, nats a target ``val_loss``, sizes bytes.
        """
        first = self.first
        scores = [_score(one) for one in self.runs]
        return {
            "format": FORMAT,
            "composition": first.adapted.plugins,
            "options": {str(one.get("alias")): one.get("options") for one in first.composition},
            "verdict": self.verdict,
            "val_bpb": statistics.fmean(scores),
            "val_bpb_deviation": statistics.stdev(scores) if len(scores) > 1 else None,
            "pre_quantised_bpb": None if self.unquantised is None else _score(self.unquantised),
            "bytes_total": first.artifact.bytes + first.checked.code_bytes,
            "bytes_model": first.artifact.bytes,
            "bytes_code": first.checked.code_bytes,
            "model_sha256": first.artifact.sha256,
            "text": {
                "name": first.data.name, "sha256": first.data.text_sha256, "targets": first.data.targets,
                "bytes": first.data.bytes, "documents": first.data.documents, "limited": first.data.limited,
            },
            "seeds": {str(one.record.settings.seed): _figures(one) for one in self.runs},
        }  # fmt: skip

    @property
    def verdict(self) -> str:
        """Of all runs, or of each where they differ."""
        return ", ".join(dict.fromkeys(one.verdict for one in self.runs))

    def table(self) -> str:
        """A row a seed, in Markdown, and their mean below where there are several."""
        before = "" if self.unquantised is None else f"{_score(self.unquantised):.5f}"
        rows = [_row(one, before) for one in self.runs]
        if len(rows) > 1:
            mean, deviation = statistics.fmean(map(_score, self.runs)), statistics.stdev(map(_score, self.runs))
            base = [one.base_bpb for one in self.runs if one.base_bpb is not None]
            quantised = f"{statistics.fmean(base):.5f}" if len(base) == len(rows) else ""
            rows.append(["mean", before, quantised, f"{mean:.5f} ± {deviation:.5f}", "", "", "", ""])
        lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def sizes(self) -> str:
        """One line."""
        size, code = self.first.artifact.bytes, self.first.checked.code_bytes
        return f"Model {size:,} bytes, code {code:,} bytes, together {size + code:,} bytes."


def log_of(run: Result) -> str:
    """A run line by line: what ran, the score as it ran along the text, and what was checked."""
    record = run.record
    lines = [
        *(f"{name}: {record.environment.get(name)}" for name in ENVIRONMENT),
        f"seed: {record.settings.seed}",
        f"model: {record.artifact.bytes} bytes, sha256 {record.artifact.sha256}",
        f"code: {record.checked.code_bytes} bytes in {len(record.checked.files)} files",
        f"text: {record.data.name}, {record.data.targets} targets, {record.data.bytes} bytes, sha256"
        f" {record.data.text_sha256}",
        *(f"strategy: {one.get('alias')} {one.get('options')} of {one.get('distribution')} {one.get('version')}"
          for one in record.composition),
        *_running(run),
        f"val_loss: {record.adapted.nats / record.data.targets:.8f} nats a target",
        f"val_bpb: {_score(run):.8f} bits per byte, {record.adapted.boundary_bits} bits of boundaries included",
        f"seconds: {record.adapted.seconds:.1f}",
        f"verdict: {record.verdict}, sealed by {', '.join(record.checked.sealed_by) or 'nothing'}",
        *(f"clause {one.clause}: {one.outcome}; {one.evidence}" for one in record.clauses),
        f"looks: {' '.join(map(str, record.checked.looks)) or 'none'}",
        f"ledger: sha256 {record.adapted.ledger_sha256}",
    ]  # fmt: skip
    return "\n".join(" ".join(line.split()) for line in lines) + "\n"


def _running(run: Result) -> list[str]:
    """The score so far at evenly spaced targets; boundaries are left out."""
    size = np.cumsum(run.text.byte_lengths.astype(np.int64))
    passes = {"adapted": run.adapted} | ({"base": run.base} if run.base else {})
    bits = {name: np.cumsum(one.target_nats.astype(np.float64)) / LN2 for name, one in passes.items()}
    targets = run.text.targets
    places = np.unique(np.linspace(1, targets, min(LOG_LINES, targets), dtype=np.int64))
    return [
        f"target {at}/{targets} bytes {size[at]}"
        + "".join(f" {name}_bpb {found[at] / max(int(size[at]), 1):.6f}" for name, found in bits.items())
        for at in places.tolist()
    ]


def _figures(run: Result) -> dict[str, Any]:
    record = run.record
    return {
        "val_bpb": _score(run),
        "val_loss": record.adapted.nats / record.data.targets,
        "quantised_bpb": run.base_bpb,
        "seconds": record.adapted.seconds,
        "base_seconds": record.base.seconds if record.base else None,
        "verdict": record.verdict,
        "looks": len(record.checked.looks),
        "targets_bound": record.checked.targets_bound,
        "ledger_sha256": record.adapted.ledger_sha256,
    }


def _row(run: Result, before: str) -> list[str]:
    base, change = run.base_bpb, run.difference
    interval = "" if change is None or change.low is None else f" [{change.low:+.5f}, {change.high:+.5f}]"
    size = run.record.artifact.bytes + run.record.checked.code_bytes
    seconds = run.record.adapted.seconds + (run.record.base.seconds if run.record.base else 0.0)
    return [
        str(run.record.settings.seed), before, "" if base is None else f"{base:.5f}", f"{_score(run):.5f}",
        "" if change is None else f"{change.bpb:+.5f}{interval}", f"{seconds:.1f}", f"{size:,}", run.verdict,
    ]  # fmt: skip


def _score(run: Result) -> float:
    if run.bpb is None:
        raise UsageError(f"a run of {run.record.adapted.plugins} is {run.verdict}: its number is a claim, not a score")
    return run.bpb
