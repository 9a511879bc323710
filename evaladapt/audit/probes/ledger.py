"""LEDGER: every target was charged exactly once, in order, and all of them.

The order is taken from the coder's place in the loop, not from the engine's own book.

Cannot see: what a number stands for. A strategy that knew the target is charged in perfect order.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding


def ledger(bench: Bench) -> list[Finding]:
    """Count and order of what was settled."""
    due, wrong = 1, ""
    for call in bench.plain.calls:
        if call.first != due and not wrong:
            wrong = f"target {call.first} was charged when {due} was due"
        due = call.stop
    targets = bench.subject.stream.targets
    if due != targets + 1 and not wrong:
        wrong = f"{due - 1} of {targets} targets were charged"
    return [
        bench.finding(
            "C4",
            "LEDGER",
            f"{targets} targets fixed once each, in order, in {len(bench.plain.calls)} batches",
            changed="nothing",
            difference=wrong,
            targets=targets,
        )
    ]


PROBE = Probe("LEDGER", ("C4",), "every target charged once, in order", ledger)
