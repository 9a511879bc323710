"""Random numbers for strategies: keyed, never sequential.

A generator that remembers would give other numbers in step mode than in block mode and after a resume. So a strategy
names what a draw is for, usually by stream position, and gets the same numbers wherever the question is asked.
The number 3 is one key, whether it is Python's, numpy's or torch's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from evaladapt.system.generators import Key, seed_of


@dataclass(frozen=True)
class Rng:
    """Source of generators for one strategy of one run."""

    seed: int
    alias: str

    def generator(self, *key: Key) -> torch.Generator:
        """A CPU generator that depends on the run's seed, the strategy's alias and ``key`` only."""
        return torch.Generator().manual_seed(seed_of(self.seed, self.alias, key) % (1 << 63))
