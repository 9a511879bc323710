"""PERM: a row's distributions do not depend on its batch: its size, the row's place in it, or the other rows.

Holds for compositions whose state belongs to a row (scope ``window``): they are run again with one row a batch and with
another batch size. Where state is shared by rows it changes between batches only, so the score may depend on the batch
size, which is why the size is part of the run's identity.

Cannot see: what two batch sizes do alike. The number of processes is not varied here: that it does not move the ledger
is held by the engine's own tests (``tests/engine/test_processes.py``), with real processes.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.probes.step import LEAST_PROBABILITY, TOLERANCE
from evaladapt.audit.subject import capture, difference
from evaladapt.contract.capabilities import Stage


def perm(bench: Bench) -> list[Finding]:
    """Compare with other batch sizes."""
    shared = [
        one.alias
        for one in bench.subject.composition.members
        if one.capabilities.stage != Stage.PLAN and one.capabilities.scope != "window"
    ]
    if shared:
        why = f"state of {', '.join(shared)} is shared by rows, so the batch size is part of what is scored"
        return [bench.not_covered("C1", "PERM", why)]
    own = bench.subject.settings.batch
    until = min(bench.subject.stream.targets, bench.effort.step_targets)
    for batch in (1, own + 1 if own > 1 else 2):
        found = capture(bench.subject, batch=batch, until=until)
        moved = difference(bench.plain.logprobs[:until], found.logprobs, TOLERANCE, LEAST_PROBABILITY)
        if moved:
            evidence = f"a row is predicted in another way in batches of {batch} than of {own}"
            changed = f"the batch size, from {own} to {batch}"
            return [
                bench.finding("C1", "PERM", evidence, changed=changed, difference=str(moved), positions=moved.targets)
            ]
    return [
        bench.finding(
            "C1", "PERM", f"{until} targets predicted alike in batches of 1, {own} and {batch} rows", targets=until
        )
    ]


PROBE = Probe("PERM", ("C1",), "rows do not depend on their batch", perm)
