"""How much working memory a run takes where nobody says: it is part of the arithmetic, as the threads are."""

from __future__ import annotations

import os

MOST = 4_000_000_000
SHARE = 4


def working_memory() -> int:
    """A quarter of the machine's memory, at most 4 GB, in whole hundreds of megabytes."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return MOST
    step = 100_000_000
    return max(step, min(MOST, machine // SHARE) // step * step)
