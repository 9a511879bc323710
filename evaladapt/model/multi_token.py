"""Heads that predict tokens beyond the next one, for training alone (Gloeckle et al. 2024, multi-token prediction).

Head ``k`` turns the final state of a token into one that predicts ``k`` tokens beyond the next, through the model's own
output matrix: ``norm(h + W_k h)`` with ``W_k`` zero at first. The gradient therefore reaches the network from the
first step. ``evaladapt.train`` adds their loss and leaves them out of the finished file.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaladapt.model.config import ModelConfig
from evaladapt.model.primitives import norm

PREFIX = "mtp."
"""Of the names of their weights."""


class MultiTokenHead(nn.Module):
    """The states ``[B, S, D]`` with which a token farther ahead is predicted."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.zeros(config.width, config.width))

    def forward(self, hidden: Tensor) -> Tensor:
        """``hidden [B, S, D]`` are the model's final states."""
        return norm(hidden + F.linear(hidden, self.projection))


def for_scoring(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights by name without those of these heads; they fit ``ModelConfig.for_scoring``."""
    return {name: weight for name, weight in weights.items() if not name.startswith(PREFIX)}
