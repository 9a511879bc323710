"""What computes, as far as it is known without torch: how many threads a process gets, and on which device."""

from __future__ import annotations

import os
from pathlib import Path


def default_threads() -> int:
    """As many threads as the environment says, or as there are cores for this process."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_named(name: str) -> str:
    """``auto`` is CUDA where the system has a driver for it, else the CPU; torch is not asked, a player will be."""
    return ("cuda" if Path("/proc/driver/nvidia").exists() else "cpu") if name == "auto" else name
