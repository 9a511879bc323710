"""FREEZE: transforms change nothing: called twice they return the same, and declared state and weights stay.

Cannot see: state that neither the ``state`` hook names nor a second call feels, such as a counter that matters later.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.probes.watching import watched_finding


def freeze(bench: Bench) -> list[Finding]:
    """From the watched run."""
    return [watched_finding(bench, "FREEZE")]


PROBE = Probe("FREEZE", ("C3",), "transforms change neither state nor weights", freeze)
