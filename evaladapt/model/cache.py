"""Keys and values of the tokens read so far, so that a row can be continued without reading it again.

``Transformer.extend`` fills it, the engine's step mode and with it the codec are the users. The buffers have their full
length from the start, so two processes that make the same calls run the same kernels on the same shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.model.config import ModelConfig


@dataclass
class LayerCache:
    """Of one layer: rotated keys and values, each ``[B, G, W, Dh]``, of which the first ``length`` are filled."""

    keys: Tensor
    values: Tensor
    length: int = 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append ``[B, G, S, Dh]`` each; returns all keys and values so far."""
        stop = self.length + keys.shape[2]
        self.keys[:, :, self.length : stop] = keys
        self.values[:, :, self.length : stop] = values
        self.length = stop
        return self.keys[:, :, :stop], self.values[:, :, :stop]


@dataclass(frozen=True)
class Cache:
    """Of all layers, for rows of at most ``width`` tokens."""

    layers: tuple[LayerCache, ...]
    width: int

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.layers[0].length


def empty_cache(config: ModelConfig, rows: int, width: int, device: torch.device) -> Cache:
    """Room for ``rows`` rows of ``width`` tokens."""
    shape = (rows, config.kv_heads, width, config.head_width)
    layers = (
        LayerCache(torch.zeros(shape, device=device), torch.zeros(shape, device=device)) for _ in range(config.layers)
    )
    return Cache(tuple(layers), width)
