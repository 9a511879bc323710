"""Skips from the first half of a network to the second, as in a U-Net (Ronneberger et al. 2015; parameter-golf #549).

Counted are places in the order of execution, so a looped layer has several. The first ``n // 2`` places are remembered;
each place after them, until all are used, has the latest unused one added to its input, scaled per channel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evaladapt.model.config import ModelConfig


class UnetSkips(nn.Module):
    """The gains ``[n // 2, D]`` of the skips, in the order of the places that receive them; they start at one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._half = len(config.layer_order) // 2
        self.gain = nn.Parameter(torch.ones(self._half, config.width))

    def before(self, place: int, x: Tensor, kept: list[Tensor]) -> Tensor:
        """The input ``[B, S, D]`` of a place; takes what it adds from ``kept``."""
        return x + self.gain[place - self._half] * kept.pop() if place >= self._half and kept else x

    def after(self, place: int, x: Tensor, kept: list[Tensor]) -> None:
        """Remember the output of a place of the first half."""
        if place < self._half:
            kept.append(x)
