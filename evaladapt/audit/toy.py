"""A toy language model, small enough that every text of a few tokens can be scored.

The state after a token is a decaying sum of embeddings of the tokens so far, squashed; the head is linear. So every
prediction depends on the whole window, rows keep apart, and it costs two small products.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from evaladapt.contract.views import Vocabulary
from evaladapt.data.stream import TokenStream

DECAY = 0.7
BOS = 0


class ToyModel(nn.Module):
    """A causal :class:`~evaladapt.model.backend.Backend` with random weights."""

    def __init__(self, vocabulary: int, *, width: int = 8, context: int = 4, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = nn.Parameter(torch.randn(vocabulary, width, generator=generator))
        self.readout = nn.Parameter(torch.randn(vocabulary, width, generator=generator) * 0.8)
        self._context = context
        self._decays: dict[int, Tensor] = {}
        self.requires_grad_(False)

    @property
    def vocab_size(self) -> int:
        """Size of the last axis of the logits."""
        return len(self.embedding)

    @property
    def hidden_size(self) -> int:
        """Size of the last axis of the hidden states."""
        return self.embedding.shape[1]

    @property
    def layers(self) -> int:
        """One."""
        return 1

    @property
    def context(self) -> int:
        """Window length."""
        return self._context

    def hidden(self, tokens: Tensor) -> Tensor:
        """States ``[B,S,D]`` of ``tokens [B,S]``: ``tanh Σ_{j ≤ s} 0.7^(s-j) E[x_j]``."""
        return torch.tanh(self._mixing(tokens.shape[1]) @ self.embedding[tokens])

    def head(self, hidden: Tensor) -> Tensor:
        """Logits ``[B,S,V]``."""
        return hidden @ self.readout.T

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of tokens."""
        return self.head(self.hidden(tokens))

    def _mixing(self, length: int) -> Tensor:
        """[S,S], lower triangular."""
        if length not in self._decays:
            distance = torch.arange(length).unsqueeze(1) - torch.arange(length)
            self._decays[length] = torch.where(distance >= 0, DECAY ** distance.clamp(min=0), 0.0).float()
        return self._decays[length]


def toy_vocabulary(size: int) -> Vocabulary:
    """Every token but BOS is one letter."""
    letters = tuple(b"" if token == BOS else bytes([96 + token]) for token in range(size))
    return Vocabulary(letters, frozenset({BOS}))


def toy_stream(lengths: tuple[int, ...] = (41, 26), *, vocabulary: int = 8, seed: int = 0) -> TokenStream:
    """Documents of random tokens, none of them BOS, one byte a token."""
    generator = np.random.default_rng(seed)
    documents = [np.concatenate([[BOS], generator.integers(1, vocabulary, length)]) for length in lengths]
    tokens = np.concatenate(documents).astype(np.int32)
    numbers = np.repeat(np.arange(len(lengths)), [len(one) for one in documents]).astype(np.int32)
    sizes = (tokens != BOS).astype(np.int32)
    return TokenStream(
        tokens=tokens,
        byte_lengths=sizes,
        documents=numbers,
        name=f"toy text, seed {seed}",
        sha256=hashlib.sha256(tokens.astype("<i4").tobytes()).hexdigest(),
        text_sha256="0" * 64,
        text_bytes=int(sizes.sum()),
    )
