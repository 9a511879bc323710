"""Low-rank adapters, one per row of a batch, and the AdamW step that keeps the rows apart.

``LoRA`` (Hu et al. 2021) adds ``scale * B A x`` to a linear map that stays frozen. Here every row of a batch (say, a
document) has its own A and B, so many documents adapt in one forward pass. Everything is a pure function: parameters
and optimiser state are tensors whose first axis is the row, and a row that takes no part in a step keeps its bits.
Differentiate through ``adapter_output`` with the sum of the rows' losses: rows do not mix in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.errors import UsageError


@dataclass(frozen=True)
class Adapter:
    """``a`` [B, r, in] reads, ``b`` [B, out, r] writes."""

    a: Tensor
    b: Tensor


def fresh_adapter(
    rows: int, inputs: int, outputs: int, rank: int, generator: torch.Generator, device: torch.device | None = None
) -> Adapter:
    """A uniform in +-1/sqrt(in), drawn on the generator's device, and B zero: the adapter starts by adding nothing."""
    if min(rows, inputs, outputs, rank) < 1:
        raise UsageError(f"an adapter needs positive sizes, got rows={rows}, {inputs} -> {outputs}, rank={rank}.")
    bound = 1.0 / math.sqrt(inputs)
    drawn = torch.rand(rows, rank, inputs, generator=generator, device=generator.device)
    a = (2.0 * drawn - 1.0) * bound
    place = device or generator.device
    return Adapter(a.to(place), torch.zeros(rows, outputs, rank, device=place))


def adapter_output(adapter: Adapter, inputs: Tensor, scale: float = 1.0) -> Tensor:
    """What the adapter adds [B, S, out] for inputs [B, S, in]."""
    return scale * torch.bmm(torch.bmm(inputs, adapter.a.transpose(1, 2)), adapter.b.transpose(1, 2))


def replace_rows(old: Tensor, new: Tensor, rows: Tensor) -> Tensor:
    """``new`` where ``rows`` [B] is true, ``old`` elsewhere; [B, ...]."""
    return torch.where(rows.view(-1, *[1] * (old.ndim - 1)), new, old)


def reset_rows(adapter: Adapter, fresh: Adapter, rows: Tensor, *, keep_a: bool = False) -> Adapter:
    """Start ``rows`` [B] again from ``fresh``; with ``keep_a`` only B goes back to zero (a warm A)."""
    a = adapter.a if keep_a else replace_rows(adapter.a, fresh.a, rows)
    return Adapter(a, replace_rows(adapter.b, fresh.b, rows))


@dataclass(frozen=True)
class AdamWOptions:
    """AdamW (Loshchilov and Hutter 2019): decay is ``lr * weight_decay`` of the parameter, apart from the gradient."""

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True)
class AdamWState:
    """Moments of one parameter [B, ...], and the steps each row has taken [B]."""

    mean: Tensor
    square: Tensor
    steps: Tensor

    @classmethod
    def fresh(cls, parameter: Tensor) -> AdamWState:
        """No step taken."""
        steps = torch.zeros(len(parameter), dtype=torch.int64, device=parameter.device)
        return cls(torch.zeros_like(parameter), torch.zeros_like(parameter), steps)

    def reset_rows(self, rows: Tensor) -> AdamWState:
        """Forget the moments of ``rows`` [B]."""
        return AdamWState(
            replace_rows(self.mean, torch.zeros_like(self.mean), rows),
            replace_rows(self.square, torch.zeros_like(self.square), rows),
            torch.where(rows, torch.zeros_like(self.steps), self.steps),
        )


@dataclass(frozen=True)
class AdamWStep:
    """The parameter and its state after a step."""

    parameter: Tensor
    state: AdamWState


def adamw_step(
    parameter: Tensor, gradient: Tensor, state: AdamWState, options: AdamWOptions, active: Tensor | None = None
) -> AdamWStep:
    """One step for the rows in ``active`` [B] (all by default); parameter and gradient are [B, ...].

    Element-wise, so the rows are independent; bias correction counts each row's own steps.
    """
    rows = torch.ones_like(state.steps, dtype=torch.bool) if active is None else active
    steps = state.steps + rows
    mean = options.beta1 * state.mean + (1.0 - options.beta1) * gradient
    square = options.beta2 * state.square + (1.0 - options.beta2) * gradient.square()
    count = steps.clamp_min(1).to(parameter.dtype).view(-1, *[1] * (parameter.ndim - 1))
    corrected = mean / (1.0 - options.beta1**count)
    spread = (square / (1.0 - options.beta2**count)).sqrt() + options.epsilon
    moved = parameter * (1.0 - options.lr * options.weight_decay) - options.lr * corrected / spread
    return AdamWStep(
        replace_rows(parameter, moved, rows),
        AdamWState(replace_rows(state.mean, mean, rows), replace_rows(state.square, square, rows), steps),
    )
