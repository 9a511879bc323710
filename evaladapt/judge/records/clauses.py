"""What a run can say about every clause of the contract, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaladapt.errors import ContractViolation
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.record import CAUSAL, CLAUSES, NONCAUSAL, UNCHECKED, Checked, Clause


def verdict_of(peeking: bool, checked: Checked) -> str:
    """The verdict on a run that came to its end."""
    if peeking:
        return NONCAUSAL
    return CAUSAL if checked.unchecked_because is None else UNCHECKED


def clauses_of(ready: Mapping[str, Any], outcome: Outcome, checked: Checked, mode: str) -> list[Clause]:
    """What a finished run can say about every clause."""
    peeking, broken = ", ".join(ready["peeking"]), list(ready["breaks"])
    after = "targets were told after they were charged, by a process that alone held the text"
    return [
        _causality("C1", peeking, broken, _blindness(checked, mode), checked),
        Clause("C2", "pass", f"every distribution was finite and whole; worst |ln sum| {outcome.worst_sum:.1e} nats"),
        _causality("C3", peeking, broken, after, checked),
        Clause("C4", "pass", f"{outcome.targets} targets charged once each, in order"),
        Clause("D", "not covered", "one run; a second one must give the same ledger hash"),
        Clause("W", "pass", f"the player says that weights at the end are those loaded, sha256"
               f" {outcome.closing.weights_digest[:16]}"),
    ]  # fmt: skip


def clauses_of_broken(violation: ContractViolation) -> list[Clause]:
    """What a run can say that was ended: which clause was broken, and nothing about the others."""
    ended = "the run ended before this could be said"
    return [
        Clause(name, "fail", str(violation)) if name == violation.clause else Clause(name, "not covered", ended)
        for name in CLAUSES
    ]


def _blindness(checked: Checked, mode: str) -> str:
    if mode == "step":
        return "step mode: the player was never told a token that was not scored"
    asked = len(checked.looks)
    bound = (
        f"less than {checked.targets_bound:.1%} of targets" if checked.targets_bound is not None else "nothing follows"
    )
    gain = f" and {checked.gain_bound:.1%} of the gain" if checked.gain_bound is not None else ""
    return (
        f"{asked} targets asked of copies that were told the prefix only, none differed (largest difference"
        f" {checked.worst_nats:.1e} nats): {bound}{gain}, 95 %"
    )


def _causality(clause: str, peeking: str, broken: list[str], evidence: str, checked: Checked) -> Clause:
    if peeking and (not broken or clause in broken):
        return Clause(clause, "fail", f"{peeking} is shown targets before they are scored")
    if peeking:
        return Clause(clause, "not covered", f"{peeking} peeks")
    if checked.unchecked_because is not None:
        return Clause(clause, "not covered", f"unchecked: {checked.unchecked_because}")
    return Clause(clause, "pass", evidence)
