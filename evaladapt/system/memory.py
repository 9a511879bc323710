"""Memory that was freed, given back to the system before a fork.

The C library keeps what is freed. After a fork every page of it that is written to again would be copied first, and a
forward pass writes to hundreds of megabytes: 0.1 seconds a fork. Pages that are given back come back as new ones.
"""

from __future__ import annotations

import ctypes


class FreedMemory:
    """What the C library holds back, found while libraries can still be looked for."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def give_back(self) -> None:
        """Where it is GNU's library; another one keeps it."""
        if self._trim is not None:
            self._trim(0)
