"""A digest of what a strategy remembers: what its ``state`` hook names, and the tensors and whole numbers it holds.

Floats outside of tensors do not count: strategies keep times in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEPTH = 6


def declared_state(plugin: Any) -> bytes | None:
    """Digest of what the ``state`` hook returns; None for a strategy without one."""
    state = getattr(plugin, "state", None)
    return _digest(state(), set()) if callable(state) else None


def whole_state(plugin: Any) -> bytes:
    """Digest of the declared state and of every tensor, array, whole number, text and bytes among the attributes."""
    return (declared_state(plugin) or b"") + _digest(vars(plugin), set())


def tensors_digest(tensors: Mapping[str, Tensor]) -> bytes:
    """Digest of tensors by name."""
    return _digest(tensors, set())


def _digest(value: Any, seen: set[int]) -> bytes:
    hasher = hashlib.blake2b(digest_size=16)
    for piece in _pieces(value, seen, DEPTH):
        hasher.update(piece)
    return hasher.digest()


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
