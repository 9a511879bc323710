"""Looking up what targets cost under distributions that are fixed."""

from __future__ import annotations

import torch
from torch import Tensor


def charge(logprobs: Tensor, valid: Tensor, targets: Tensor) -> Tensor:
    """Log-probabilities [n] (float64) of ``targets`` [n] under distributions [B,S,V] whose valid rows are in order."""
    placed = torch.zeros_like(valid, dtype=torch.int64)
    placed[valid] = targets
    return logprobs.gather(-1, placed.unsqueeze(-1)).squeeze(-1)[valid].double()


def charge_all(trail: tuple[Tensor, ...], valid: Tensor, targets: Tensor) -> Tensor:
    """The same under every entry of a trail: [K,n]."""
    if not trail:
        return torch.empty(0, len(targets), dtype=torch.float64, device=targets.device)
    return torch.stack([charge(one, valid, targets) for one in trail])
