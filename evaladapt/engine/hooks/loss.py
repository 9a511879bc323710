"""The loss of a long text under a large vocabulary, without holding all of its logits.

States are worked out with a graph as always; head and loss then go stretch by stretch, and each stretch's gradients are
taken at once, so that its logits can be forgotten. What comes back is a number with a graph like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from evaladapt.contract.views import HIDDEN_TARGET
from evaladapt.model.backend import Backend

COPIES = 4
"""Of the logits, while a loss is taken and differentiated."""


def fits_at_once(memory: int, tokens: int, vocabulary: int) -> bool:
    """Whether the loss of so many tokens may be taken from all of their logits."""
    return 4 * COPIES * tokens * vocabulary <= memory


def summed_loss(
    model: Backend, tokens: Tensor, targets: Tensor, overrides: Mapping[str, Tensor], memory: int
) -> Tensor:
    """Negative log-likelihood of ``targets [B, S]`` after ``tokens [B, S]``, summed, in nats; with a graph."""
    states = cast(Tensor, functional_call(_Calling(model, "hidden"), _inside(overrides), (tokens,)))
    at_once = max(1, memory // (4 * COPIES * model.vocab_size))
    names, weights = list(overrides), list(overrides.values())
    flat, wanted = states.flatten(0, 1), targets.flatten()
    nats: Tensor = _Stretches.apply(_head_of(model, names), flat, wanted, at_once, *weights)  # type: ignore[no-untyped-call]
    return nats


class _Calling(nn.Module):
    """One method of a model as a module, so that it can be called with other weights."""

    def __init__(self, model: Backend, method: str) -> None:
        super().__init__()
        self.model = cast(nn.Module, model)
        self._method = method

    def forward(self, given: Tensor) -> Tensor:
        called: Tensor = getattr(self.model, self._method)(given)
        return called


def _inside(overrides: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"model.{name}": tensor for name, tensor in overrides.items()}


def _head_of(model: Backend, names: Sequence[str]) -> Callable[[Tensor, Sequence[Tensor]], Tensor]:
    calling = _Calling(model, "head")

    def head(states: Tensor, weights: Sequence[Tensor]) -> Tensor:
        logits: Tensor = functional_call(calling, _inside(dict(zip(names, weights, strict=True))), (states,))
        return logits

    return head


class _Stretches(torch.autograd.Function):
    """Sum of the losses of stretches of states ``[N, D]``; its gradients are there when it is."""

    @staticmethod
    def forward(
        ctx: Any,
        head: Callable[[Tensor, Sequence[Tensor]], Tensor],
        states: Tensor,
        targets: Tensor,
        at_once: int,
        *weights: Tensor,
    ) -> Tensor:
        total = torch.zeros((), device=states.device)
        of_states = torch.zeros_like(states)
        of_weights: list[Tensor | None] = [None] * len(weights)
        leaves = [one.detach().requires_grad_() for one in weights]
        for first in range(0, len(states), at_once):
            stretch = slice(first, first + at_once)
            with torch.enable_grad():
                given = states[stretch].detach().requires_grad_()
                logits = head(given, leaves).float()
                nats = F.cross_entropy(logits, targets[stretch], ignore_index=HIDDEN_TARGET, reduction="sum")
                found = torch.autograd.grad(nats, [given, *leaves], allow_unused=True)
            total += nats.detach()
            of_states[stretch] = found[0]
            for place, gradient in enumerate(found[1:]):
                before = of_weights[place]
                of_weights[place] = gradient if before is None or gradient is None else before.add_(gradient)
        ctx.gradients = (of_states, of_weights)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        of_states, of_weights = ctx.gradients
        scale = outer[0]
        scaled = [None if one is None else one * scale for one in of_weights]
        return None, of_states * scale, None, None, *scaled
