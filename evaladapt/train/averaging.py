"""Means of the weights over the course of a training.

Updated by the trainer after every step; validation and the final file see the mean, never the last raw weights. Two
kinds: over all steps with exponential decay (Polyak averaging), or over the last stretch, evenly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from evaladapt.train.settings import TrainSettings

TIGHT_EVERY = 10
"""Steps between the weights that the even mean takes in: neighbours differ too little to be worth the reading."""


class WeightAverage:
    """``mean <- d mean + (1 - d) w`` with ``d = min(decay, (1 + n) / (10 + n))`` at update ``n``.

    The smaller decay at the start keeps the random initial weights out of the mean.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._decay = decay
        self.updates = 0
        self.means = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def update(self, step: int, rate: float) -> None:
        """Take in the model's weights after ``step`` steps, the last one at ``rate`` times the peak rates."""
        self._take_in(1 - min(self._decay, (1 + self.updates) / (10 + self.updates)))
        self.updates += 1

    @torch.no_grad()
    def _take_in(self, share: float) -> None:
        weights = dict(self._model.named_parameters())
        torch._foreach_lerp_(list(self.means.values()), [weights[name] for name in self.means], share)

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


class TightAverage(WeightAverage):
    """The even mean of every tenth step's weights once rates are below ``below``; until then the weights themselves.

    Tight, because the weights of a falling learning rate lie close together (parameter-golf #374).
    """

    def __init__(self, model: nn.Module, below: float) -> None:
        super().__init__(model, decay=0.0)
        self._below = below

    def update(self, step: int, rate: float) -> None:
        """Take in the weights where their turn has come."""
        if rate >= self._below:
            self._take_in(1.0)
        elif step % TIGHT_EVERY == 0 or self.updates == 0:
            self._take_in(1 / (self.updates + 1))
            self.updates += 1


def average_for(model: nn.Module, settings: TrainSettings) -> WeightAverage:
    """The mean that the settings name."""
    if settings.averaging == "tight":
        return TightAverage(model, settings.tight_below)
    return WeightAverage(model, settings.ema_decay)
