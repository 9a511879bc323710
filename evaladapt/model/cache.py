"""What is kept of the tokens read so far, so that a row can be continued without reading it again.

``Transformer.extend`` fills it, the engine's step mode and with it the codec are the users. The buffers have their full
length from the start, so two processes that make the same calls run the same kernels on the same shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from evaladapt.model.config import ModelConfig
from evaladapt.model.embedding import Previous


@dataclass
class LayerCache:
    """Of one place: rotated keys and values, each ``[B, G, W, Dh]``, of which the first ``length`` are filled."""

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


@dataclass
class Cache:
    """Of all places of the network, for rows of at most ``width`` tokens.

    A layer that runs several times has as many places, since it reads other states each time.
    """

    places: tuple[LayerCache, ...]
    width: int
    previous: Previous | None = None
    """The last token read, for inputs that depend on it; None before the first."""

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.places[0].length


def empty_cache(config: ModelConfig, rows: int, width: int, like: Tensor) -> Cache:
    """Room for ``rows`` rows of ``width`` tokens, on the device of ``like`` and in its number type."""
    shape = (rows, config.kv_heads, width, config.head_width)
    places = (LayerCache(like.new_zeros(shape), like.new_zeros(shape)) for _ in config.layer_order)
    return Cache(tuple(places), width)
