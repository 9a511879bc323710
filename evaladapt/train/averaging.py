"""The running mean of the weights (Polyak averaging with exponential decay).

Updated by the trainer after every step; validation and the final file see the mean, never the last raw weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """``mean <- d mean + (1 - d) w`` with ``d = min(decay, (1 + n) / (10 + n))`` at update ``n``.

    The smaller decay at the start keeps the random initial weights out of the mean.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._decay = decay
        self.updates = 0
        self.means = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's present weights."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        weights = dict(self._model.named_parameters())
        torch._foreach_lerp_(list(self.means.values()), [weights[name] for name in self.means], 1 - decay)
        self.updates += 1

    def load(self, means: Mapping[str, Tensor], updates: int) -> None:
        """Continue from a checkpoint."""
        for name, mean in self.means.items():
            mean.copy_(means[name])
        self.updates = updates

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model carries the mean; afterwards its own weights again, bit for bit."""
        kept = {name: weight.data for name, weight in self._model.named_parameters()}
        try:
            for name, weight in self._model.named_parameters():
                weight.data = self.means[name]
            yield
        finally:
            for name, weight in self._model.named_parameters():
                weight.data = kept[name]
