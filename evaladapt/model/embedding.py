"""What tokens bring into the network besides their own embedding.

Pairs of tokens (BigramHash), the neighbour's embedding (SmearGate), and embeddings that go to attention values. The
formulas are those of parameter-golf #549; there the neighbour was read across document boundaries too (#1851), here it
is not: where a document opens, both behave as at the start of a row. ``transformer`` owns those asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaladapt.model.config import ModelConfig
from evaladapt.model.primitives import gaussian, orthogonal

HASH_OF_CURRENT = 36_313
HASH_OF_PREVIOUS = 27_191
BIGRAM_SCALE = 0.05
VALUE_TABLE_STD = 0.01
VALUE_GAIN = 0.1


@dataclass(frozen=True)
class Previous:
    """The last token read of each row: its id ``[B, 1]`` int64 and its normalised embedding ``[B, 1, D]``."""

    tokens: Tensor
    embedded: Tensor


class BigramHash(nn.Module):
    """An embedding of the pair (previous token, token), by hash: tokens ``[B, S]`` to ``[B, S, D]``.

    Bucket ``(36313 x_t XOR 27191 x_{t-1}) mod (n - 1)``; the last bucket is for tokens that open a row or a document.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._bos_id = config.bos_id
        self.table = nn.Parameter(torch.zeros(config.bigram_buckets, config.bigram_width))
        self.projection = orthogonal(config.width, config.bigram_width)
        self.scale = nn.Parameter(torch.full((1,), BIGRAM_SCALE))

    def forward(self, tokens: Tensor, previous: Previous | None) -> Tensor:
        """``previous`` is the token before the first column, None at the start of a row."""
        return F.linear(F.embedding(self.buckets(tokens, previous), self.table), self.projection) * self.scale

    def buckets(self, tokens: Tensor, previous: Previous | None) -> Tensor:
        """Rows of the table, ``[B, S]``."""
        first = previous.tokens if previous else torch.zeros_like(tokens[:, :1])
        before = torch.cat((first, tokens[:, :-1]), dim=1)
        last = self.table.shape[0] - 1
        hashed = ((HASH_OF_CURRENT * tokens) ^ (HASH_OF_PREVIOUS * before)) % last
        return torch.where(_opens(tokens, previous, self._bos_id), last, hashed)


class SmearGate(nn.Module):
    """``(1 - g) x_t + g x_{t-1}`` with ``g = sigmoid(gate)`` per channel, ``[B, S, D] -> [B, S, D]``.

    A token that opens a row or a document has zero before it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._bos_id = config.bos_id
        self.gate = nn.Parameter(torch.zeros(config.width))

    def forward(self, embedded: Tensor, tokens: Tensor, previous: Previous | None) -> Tensor:
        """``embedded`` are the normalised embeddings of ``tokens``."""
        first = previous.embedded if previous else torch.zeros_like(embedded[:, :1])
        before = torch.cat((first, embedded[:, :-1]), dim=1)
        before = before.masked_fill(_opens(tokens, previous, self._bos_id)[..., None], 0)
        share = torch.sigmoid(self.gate)
        return (1 - share) * embedded + share * before


class ValueEmbedding(nn.Module):
    """Embeddings that chosen layers add to their attention values: one table and projection, a gain per layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._layers = config.value_embedding_layers
        self.table = gaussian(config.vocab_size, config.value_embedding_width, VALUE_TABLE_STD)
        self.projection = orthogonal(config.kv_heads * config.head_width, config.value_embedding_width)
        self.gain = nn.Parameter(torch.full((len(self._layers),), VALUE_GAIN))

    def forward(self, tokens: Tensor) -> dict[int, Tensor]:
        """What each of its layers adds: ``[B, S, kv_heads * head_width]`` by layer."""
        projected = F.linear(F.embedding(tokens, self.table), self.projection)
        return {layer: projected * self.gain[place] for place, layer in enumerate(self._layers)}


def _opens(tokens: Tensor, previous: Previous | None, bos_id: int) -> Tensor:
    """Where a token opens a row or a document, ``[B, S]`` bool."""
    opens = tokens == bos_id
    if previous is None:
        opens[:, 0] = True
    return opens
