"""Muon (Jordan et al. 2024): momentum whose update is replaced by the nearest orthogonal matrix.

Weights of one shape are orthogonalised together in one batched product, and with several processes each takes its
share of them. Only for matrices; ``groups`` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from evaladapt.system.processes import ALONE, Processes, rows_of
from evaladapt.toolbox.orthogonal import orthogonalise


class Muon(Optimizer):
    """``w <- (1 - lr wd) w - lr sqrt(max(1, R / C)) orthogonalise(g + m buf)`` with ``buf <- m buf + g``.

    All processes keep all momenta, so a checkpoint of one is a checkpoint of all; the costly part is what they share.
    ``precision`` is that of the iteration, see :func:`evaladapt.toolbox.orthogonal.orthogonalise`.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float,
        weight_decay: float,
        processes: Processes = ALONE,
        precision: torch.dtype | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._processes, self._precision = processes, precision

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
            stacks = [(weights, self._directions(weights, group["momentum"])) for weights in by_shape.values()]
            for _, directions in stacks:
                self._orthogonalise_share(directions)
            for weights, directions in stacks:
                self._exchange(directions)
                self._apply(weights, directions, group["lr"], group["weight_decay"])
        return loss

    def _directions(self, weights: list[nn.Parameter], momentum: float) -> Tensor:
        """Nesterov's look ahead for weights of one shape: ``g + m buf``, [N,R,C]."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        buffers = [self._buffer(weight) for weight in weights]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, gradients)
        directions = torch.stack(buffers).mul_(momentum)
        torch._foreach_add_(list(directions.unbind()), gradients)
        return directions

    def _buffer(self, weight: nn.Parameter) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum"]
        return buffer

    def _orthogonalise_share(self, directions: Tensor) -> None:
        mine = rows_of(self._processes.rank, self._processes.count, len(directions))
        if mine.own:
            share = slice(mine.first, mine.stop)
            directions[share] = orthogonalise(directions[share], self._precision)

    def _exchange(self, directions: Tensor) -> None:
        for rank in range(self._processes.count):
            theirs = rows_of(rank, self._processes.count, len(directions))
            if theirs.own:
                self._processes.from_process(rank, directions[theirs.first : theirs.stop])

    @staticmethod
    def _apply(weights: list[nn.Parameter], updates: Tensor, lr: float, weight_decay: float) -> None:
        rows, columns = weights[0].shape
        scale = max(1.0, rows / columns) ** 0.5
        moved: list[Tensor] = list(weights)
        torch._foreach_mul_(moved, 1 - lr * weight_decay)
        torch._foreach_add_(moved, list(updates.unbind()), alpha=-lr * scale)
