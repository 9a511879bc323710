"""A torch module of the user's own as a backend, for research code that was not written for this.

    backend = wrap(module, context=1024, hidden=module.trunk, head=module.lm_head)

The module is called with tokens ``[B, S]`` int64 and returns logits ``[B, S, V]``. Where it can also say its last
states and make logits of them, strategies that work on hidden states can run; where it cannot, they are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from evaladapt.errors import ModelError
from evaladapt.model.roles import EMBEDDING, HEAD, WeightRole, layer_in, of_role, roles_from_names

TRIED = 8
AGREES = 1e-5


class Wrapped(nn.Module):
    """A module with what a backend needs; its parameters have ``module.`` before their names.

    Attributes:
        states_are_logits: the module does not show its states, so ``hidden`` gives logits and ``head`` hands them on.
    """

    def __init__(
        self, module: nn.Module, context: int, hidden: Callable[..., Any] | None, head: Callable[..., Any] | None
    ) -> None:
        super().__init__()
        self.module = module
        self.states_are_logits = hidden is None
        self._context = context
        self._calls = (hidden or module, head)  # in a tuple, so that torch takes neither for a further part of it
        self._roles = _roles(self)
        numbers = {layer for name in self._roles if (layer := layer_in(name)) is not None}
        self._layers = len(numbers) or 1
        self._numbered = numbers == set(range(self._layers))
        states, logits = _tried(self)
        self._hidden_size, self._vocab_size = states.shape[-1], logits.shape[-1]

    @property
    def vocab_size(self) -> int:
        """Size of the last axis of the logits."""
        return self._vocab_size

    @property
    def hidden_size(self) -> int:
        """Size of the last axis of the hidden states."""
        return self._hidden_size

    @property
    def layers(self) -> int:
        """Layers that the parameters' names count; 1 where they count none."""
        return self._layers

    @property
    def context(self) -> int:
        """As given."""
        return self._context

    def hidden(self, tokens: Tensor) -> Tensor:
        """States ``[B, S, D]`` of ``tokens [B, S]``."""
        states: Tensor = self._calls[0](tokens)
        return states

    def head(self, hidden: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` of states."""
        head = self._calls[1]
        logits: Tensor = hidden if head is None else head(hidden)
        return logits

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` of ``tokens [B, S]``."""
        logits: Tensor = self.module(tokens)
        return logits

    def weight_roles(self) -> dict[str, WeightRole]:
        """As far as the names are usual ones; empty where they do not number the layers from 0."""
        return self._roles if self._numbered else {}


def wrap(
    module: nn.Module,
    *,
    context: int,
    hidden: Callable[..., Any] | None = None,
    head: Callable[..., Any] | None = None,
) -> Wrapped:
    """A module as a backend, in evaluation mode.

    Args:
        module: tokens ``[B, S]`` to logits ``[B, S, V]``.
        context: tokens of a window in its training.
        hidden: tokens to last states ``[B, S, D]``; a method or a submodule of ``module``.
        head: states to logits, everything that comes after them included. Goes together with ``hidden``.

    Raises:
        ModelError: only one of ``hidden`` and ``head``, or head(hidden(tokens)) is not what the module says.
    """
    if (hidden is None) != (head is None):
        raise ModelError("hidden and head go together: what makes the last states, and what makes logits of them.")
    if context < 1:
        raise ModelError(f"context is {context}; it is the number of tokens of a window in training.")
    return Wrapped(module.eval().requires_grad_(False), context, hidden, head)


def _roles(model: nn.Module) -> dict[str, WeightRole]:
    """By name; where none is the head, the embedding is."""
    roles = roles_from_names(name for name, _ in model.named_parameters())
    embeddings = of_role(roles, EMBEDDING)
    if of_role(roles, HEAD) or len(embeddings) != 1:
        return roles
    return roles_from_names(roles, head_is=embeddings[0])


@torch.no_grad()
def _tried(model: Wrapped) -> tuple[Tensor, Tensor]:
    """States and logits of a few tokens, whose shapes say the model's sizes."""
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    tokens = torch.arange(min(TRIED, model.context), device=device).remainder(2)[None]
    logits = model(tokens)
    if not isinstance(logits, Tensor) or logits.shape[:2] != tokens.shape or logits.ndim != 3:
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"the module gives {shape} for tokens {list(tokens.shape)}; logits [B, S, V] are needed.")
    states = model.hidden(tokens)
    found = model.head(states)
    if found.shape != logits.shape or (found - logits).abs().max() > AGREES * logits.abs().max().clamp(min=1.0):
        raise ModelError(
            "head(hidden(tokens)) is not what the module says, so strategies would adapt another model. Put what"
            " follows the states (a soft cap, a scale) into head, or leave both out."
        )
    return states, logits
