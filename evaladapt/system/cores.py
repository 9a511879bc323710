"""How many threads a process that computes gets: said once, by its environment, before it starts."""

from __future__ import annotations

import os


def default_threads() -> int:
    """As many threads as the environment says, or as there are cores for this process."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
