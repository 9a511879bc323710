"""Seeded random numbers of the audit: a generator for every purpose, the same wherever the question is asked."""

from __future__ import annotations

import hashlib

import numpy as np


class Draw:
    """Makes generators that depend on a seed and a key only."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, *key: int | str) -> np.random.Generator:
        """The generator for ``key``."""
        digest = hashlib.blake2b(repr((self._seed, key)).encode(), digest_size=8).digest()
        return np.random.default_rng(int.from_bytes(digest, "little"))
