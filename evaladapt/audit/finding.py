"""What a probe found: a clause, an outcome with its evidence, and for a failure the counterexample.

Findings come out of the probes and go into run records, the table of ``evaladapt audit`` and the compliance report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from evaladapt.errors import ContractViolation

Verdict = Literal["pass", "fail", "not covered"]

PASS: Verdict = "pass"
FAIL: Verdict = "fail"
NOT_COVERED: Verdict = "not covered"

ENGINE_PROBE = {"C2": "NORM", "C4": "LEDGER", "W": "WEIGHTS"}


@dataclass(frozen=True, kw_only=True)
class Counterexample:
    """What convicts.

    Attributes:
        positions: stream indices of targets where the contradiction was seen, the first ones.
        changed: what was done to the text or the run.
        difference: what should have stayed as it was, and by how much it moved.
        command: what shows it again.
    """

    positions: tuple[int, ...]
    changed: str
    difference: str
    command: str

    def __str__(self) -> str:
        where = f" at target {', '.join(map(str, self.positions))}" if self.positions else ""
        return f"{self.changed}: {self.difference}{where}. Shown again by: {self.command}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Outcome of one probe for one clause.

    Attributes:
        clause: C1, C2, C3, C4, D or W.
        probe: its name, in capitals.
        outcome: a failure always carries a counterexample; a pattern in somebody's code is never one.
        evidence: one sentence with figures.
        backend: what the strategy ran on: ``artifact``, ``toy`` or ``run``.
        figures: the numbers of the evidence, by name.
    """

    clause: str
    probe: str
    outcome: Verdict
    evidence: str
    counterexample: Counterexample | None = None
    backend: str = "run"
    figures: Mapping[str, float | int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self) | {"figures": dict(self.figures)}

    def __str__(self) -> str:
        example = f" {self.counterexample}" if self.counterexample else ""
        return f"{self.clause} {self.probe} {self.outcome}: {self.evidence}{example}"


def engine_probe(violation: ContractViolation) -> str:
    """The probe that a clause belongs to which the engine itself found broken."""
    return ENGINE_PROBE.get(violation.clause, "NORM")


def found_by_the_engine(
    violation: ContractViolation, probe: str, backend: str, command: str, changed: str = "nothing"
) -> Finding:
    """The finding for a clause that the engine found broken while a run was made for ``probe``."""
    example = Counterexample(positions=violation.positions, changed=changed, difference=str(violation), command=command)
    return Finding(
        clause=violation.clause,
        probe=probe,
        outcome=FAIL,
        evidence=f"the engine ended the run: {violation}",
        counterexample=example,
        backend=backend,
    )


def failures(findings: Sequence[Finding]) -> list[Finding]:
    """Those that convict."""
    return [one for one in findings if one.outcome == FAIL]


def findings_table(findings: Sequence[Finding]) -> str:
    """One line a finding, failures explained below."""
    backends = max((len(one.backend) for one in findings), default=0)
    probes = max((len(one.probe) for one in findings), default=0)
    lines = [
        f"{one.backend:{backends}}  {one.probe:{probes}}  {one.clause:2}  {one.outcome:11}  {one.evidence}"
        for one in findings
    ]
    for one in findings:
        if one.counterexample:
            example = one.counterexample
            where = ", ".join(map(str, example.positions)) or "-"
            lines += [
                "",
                f"{one.clause} is broken, by {one.probe} on the {one.backend}:",
                f"  changed     {example.changed}",
                f"  difference  {example.difference}",
                f"  targets     {where}",
                f"  again       {example.command}",
            ]
    counts = {outcome: sum(one.outcome == outcome for one in findings) for outcome in (PASS, FAIL, NOT_COVERED)}
    lines += ["", f"{counts[PASS]} pass, {counts[FAIL]} fail, {counts[NOT_COVERED]} not covered"]
    return "\n".join(lines)
