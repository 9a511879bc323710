"""RNG: the global random generators of Python, NumPy and PyTorch are neither used nor seeded.

A strategy draws from the ``rng`` it is handed; a global generator would make its numbers depend on who drew before.

Cannot see: generators that a strategy makes itself (REPEAT sees their effect), and those of a GPU.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.probes.watching import watched_finding


def rng(bench: Bench) -> list[Finding]:
    """From the watched run."""
    return [watched_finding(bench, "RNG")]


PROBE = Probe("RNG", ("D",), "global random generators are left alone", rng)
