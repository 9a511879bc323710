"""Rotary position embedding (Su et al. 2021, RoFormer), half-split form.

The angles depend on the position and on a base that never changes with the window's length: a token at position 7 is
rotated the same in a window of 8 and in one of 2048. Used by ``transformer``; takes and returns per-head vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RotaryTable:
    """Cosines and sines, each ``[S, head_width / 2]`` float32."""

    cos: Tensor
    sin: Tensor


def rotary_table(length: int, head_width: int, base: float, device: torch.device) -> RotaryTable:
    """Angles ``position * base ** (-2 i / head_width)`` for positions ``0 .. length-1``."""
    frequencies = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
    return RotaryTable(angles.cos().float().to(device), angles.sin().float().to(device))


def rotate(x: Tensor, table: RotaryTable) -> Tensor:
    """Rotate each pair ``(x_i, x_{i + head_width/2})`` of ``x [B, H, S, head_width]`` by its position's angle."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = table.cos.to(x.dtype), table.sin.to(x.dtype)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)
