"""One layer of the network: attention and an MLP, each reading a normalised input and adding to the stream.

``transformer`` runs the layers in the configured order; ``attention`` holds the kernel, ``rope`` the positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaladapt.model.attention import attend, without_own_value
from evaladapt.model.cache import LayerCache
from evaladapt.model.config import ModelConfig
from evaladapt.model.primitives import norm, orthogonal, scaled
from evaladapt.model.rope import RotaryTable, rotate

MLP_SLOPE = 0.5


class Attention(nn.Module):
    """Causal self-attention, ``[B, S, D] -> [B, S, D]``."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.head_width = config.head_width
        self._excludes_own_value = layer >= config.layers - config.xsa_layers
        kv_width = config.kv_heads * config.head_width
        self.query = orthogonal(config.width, config.width)
        self.key = orthogonal(kv_width, config.width)
        self.value = orthogonal(kv_width, config.width)
        self.out = nn.Parameter(torch.zeros(config.width, config.width))
        self.gain = nn.Parameter(torch.full((config.heads,), config.qk_gain))

    def forward(
        self,
        x: Tensor,
        table: RotaryTable,
        cache: LayerCache | None = None,
        extra_values: Tensor | None = None,
        readable: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """Attend within each row, and to what ``cache`` holds of it; ``extra_values [B, S, G Dh]`` join the values.

        ``readable [B, 1, S, S]`` bool keeps documents apart; without it a position reads all of its row before it.
        Positions before ``first`` are read and get no result.
        """
        asking, angles = x[:, first:], RotaryTable(table.cos[first:], table.sin[first:])
        q = scaled(rotate(norm(self._heads(F.linear(asking, self.query))), angles), self.gain[:, None, None])
        k = rotate(norm(self._heads(F.linear(x, self.key))), table)
        projected = F.linear(x, self.value)
        v = own = self._heads(projected if extra_values is None else projected + extra_values)
        if cache is not None:
            k, v = cache.extend(k, v)
        mixed = attend(q.to(v.dtype), k.to(v.dtype), v, readable if readable is None else readable[:, :, first:])
        if self._excludes_own_value:
            mixed = without_own_value(mixed, own[:, :, first:])
        return F.linear(mixed.transpose(1, 2).flatten(2), self.out)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.head_width).transpose(1, 2)


class Mlp(nn.Module):
    """``W_down (leaky_relu(W_up x, 0.5) ** 2)``, ``[B, S, D] -> [B, S, D]``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = orthogonal(config.mlp_width, config.width)
        self.down = nn.Parameter(torch.zeros(config.width, config.mlp_width))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to every position by itself."""
        raised = F.linear(x, self.up)
        # On a CPU fresh memory takes longer than the arithmetic, and ``square`` several times as long as a product.
        bent = F.leaky_relu(raised, MLP_SLOPE, inplace=not torch.is_grad_enabled())
        return F.linear(scaled(bent, bent), self.down)


class Block(nn.Module):
    """One layer: mix with the network's input, attend, transform; both results are scaled per channel and added.

    The MLP reads the stream after attention has been added to it, or, in a parallel layer, what attention reads.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self._parallel = layer >= config.layers - config.parallel_layers
        self._norm_scale = (layer + 1) ** -0.5 if config.depth_scale else 1.0
        self.attention = Attention(config, layer)
        self.mlp = Mlp(config)
        self.attn_scale = nn.Parameter(torch.ones(config.width))
        self.mlp_scale = nn.Parameter(torch.ones(config.width))
        self.resid_mix = nn.Parameter(torch.ones(2, config.width)) if config.residual_mix else None
        if self.resid_mix is not None:
            nn.init.zeros_(self.resid_mix[1])

    def forward(
        self,
        x: Tensor,
        embedded: Tensor,
        table: RotaryTable,
        cache: LayerCache | None = None,
        extra_values: Tensor | None = None,
        readable: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """``x`` and ``embedded`` (the network's input) are ``[B, S, D]``; returns positions ``first .. S-1``."""
        mixed = x if self.resid_mix is None else torch.addcmul(self.resid_mix[0] * x, self.resid_mix[1], embedded)
        read = self._norm(mixed)
        attended: Tensor = self.attention(read, table, cache, extra_values, readable, first)
        mixed = torch.addcmul(mixed[:, first:], self.attn_scale, attended)
        transformed: Tensor = self.mlp(read[:, first:] if self._parallel else self._norm(mixed))
        return torch.addcmul(mixed, self.mlp_scale, transformed)

    def _norm(self, x: Tensor) -> Tensor:
        return norm(x) if self._norm_scale == 1.0 else scaled(norm(x), self._norm_scale)
