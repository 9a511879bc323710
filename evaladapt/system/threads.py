"""The number of threads is part of the arithmetic: some products are cut into sums differently for one and for two.

It has to be *set*, even to what it is: only then does MKL stop choosing fewer threads for products that it finds
small (``torch.set_num_threads`` switches its dynamic threading off). A run that left the number alone and a check that
set the same number would add in different orders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from evaladapt.errors import UsageError
from evaladapt.system.strict_json import shown

MOST_THREADS = 1024
"""What a record or a coded file may ask for; a million would take the machine's process numbers."""


def use_threads(count: int | None = None) -> int:
    """Compute with ``count`` threads from now on, or with as many as torch finds right; every command calls it first.

    torch finds right what ``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS`` say, or the number of cores. The number that is
    returned, and not the environment, is what a run's identity needs: set again, anywhere, it gives the same sums.

    Raises:
        UsageError: no such number can be had, or the environment lets OpenMP take fewer threads than it is told.
    """
    chosen = torch.get_num_threads() if count is None else count
    if type(chosen) is not int or not 1 <= chosen <= MOST_THREADS:
        raise UsageError(f"{shown(chosen)} threads cannot be had; it is a whole number from 1 to {MOST_THREADS}")
    _refuse_fewer(chosen)
    torch.set_num_threads(chosen)
    return chosen


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside the block torch computes with ``count`` threads. Raises as :func:`use_threads`."""
    before = torch.get_num_threads()
    use_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _refuse_fewer(count: int) -> None:
    """OpenMP obeys these two silently: torch would say ``count`` and compute with fewer."""
    limit = os.environ.get("OMP_THREAD_LIMIT", "")
    if limit.isdecimal() and int(limit) < count:
        raise UsageError(
            f"OMP_THREAD_LIMIT is {limit}, so {count} threads would be fewer and the score another; unset it, or set"
            f" OMP_NUM_THREADS={limit}"
        )
    if count > 1 and os.environ.get("OMP_DYNAMIC", "").strip().lower() == "true":
        raise UsageError("OMP_DYNAMIC lets the number of threads change while a score is computed; unset it")
