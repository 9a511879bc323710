"""The decoder-only transformer of the contest's stacks, in its plain form.

Pre-norm blocks with weightless RMSNorm, rotary positions, grouped-query attention with normalised queries and keys
(Henry et al. 2020) and a learned gain per head, a squared leaky-ReLU MLP, residual scales learned per channel, each
block's input mixed with the embedding, output projections that start at zero, a tied embedding and soft-capped logits
(Gemma 2). Tokens go in, hidden states and logits come out; training and scoring both call it through ``backend``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaladapt.model.attention import attend
from evaladapt.model.cache import Cache, LayerCache, empty_cache
from evaladapt.model.config import ModelConfig
from evaladapt.model.rope import RotaryTable, rotary_table, rotate

EMBEDDING_STD = 0.005
MLP_SLOPE = 0.5


class Attention(nn.Module):
    """Causal self-attention, ``[B, S, D] -> [B, S, D]``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_width = config.head_width
        kv_width = config.kv_heads * config.head_width
        self.query = _orthogonal(config.width, config.width)
        self.key = _orthogonal(kv_width, config.width)
        self.value = _orthogonal(kv_width, config.width)
        self.out = nn.Parameter(torch.zeros(config.width, config.width))
        self.gain = nn.Parameter(torch.full((config.heads,), config.qk_gain))

    def forward(self, x: Tensor, table: RotaryTable, cache: LayerCache | None = None) -> Tensor:
        """Attend within each row, and to what ``cache`` holds of it."""
        q = rotate(_norm(self._heads(F.linear(x, self.query))), table) * self.gain[:, None, None]
        k = rotate(_norm(self._heads(F.linear(x, self.key))), table)
        v = self._heads(F.linear(x, self.value))
        if cache is not None:
            k, v = cache.extend(k, v)
        mixed = attend(q.to(v.dtype), k.to(v.dtype), v)
        return F.linear(mixed.transpose(1, 2).flatten(2), self.out)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.head_width).transpose(1, 2)


class Mlp(nn.Module):
    """``W_down (leaky_relu(W_up x, 0.5) ** 2)``, ``[B, S, D] -> [B, S, D]``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = _orthogonal(config.mlp_width, config.width)
        self.down = nn.Parameter(torch.zeros(config.width, config.mlp_width))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to every position by itself."""
        return F.linear(F.leaky_relu(F.linear(x, self.up), MLP_SLOPE).square(), self.down)


class Block(nn.Module):
    """One layer: mix with the embedding, attend, transform; both results are scaled per channel and added."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.mlp = Mlp(config)
        self.attn_scale = nn.Parameter(torch.ones(config.width))
        self.mlp_scale = nn.Parameter(torch.ones(config.width))
        self.resid_mix = nn.Parameter(torch.ones(2, config.width))
        nn.init.zeros_(self.resid_mix[1])

    def forward(self, x: Tensor, embedded: Tensor, table: RotaryTable, cache: LayerCache | None = None) -> Tensor:
        """``x`` and ``embedded`` (the network's input) are ``[B, S, D]``."""
        mixed = self.resid_mix[0] * x + self.resid_mix[1] * embedded
        attended: Tensor = self.attention(_norm(mixed), table, cache)
        mixed = mixed + self.attn_scale * attended
        transformed: Tensor = self.mlp(_norm(mixed))
        return mixed + self.mlp_scale * transformed


class Transformer(nn.Module):
    """A language model whose :meth:`hidden` is strictly causal and keeps rows apart."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(config.vocab_size, config.width))
        if not self.embedding.is_meta:
            nn.init.normal_(self.embedding, std=EMBEDDING_STD)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self._table: RotaryTable | None = None

    @property
    def vocab_size(self) -> int:
        """Size of the last axis of the logits."""
        return self.config.vocab_size

    @property
    def hidden_size(self) -> int:
        """Size of the last axis of the hidden states."""
        return self.config.width

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self.config.layers

    @property
    def context(self) -> int:
        """Window length in training."""
        return self.config.context

    def hidden(self, tokens: Tensor) -> Tensor:
        """Normalised final states ``[B, S, D]`` of ``tokens [B, S]`` int64; state ``s`` predicts token ``s + 1``."""
        x = embedded = _norm(F.embedding(tokens, self.embedding))
        table = self._positions(tokens.shape[1], tokens.device)
        for block in self.blocks:
            x = block(x, embedded, table)
        return _norm(x)

    def start_cache(self, rows: int, width: int) -> Cache:
        """An empty cache for ``rows`` rows of at most ``width`` tokens."""
        return empty_cache(self.config, rows, width, self.embedding.device)

    def extend(self, tokens: Tensor, cache: Cache) -> Tensor:
        """States ``[B, S, D]`` of ``tokens [B, S]`` that continue the rows of ``cache``, which then holds them too.

        Equal to the last ``S`` states of :meth:`hidden` over whole rows up to rounding. The cache belongs to the
        weights it was filled under.
        """
        start, stop = cache.length, cache.length + tokens.shape[1]
        x = embedded = _norm(F.embedding(tokens, self.embedding))
        table = self._positions(stop, tokens.device)
        table = RotaryTable(table.cos[start:], table.sin[start:])
        for block, layer in zip(self.blocks, cache.layers, strict=True):
            x = block(x, embedded, table, layer)
        return _norm(x)

    def head(self, hidden: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` in ``(-softcap, softcap)``: ``c tanh(z / c)``."""
        cap = self.config.logit_softcap
        return cap * torch.tanh(F.linear(hidden, self.embedding) / cap)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` of ``tokens [B, S]``."""
        return self.head(self.hidden(tokens))

    def _positions(self, length: int, device: torch.device) -> RotaryTable:
        table = self._table
        if table is None or table.cos.shape[0] < length or table.cos.device != device:
            length_kept = max(length, self.config.context)
            table = rotary_table(length_kept, self.config.head_width, self.config.rope_base, device)
            self._table = table
        return RotaryTable(table.cos[:length], table.sin[:length])


def _norm(x: Tensor) -> Tensor:
    """RMSNorm without weight over the last axis (Zhang and Sennrich 2019)."""
    return F.rms_norm(x, (x.shape[-1],))


def _orthogonal(rows: int, columns: int) -> nn.Parameter:
    weight = torch.empty(rows, columns)
    # On the meta device (a model to be filled from an artifact) random numbers cost three seconds of imports.
    return nn.Parameter(weight if weight.is_meta else nn.init.orthogonal_(weight))
