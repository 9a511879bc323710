"""REPEAT: the same run twice, in one process, gives the same ledger bit for bit.

Catches chance, timing, and what is carried from one run to the next through a module, a class or a file.

Cannot see: a leak that is the same every time, and a first run in which everything was already stored elsewhere. It
says nothing about another machine or another number of threads.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import capture, difference


def repeat(bench: Bench) -> Finding:
    """Run again and compare."""
    first, second = bench.plain, capture(bench.subject)
    moved = difference(first.logprobs, second.logprobs)
    return bench.finding(
        "D",
        "REPEAT",
        f"two runs of {len(first.logprobs)} targets with one seed",
        changed="the run was repeated",
        difference=str(moved) if moved else "",
        positions=moved.targets if moved else (),
        targets=len(first.logprobs),
    )


PROBE = Probe("REPEAT", ("D",), "two runs, one ledger", repeat)
