"""How a gradient becomes an update, for strategies that take optimiser steps while a text is scored.

A rule has no parameters of its own: it is handed one gradient and that tensor's state and returns what the caller
subtracts, times its learning rate. So the caller may update live weights, adapters or one vector per row (all rules but
Muon are element-wise, so rows stay apart), and its snapshot is the state's tensors as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from evaladapt.toolbox.orthogonal import orthogonalise

RuleState = dict[str, Tensor]
"""What a rule remembers about one tensor, by name; changed in place."""


class UpdateRule(Protocol):
    """Turns gradients into updates."""

    def start(self, like: Tensor) -> RuleState:
        """State for a tensor that has taken no step."""
        ...

    def update(self, gradient: Tensor, state: RuleState) -> Tensor:
        """What to subtract per unit of learning rate; of the gradient's shape."""
        ...


@dataclass(frozen=True)
class Sgd:
    """``b <- m b + g``; the update is ``b``."""

    momentum: float = 0.0

    def start(self, like: Tensor) -> RuleState:
        """A zero momentum, or nothing without one."""
        return {"momentum": torch.zeros_like(like)} if self.momentum else {}

    def update(self, gradient: Tensor, state: RuleState) -> Tensor:
        """The momentum after this gradient."""
        if not self.momentum:
            return gradient
        return state["momentum"].mul_(self.momentum).add_(gradient).clone()


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) with bias correction; decoupled decay is the caller's, as in AdamW."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, like: Tensor) -> RuleState:
        """Zero moments and a step count of zero (a tensor with one number)."""
        return {
            "mean": torch.zeros_like(like),
            "square": torch.zeros_like(like),
            "steps": torch.zeros(1, device=like.device),
        }

    def update(self, gradient: Tensor, state: RuleState) -> Tensor:
        """``mean / (sqrt(square) + epsilon)``, both corrected for their start at zero."""
        steps = state["steps"].add_(1)
        mean = state["mean"].lerp_(gradient, 1 - self.beta1)
        square = state["square"].lerp_(gradient.square(), 1 - self.beta2)
        corrected = (square / (1 - torch.pow(self.beta2, steps))).sqrt_().add_(self.epsilon)
        return mean / (1 - torch.pow(self.beta1, steps)) / corrected


@dataclass(frozen=True)
class Muon:
    """Orthogonalised momentum for matrices, plain momentum for the rest (parameter-golf #1176 has it without any).

    ``b <- m b + g``; for a matrix [R, C] the update is ``sqrt(max(1, R / C)) orthogonalise(g + m b)``.
    """

    momentum: float = 0.0

    def start(self, like: Tensor) -> RuleState:
        """A zero momentum, or nothing without one."""
        return Sgd(self.momentum).start(like)

    def update(self, gradient: Tensor, state: RuleState) -> Tensor:
        """An update whose size does not depend on the gradient's."""
        momentum = Sgd(self.momentum).update(gradient, state)
        if gradient.ndim != 2:
            return momentum
        ahead = gradient.add(momentum, alpha=self.momentum) if self.momentum else gradient
        rows, columns = gradient.shape
        return orthogonalise(ahead[None])[0] * math.sqrt(max(1.0, rows / columns))


@dataclass(frozen=True)
class RmsScaled:
    """``g / (sqrt(mean square) + epsilon)``, the rule of dynamic evaluation (Krause et al. 2018, section 4).

    They take the mean square from the training set; a frozen artifact does not carry it, so here it is gathered over
    the text as it goes by, this gradient included, with ``memory`` as the decay.
    """

    memory: float = 0.999
    epsilon: float = 1e-8

    def start(self, like: Tensor) -> RuleState:
        """A zero mean square and a step count of zero (a tensor with one number)."""
        return {"square": torch.zeros_like(like), "steps": torch.zeros(1, device=like.device)}

    def update(self, gradient: Tensor, state: RuleState) -> Tensor:
        """The scaled gradient."""
        state["steps"].add_(1)
        state["square"].lerp_(gradient.square(), 1 - self.memory)
        return gradient / (self._root_mean_square(state) + self.epsilon)

    def relative_decay(self, state: RuleState) -> Tensor:
        """``RMS / mean(RMS)``: where gradients are large, Krause's decay to the original weights is stronger."""
        root = self._root_mean_square(state)
        return root / (root.mean() + self.epsilon)

    def _root_mean_square(self, state: RuleState) -> Tensor:
        mean_square = state["square"] / (1 - torch.pow(self.memory, state["steps"]))
        return mean_square.sqrt()


def clip_together(gradients: list[Tensor], largest: float) -> None:
    """Scale gradients in place so that the norm of all of them together is at most ``largest``."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in gradients]))
    shrink = torch.clamp(largest / (norm + 1e-6), max=1.0)
    for gradient in gradients:
        gradient.mul_(shrink)
