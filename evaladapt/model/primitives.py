"""What every module of the network shares: its norm, and how matrices start."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def norm(x: Tensor) -> Tensor:
    """RMSNorm without weight over the last axis (Zhang and Sennrich 2019)."""
    return F.rms_norm(x, (x.shape[-1],))


def scaled(fresh: Tensor, factor: Tensor | float) -> Tensor:
    """``fresh * factor`` for a tensor that nobody else holds: in its own memory, where no gradient needs it again."""
    return fresh * factor if torch.is_grad_enabled() else fresh.mul_(factor)


def orthogonal(rows: int, columns: int) -> nn.Parameter:
    """A matrix ``[rows, columns]`` with orthonormal rows or columns."""
    weight = torch.empty(rows, columns)
    # On the meta device (a model to be filled from an artifact) random numbers cost three seconds of imports.
    return nn.Parameter(weight if weight.is_meta else nn.init.orthogonal_(weight))


def gaussian(rows: int, columns: int, std: float) -> nn.Parameter:
    """A table ``[rows, columns]`` of independent normal numbers."""
    weight = torch.empty(rows, columns)
    return nn.Parameter(weight if weight.is_meta else nn.init.normal_(weight, std=std))
