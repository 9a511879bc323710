"""Random numbers for strategies: keyed, never sequential.

A generator that remembers would give other numbers in step mode than in block mode and after a resume. So a strategy
names what a draw is for, usually by stream position, and gets the same numbers wherever the question is asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Rng:
    """Source of generators for one strategy of one run."""

    seed: int
    alias: str

    def generator(self, *key: int | str) -> torch.Generator:
        """A CPU generator that depends on the run's seed, the strategy's alias and ``key`` only."""
        text = repr((self.seed, self.alias, key)).encode()
        number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
        return torch.Generator().manual_seed(number % (1 << 63))
