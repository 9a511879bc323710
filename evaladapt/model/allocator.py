"""What glibc does with freed memory on a Linux CPU: keep it where time counts, give it back where memory does.

By default it gives the first large activations back to the kernel and keeps those that come later, up to 32 MB each.
Keeping all of them saves about a fifth of a training step. Keeping some of them leaves holes between what stays: while
the moments of a model of 135 million parameters were collected, 700 MB. Scoring leaves it as it is.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_INT = 2**31 - 1
LARGE = 1 << 18


def keep_freed_memory() -> bool:
    """For a training: nothing goes back to the kernel. ``False`` where the C library has no such call."""
    return _adjust(M_MMAP_THRESHOLD, LARGEST_INT) and _adjust(M_TRIM_THRESHOLD, LARGEST_INT)


def give_back_freed_memory() -> bool:
    """For packing: whatever is large goes back when it is freed. ``False`` where the C library has no such call."""
    return _adjust(M_MMAP_THRESHOLD, LARGE)


def _adjust(parameter: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    return adjust is not None and bool(adjust(parameter, value))
