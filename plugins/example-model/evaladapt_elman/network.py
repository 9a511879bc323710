"""``h_t = tanh(W h_{t-1} + E[x_t])``, logits ``H h_t``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from evaladapt.model.roles import EMBEDDING, HEAD, WeightRole

CONTEXT = 128


class Elman(nn.Module):
    """The network as a backend, with its state as the cache."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in ("embedding", "recurrent", "readout"):
            setattr(self, name, nn.Parameter(weights[name].float(), requires_grad=False))
        self.vocab_size, self.hidden_size = self.embedding.shape
        self.layers, self.context = 1, CONTEXT

    def hidden(self, tokens: Tensor) -> Tensor:
        """States ``[B, S, D]`` of ``tokens [B, S]``."""
        return self.extend(tokens, self.start_cache(len(tokens), tokens.shape[1]))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits ``[B, S, V]``."""
        return hidden @ self.readout.T

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of tokens: strategies that train weights go through this."""
        return self.head(self.hidden(tokens))

    def start_cache(self, rows: int, width: int) -> list[Tensor]:
        """The state of every row."""
        return [self.embedding.new_zeros(rows, self.hidden_size)]

    def extend(self, tokens: Tensor, cache: list[Tensor]) -> Tensor:
        """States of tokens that continue the rows of the cache, which then holds them too."""
        states = []
        for column in tokens.T:
            cache[0] = torch.tanh(cache[0] @ self.recurrent.T + self.embedding[column])
            states.append(cache[0])
        return torch.stack(states, dim=1)

    def weight_roles(self) -> dict[str, WeightRole]:
        """The recurrent matrix belongs to the one layer and has no role that others would know."""
        return {
            "embedding": WeightRole((EMBEDDING,)),
            "recurrent": WeightRole(("recurrent",), layer=0),
            "readout": WeightRole((HEAD,)),
        }


def write_random(path: str | Path, width: int = 16, vocabulary: int = 257, seed: int = 0) -> None:
    """A file with random weights, for tests."""
    generator = torch.Generator().manual_seed(seed)

    def draw(rows: int, columns: int, scale: float) -> Tensor:
        return scale * torch.randn(rows, columns, generator=generator)

    weights = {"embedding": draw(vocabulary, width, 0.7), "recurrent": draw(width, width, 0.8 / width**0.5)}
    save_file(weights | {"readout": draw(vocabulary, width, 0.5)}, path)
