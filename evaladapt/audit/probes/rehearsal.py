"""REHEARSAL: FLIP for a single hook call: made on a copy of the strategy while the engine holds another future.

Values for targets up to a position, and what is remembered after ``begin``, ``reset``, ``adapt`` and ``observe``, must
come out as in the real call. It needs no forward pass, so it is the probe that runs inside real runs.

Cannot see: floats that a strategy keeps outside of tensors and of its ``state`` hook, strategies that cannot be copied
(said in the finding), and strategies that notice the rehearsal.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.probes.watching import watched_finding


def rehearsal(bench: Bench) -> list[Finding]:
    """From the watched run."""
    return [watched_finding(bench, "REHEARSAL")]


PROBE = Probe("REHEARSAL", ("C1", "C3"), "hooks rehearsed under another future do the same", rehearsal)
