"""Muon (Jordan et al. 2024): momentum whose update is replaced by the nearest orthogonal matrix.

Weights of one shape are orthogonalised together in one batched product. Only for matrices; ``groups`` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from evaladapt.toolbox.orthogonal import orthogonalise


class Muon(Optimizer):
    """``w <- (1 - lr wd) w - lr sqrt(max(1, R / C)) orthogonalise(g + m buf)`` with ``buf <- m buf + g``."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every weight that has a gradient; ``closure`` may compute them first and gives what is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(weight.shape, []).append(weight)
            for weights in by_shape.values():
                updates = torch.stack([self._momentum(weight, group["momentum"]) for weight in weights])
                self._apply(weights, orthogonalise(updates), group["lr"], group["weight_decay"])
        return loss

    def _momentum(self, weight: nn.Parameter, momentum: float) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        assert weight.grad is not None
        buffer: Tensor = state["momentum"].mul_(momentum).add_(weight.grad)
        return weight.grad.add(buffer, alpha=momentum)

    @staticmethod
    def _apply(weights: list[nn.Parameter], updates: Tensor, lr: float, weight_decay: float) -> None:
        rows, columns = weights[0].shape
        scale = max(1.0, rows / columns) ** 0.5
        for weight, update in zip(weights, updates, strict=True):
            weight.mul_(1 - lr * weight_decay).add_(update, alpha=-lr * scale)
