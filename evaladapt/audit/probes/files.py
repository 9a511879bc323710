"""FILES: no hook reads a file, or opens a socket or a process, by the interpreter's audit events.

What a strategy knows beyond the prefix comes from the artifact or from its options; a file is neither.

Cannot see: what was read while the strategy's module was imported, data written into program code, and reading that
happens below Python (a C library that opens files by itself).
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.probes.watching import watched_finding


def files(bench: Bench) -> list[Finding]:
    """From the watched run."""
    return [watched_finding(bench, "FILES")]


PROBE = Probe("FILES", ("C1",), "no file, socket or process is opened", files)
