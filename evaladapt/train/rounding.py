"""Late quantisation-aware training: the loss is taken at the weights that ``pack`` would store.

Every weight that the plan gives integer bits, embeddings included, is replaced by its rounded value while a step's loss
and gradient are computed, and is itself again when the optimiser moves it (straight-through: Bengio et al. 2013). The
trainer switches it on for the last part of the budget. Where codes may lie is asked of the artifact's own quantiser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evaladapt.artifact.plan import FLOAT_BITS, QuantisationPlan
from evaladapt.artifact.quantize import largest_code

REFRESH_STEPS = 10
"""Steps between two questions to the quantiser, which searches long; rounding itself happens at every step."""


@dataclass(frozen=True)
class Steps:
    """A weight's values lie at whole multiples, from ``-largest`` to ``largest``, of ``size [R, 1]`` or ``[1, 1]``."""

    size: Tensor
    largest: int

    def round(self, weight: Tensor) -> Tensor:
        """The nearest value that can be stored of every number, as the reader would give it back."""
        matrix = weight.reshape(len(weight), -1)
        codes = torch.round(matrix / self.size).clamp_(-self.largest, self.largest)
        return (codes * self.size).reshape(weight.shape)


def steps_of(name: str, weight: Tensor, plan: QuantisationPlan) -> Steps:
    """What ``pack`` would choose for a weight of two axes or more."""
    matrix = weight.detach().cpu().float().reshape(len(weight), -1).contiguous().numpy()
    grid = plan.grid_for(name, tuple(weight.shape), matrix)
    return Steps(torch.from_numpy(grid.steps).to(weight.device), grid.largest)


class Rounding:
    """Rounds the weights of a model for a while."""

    def __init__(self, model: nn.Module, plan: QuantisationPlan) -> None:
        weights = {name: weight for name, weight in model.named_parameters()}
        self._plan = plan
        self._bits = {name: plan.bits_for(name, tuple(weight.shape)) for name, weight in weights.items()}
        self._weights = {name: weight for name, weight in weights.items() if self._bits[name] != FLOAT_BITS}
        self._steps: dict[str, Steps] = {}

    @property
    def names(self) -> list[str]:
        """Weights that are rounded."""
        return list(self._weights)

    @contextmanager
    def applied(self, step: int) -> Iterator[None]:
        """Inside, the model carries the rounded weights; afterwards its own again, bit for bit."""
        if not self._steps or step % REFRESH_STEPS == 0:
            self._steps = {name: steps_of(name, weight, self._plan) for name, weight in self._weights.items()}
        kept = {name: weight.data for name, weight in self._weights.items()}
        try:
            for name, weight in self._weights.items():
                weight.data = self._steps[name].round(kept[name])
            yield
        finally:
            for name, weight in self._weights.items():
                weight.data = kept[name]

    def state_tensors(self) -> dict[str, Tensor]:
        """Sizes of steps by weight; nothing before the first use."""
        return {name: steps.size for name, steps in self._steps.items()}

    def load_state_tensors(self, sizes: Mapping[str, Tensor]) -> None:
        """Continue from :meth:`state_tensors`."""
        self._steps = {
            name: Steps(size.to(self._weights[name].device), largest_code(self._bits[name]))
            for name, size in sizes.items()
        }
