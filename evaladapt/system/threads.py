"""The number of threads is part of the arithmetic: some products are cut into sums differently for one and for two.

It has to be *set*, even to what it is: only then does MKL stop choosing fewer threads for products that it finds
small (``torch.set_num_threads`` switches its dynamic threading off). A run that left the number alone and a check that
set the same number would add in different orders.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from evaladapt.errors import UsageError
from evaladapt.system.strict_json import shown

PAUSE_HARD = 2
OPENMP = re.compile(r"lib(gomp|iomp5|omp)[^/]*\.so")
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


class Pool:
    """OpenMP's threads of this process, found while libraries can still be looked for.

    A fork has none of them, and OpenMP would wait for them for ever; so they are given back before a fork, and parent
    and fork make their own when they next compute.
    """

    def __init__(self) -> None:
        self._library = _openmp()

    def give_back(self) -> bool:
        """Whether that was possible; else a fork may compute with one thread only."""
        return self._library is not None and int(self._library.omp_pause_resource_all(PAUSE_HARD)) == 0


def _openmp() -> ctypes.CDLL | None:
    """GNU's or LLVM's, whichever is loaded; ``omp_pause_resource_all`` is in OpenMP 5.0."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None
    paths = {line.split(maxsplit=5)[-1] for line in lines if OPENMP.search(line)}
    libraries = [ctypes.CDLL(path) for path in sorted(paths)]
    found = [one for one in libraries if hasattr(one, "omp_pause_resource_all")]
    return found[0] if len(found) == len(libraries) == 1 else None


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
