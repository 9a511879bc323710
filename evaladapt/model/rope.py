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
    """Cosines and sines, each ``[S, width / 2]`` float32, for the first ``width`` numbers of a head."""

    cos: Tensor
    sin: Tensor


def rotary_table(length: int, width: int, base: float, device: torch.device) -> RotaryTable:
    """Angles ``position * base ** (-2 i / width)`` for positions ``0 .. length-1``.

    Models keep the table. Made in the inference mode of whoever asks first, it could not take part in training later.
    """
    with torch.inference_mode(False):
        frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
        return RotaryTable(angles.cos().float().to(device), angles.sin().float().to(device))


def rotate(x: Tensor, table: RotaryTable) -> Tensor:
    """Rotate each pair ``(x_i, x_{i + width/2})`` of ``x [B, H, S, head_width]`` by its position's angle.

    ``width`` is the table's. Numbers of a head beyond it carry no position (partial rotary positions, GPT-NeoX).
    """
    width = 2 * table.cos.shape[-1]
    first, second = x[..., :width].chunk(2, dim=-1)
    cos, sin = table.cos.to(x.dtype), table.sin.to(x.dtype)
    turned = (torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(first * sin, second, cos))
    return torch.cat(turned if width == x.shape[-1] else (*turned, x[..., width:]), dim=-1)
