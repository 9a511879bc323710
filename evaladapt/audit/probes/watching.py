"""What the probes that look at single hook calls share: the watched run of the bench."""

from __future__ import annotations

from evaladapt.audit.bench import Bench
from evaladapt.audit.finding import Finding
from evaladapt.audit.sightings import finding_from


def watched_finding(bench: Bench, probe: str) -> Finding:
    """The finding of ``probe`` from the watched run."""
    return finding_from(
        bench.sightings, probe, bench.subject.backend, lambda name: bench.subject.reproduce(name, bench.seed)
    )
