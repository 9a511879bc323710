"""The process's global random generators, and whether somebody used them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

CANARY = 20_260_000


@contextmanager
def kept() -> Iterator[None]:
    """Put the global generators of Python, NumPy and PyTorch back afterwards."""
    python, numpy_state, pytorch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        torch.set_rng_state(pytorch)


class Canaries:
    """States that nobody would choose; whoever draws from a global generator, or seeds it, leaves another one."""

    def __init__(self) -> None:
        with kept():
            random.seed(CANARY)
            np.random.seed(CANARY)
            self._python, self._numpy = random.getstate(), np.random.get_state()
        self._torch = torch.Generator().manual_seed(CANARY).get_state()

    @contextmanager
    def watch(self, used: list[str]) -> Iterator[None]:
        """Add the names of generators that the block uses to ``used``; afterwards they are as they were before."""
        with kept():
            random.setstate(self._python)
            np.random.set_state(self._numpy)
            torch.set_rng_state(self._torch)
            yield
            used += self._changed()

    def _changed(self) -> list[str]:
        now: Any = np.random.get_state()
        before: Any = self._numpy
        same = {
            "random": random.getstate() == self._python,
            "numpy.random": now[2:] == before[2:] and bool((now[1] == before[1]).all()),
            "torch": torch.equal(torch.get_rng_state(), self._torch),
        }
        return [name for name, unchanged in same.items() if not unchanged]
