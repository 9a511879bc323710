"""What is kept of the tokens read so far, so that a row can be continued without reading it again.

``Transformer.extend`` fills it; the engine's step mode, with it the codec, and plans that read on are the users. The
buffers have their full length from the start, so two processes that make the same calls run the same kernels on the
same shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from evaladapt.model.config import ModelConfig
from evaladapt.model.embedding import Previous
from evaladapt.model.rope import RotaryTable, rotate


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

    def forget(self, columns: int, sinks: int, back: RotaryTable) -> None:
        """Let go of ``columns`` columns after the first ``sinks``; ``back`` turns the keys that move up."""
        first, stop = sinks + columns, self.length
        self.length = stop - columns
        self.keys[:, :, sinks : self.length] = rotate(self.keys[:, :, first:stop], back)
        self.values[:, :, sinks : self.length] = self.values[:, :, first:stop].clone()


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
        """Columns that are held: the tokens read so far, without those that were let go of."""
        return self.places[0].length

    def forget(self, columns: int, sinks: int, angles: RotaryTable) -> None:
        """Let go of ``columns`` columns after the first ``sinks``, and move what follows up.

        ``angles`` holds the one position ``columns``: rotary keys depend on it as on a clock's hand, so turning them
        back by as much puts them where they would be, had the row begun so much later.
        """
        back = RotaryTable(angles.cos, -angles.sin)
        for place in self.places:
            place.forget(columns, sinks, back)


def empty_cache(config: ModelConfig, rows: int, width: int, like: Tensor) -> Cache:
    """Room for ``rows`` rows of ``width`` tokens, on the device of ``like`` and in its number type."""
    shape = (rows, config.kv_heads, width, config.head_width)
    places = (LayerCache(like.new_zeros(shape), like.new_zeros(shape)) for _ in config.layer_order)
    return Cache(tuple(places), width)
