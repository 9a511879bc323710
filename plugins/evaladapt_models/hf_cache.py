"""The cache of a transformers model, with room made beforehand: adding a token then copies none that came before."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values ``[B, H, S, D]`` of a layer that attends to everything before, as views of room for ``width``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make the room, of the shapes that come first."""
        super().lazy_initialization(key_states, value_states)
        self._keys, self._values = self._room(key_states), self._room(value_states)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add ``S`` tokens; returns all that are held."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        stop = start + key_states.shape[-2]
        self._keys[..., start:stop, :] = key_states
        self._values[..., start:stop, :] = value_states
        self.keys, self.values = self._keys[..., :stop, :], self._values[..., :stop, :]
        return self.keys, self.values

    def _room(self, states: Tensor) -> Tensor:
        rows, heads, _, depth = states.shape
        return states.new_empty(rows, heads, self._width, depth)


def roomy_cache(config: Any, width: int) -> DynamicCache:
    """An empty cache for rows of at most ``width`` tokens; layers that forget (sliding, linear) stay transformers'."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer(width) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
