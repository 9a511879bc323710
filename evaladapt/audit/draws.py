"""Seeded random numbers of the audit: a generator for every purpose, the same wherever the question is asked."""

from __future__ import annotations

import numpy as np

from evaladapt.system.generators import seed_of


class Draw:
    """Makes generators that depend on a seed and a key only."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, *key: int | str) -> np.random.Generator:
        """The generator for ``key``."""
        return np.random.default_rng(seed_of(self._seed, key))
