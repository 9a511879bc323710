"""What a strategy remembers, as bytes to be compared: what its ``state`` hook names, and what its attributes hold.

Tensors, arrays, whole numbers, text and bytes count; floats outside of tensors do not, because strategies keep times in
them. Bytes are compared as they are, because a copy and a comparison cost a tenth of a hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEPTH = 6
Memory = tuple[bytes, ...]
"""Equal where the same is remembered, bit for bit."""


def declared_state(plugin: Any) -> Memory:
    """What the ``state`` hook returns; empty for a strategy without one."""
    state = getattr(plugin, "state", None)
    return memory_of(state()) if callable(state) else ()


def whole_state(plugin: Any) -> Memory:
    """The declared state, and every tensor, array, whole number, text and bytes among the attributes."""
    return declared_state(plugin) + memory_of(vars(plugin))


def memory_of(values: Mapping[str, Any]) -> Memory:
    """Values by name."""
    return tuple(_pieces(values, set(), DEPTH))


def _pieces(value: Any, seen: set[int], depth: int) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield f"{tuple(value.shape)} {value.dtype}".encode()
        flat = value.detach().cpu().contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy().tobytes() if len(flat) else b""  # an empty tensor has no bytes to view
    elif isinstance(value, np.ndarray):
        yield f"{value.shape} {value.dtype}".encode() + value.tobytes()
    elif isinstance(value, bool | int | str | bytes):
        yield repr(value).encode()
    elif depth and id(value) not in seen:
        seen.add(id(value))
        yield from _members(value, seen, depth - 1)


def _members(value: Any, seen: set[int], depth: int) -> Iterator[bytes]:
    if isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            yield repr(key).encode() if isinstance(key, int | str | bytes | tuple) else b"key"
            yield from _pieces(value[key], seen, depth)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _pieces(one, seen, depth)
    elif isinstance(value, set | frozenset):
        yield repr(sorted(map(repr, value))).encode()
    elif hasattr(value, "__dict__") and not callable(value) and not isinstance(value, torch.nn.Module):
        yield from _pieces(vars(value), seen, depth)
