"""A model for trying strategies out on nonsense: as large a vocabulary as the real one's, and hardly any work.

It has the real model's vocabulary, context and number of layers, and weights of every usual role, each a few numbers
wide. A model of a hundred million weights would otherwise train on random tokens for minutes before every run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evaladapt.model.backend import Backend
from evaladapt.model.roles import WeightRole, roles_from_names

WIDTH = 8
ATTENTION, MLP = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")


class StandIn(nn.Module):
    """Keeps positions apart, so it is causal; rows go through it one token at a time as well."""

    def __init__(self, model: Backend) -> None:
        super().__init__()
        self.vocab_size, self.context, self.layers = model.vocab_size, model.context, model.layers
        self.hidden_size = WIDTH
        self.embed_tokens = nn.Embedding(self.vocab_size, WIDTH)
        self.blocks = nn.ModuleList(_Block() for _ in range(self.layers))
        self.norm = nn.LayerNorm(WIDTH)
        self.lm_head = nn.Linear(WIDTH, self.vocab_size, bias=False)
        self.requires_grad_(False).eval()

    def hidden(self, tokens: Tensor) -> Tensor:
        """States ``[B, S, D]`` of ``tokens [B, S]``."""
        x = self.embed_tokens(tokens)
        for block in self.blocks:
            x = x + block(x)
        states: Tensor = self.norm(x)
        return states

    def head(self, hidden: Tensor) -> Tensor:
        """Logits ``[..., V]``."""
        logits: Tensor = self.lm_head(hidden)
        return logits

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, S, V]``."""
        return self.head(self.hidden(tokens))

    def start_cache(self, rows: int, width: int) -> None:
        """Nothing is remembered."""

    def extend(self, tokens: Tensor, cache: None) -> Tensor:
        """States of the next tokens."""
        return self.hidden(tokens)

    def forget(self, cache: None, columns: int, sinks: int) -> None:
        """Nothing was remembered."""

    def weight_roles(self) -> dict[str, WeightRole]:
        """By their usual names."""
        return roles_from_names(name for name, _ in self.named_parameters())


class _Block(nn.Module):
    """A layer without a view of other positions."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(WIDTH)
        self.self_attn = nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH, bias=False) for name in ATTENTION})
        self.mlp = nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH, bias=False) for name in MLP})

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, out = (self.self_attn[name] for name in ATTENTION)
        gate, up, down = (self.mlp[name] for name in MLP)
        x = self.input_layernorm(x)
        x = out(torch.sigmoid(q(x) * k(x)) * v(x))
        found: Tensor = down(torch.relu(gate(x)) * up(x))
        return found
