"""The network of parameter-golf's baseline (``train_gpt.py`` of openai/parameter-golf), for its checkpoints.

RMSNorm without weight everywhere; an embedding that is normalised; in every block the input is mixed with that
embedding (``resid_mix``), then attention and a squared-ReLU MLP are added, scaled per channel. Queries and keys are
normalised and rotated, queries multiplied by a gain per head. The first half of the blocks is remembered, and added in
reverse to the inputs of the second, scaled per channel (``skip_weights``). Logits are soft-capped. Names of parameters
are those of the checkpoints. Imported by ``golf`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaladapt.errors import ModelError
from evaladapt.model.attention import attend
from evaladapt.model.cache import Cache, LayerCache
from evaladapt.model.primitives import norm
from evaladapt.model.roles import WeightRole, roles_from_names
from evaladapt.model.rope import RotaryTable, rotate


@dataclass(frozen=True)
class GolfShape:
    """What the shapes of a checkpoint say, and what only the script that wrote it knows."""

    vocab_size: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    mlp_width: int
    tied: bool
    context: int
    rope_base: float
    logit_softcap: float


class GolfAttention(nn.Module):
    """Causal grouped-query attention, ``[B, S, D] -> [B, S, D]``."""

    def __init__(self, shape: GolfShape) -> None:
        super().__init__()
        self._head_width = shape.width // shape.heads
        kv_width = shape.kv_heads * self._head_width
        self.c_q = nn.Linear(shape.width, shape.width, bias=False)
        self.c_k = nn.Linear(shape.width, kv_width, bias=False)
        self.c_v = nn.Linear(shape.width, kv_width, bias=False)
        self.proj = nn.Linear(shape.width, shape.width, bias=False)
        self.q_gain = nn.Parameter(torch.ones(shape.heads))

    def forward(self, x: Tensor, table: RotaryTable, cache: LayerCache | None) -> Tensor:
        """Attend within each row, and to what ``cache`` holds of it."""
        q = rotate(norm(self._heads(self.c_q(x))), table) * self.q_gain[:, None, None]
        k, v = rotate(norm(self._heads(self.c_k(x))), table), self._heads(self.c_v(x))
        if cache is not None:
            k, v = cache.extend(k, v)
        attended = attend(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.proj(attended)
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """``[B, S, H Dh] -> [B, H, S, Dh]``."""
        return x.view(*x.shape[:2], -1, self._head_width).transpose(1, 2)


class GolfMlp(nn.Module):
    """``W relu(V x)^2``."""

    def __init__(self, shape: GolfShape) -> None:
        super().__init__()
        self.fc = nn.Linear(shape.width, shape.mlp_width, bias=False)
        self.proj = nn.Linear(shape.mlp_width, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, S, D] -> [B, S, D]``."""
        out: Tensor = self.proj(torch.relu(self.fc(x)).square())
        return out


class GolfBlock(nn.Module):
    """One layer; ``x0`` is the normalised embedding."""

    def __init__(self, shape: GolfShape) -> None:
        super().__init__()
        self.attn, self.mlp = GolfAttention(shape), GolfMlp(shape)
        self.attn_scale, self.mlp_scale = (nn.Parameter(torch.ones(shape.width)) for _ in range(2))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(shape.width), torch.zeros(shape.width))))

    def forward(self, x: Tensor, x0: Tensor, table: RotaryTable, cache: LayerCache | None) -> Tensor:
        """``[B, S, D] -> [B, S, D]``."""
        x = self.resid_mix[0] * x + self.resid_mix[1] * x0
        x = x + self.attn_scale * self.attn(norm(x), table, cache)
        added: Tensor = self.mlp_scale * self.mlp(norm(x))
        return x + added


class GolfModel(nn.Module):
    """The whole network as a backend with a cache and roles."""

    def __init__(self, shape: GolfShape) -> None:
        super().__init__()
        self.shape = shape
        self.tok_emb = nn.Embedding(shape.vocab_size, shape.width)
        self.skip_weights = nn.Parameter(torch.ones(shape.layers // 2, shape.width))
        self.blocks = nn.ModuleList(GolfBlock(shape) for _ in range(shape.layers))
        self.lm_head = None if shape.tied else nn.Linear(shape.width, shape.vocab_size, bias=False)

    @property
    def vocab_size(self) -> int:
        """Size of the last axis of the logits."""
        return self.shape.vocab_size

    @property
    def hidden_size(self) -> int:
        """Size of the last axis of the hidden states."""
        return self.shape.width

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self.shape.layers

    @property
    def context(self) -> int:
        """Tokens per window in training; not in the file."""
        return self.shape.context

    def hidden(self, tokens: Tensor) -> Tensor:
        """Normalised final states ``[B, S, D]``."""
        return self._states(tokens, None)

    def head(self, hidden: Tensor) -> Tensor:
        """Soft-capped logits ``[B, S, V]``."""
        weight = self.tok_emb.weight if self.lm_head is None else self.lm_head.weight
        cap = self.shape.logit_softcap
        return cap * torch.tanh(F.linear(hidden, weight) / cap)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` of ``tokens [B, S]``."""
        return self.head(self.hidden(tokens))

    def start_cache(self, rows: int, width: int) -> Cache:
        """An empty cache for ``rows`` rows of at most ``width`` tokens."""
        weight, shape = self.tok_emb.weight, self.shape
        size = (rows, shape.kv_heads, width, shape.width // shape.heads)
        return Cache(tuple(LayerCache(weight.new_zeros(size), weight.new_zeros(size)) for _ in self.blocks), width)

    def extend(self, tokens: Tensor, cache: Cache) -> Tensor:
        """States ``[B, S, D]`` of ``tokens [B, S]`` that continue the rows of ``cache``."""
        return self._states(tokens, cache)

    def forget(self, cache: Cache, columns: int, sinks: int) -> None:
        """Let go of ``columns`` columns of ``cache`` after its first ``sinks``; what follows takes their places."""
        cache.forget(columns, sinks, self._positions(columns, columns + 1, self.tok_emb.weight.device))

    def weight_roles(self) -> dict[str, WeightRole]:
        """By the names of the checkpoint; scales and mixes have none."""
        tied = "tok_emb.weight" if self.shape.tied else None
        return roles_from_names((name for name, _ in self.named_parameters()), tied)

    def _states(self, tokens: Tensor, cache: Cache | None) -> Tensor:
        start = cache.length if cache else 0
        table = self._positions(start, start + tokens.shape[1], tokens.device)
        x = x0 = norm(self.tok_emb(tokens))
        kept: list[Tensor] = []
        for layer, block in enumerate(self.blocks):
            received = layer - self.shape.layers // 2
            if received >= 0 and kept:
                x = x + self.skip_weights[received] * kept.pop()
            x = block(x, x0, table, cache.places[layer] if cache else None)
            if received < 0:
                kept.append(x)
        return norm(x)

    def _positions(self, start: int, stop: int, device: torch.device) -> RotaryTable:
        """Angles in float32 as the baseline has them; it turns the other way round than most."""
        width = self.shape.width // self.shape.heads
        frequencies = 1.0 / (self.shape.rope_base ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
        angles = torch.outer(torch.arange(start, stop, dtype=torch.float32), frequencies).to(device)
        return RotaryTable(angles.cos(), -angles.sin())


def golf_model(weights: Mapping[str, Tensor], context: int, rope_base: float, logit_softcap: float) -> GolfModel:
    """Build the network that ``weights`` are of, and fill it with float32 copies.

    Raises:
        ModelError: they are not those of the baseline; the message names the first tensor that is missing or too many.
    """
    shape = _shape(weights, context, rope_base, logit_softcap)
    with torch.device("meta"):
        model = GolfModel(shape)
    expected = {name: weight.shape for name, weight in model.named_parameters()}
    for name in sorted(set(expected) ^ set(weights)):
        found = "lacks" if name in expected else "has a tensor that the baseline lacks,"
        raise ModelError(f"the checkpoint {found} {name!r}. {_OTHER_STACKS}")
    for name, wanted in expected.items():
        if weights[name].shape != wanted:
            raise ModelError(f"{name!r} has shape {list(weights[name].shape)}, not {list(wanted)}. {_OTHER_STACKS}")
    model.load_state_dict({name: weights[name].to(torch.float32, copy=True) for name in expected}, assign=True)
    return model.requires_grad_(False)


_OTHER_STACKS = "Later stacks have other networks; bring their own module: python:FILE.py:FUNCTION"


def _shape(weights: Mapping[str, Tensor], context: int, rope_base: float, logit_softcap: float) -> GolfShape:
    first = {name.removeprefix("blocks.0."): tensor.shape for name, tensor in weights.items()}
    try:
        vocab_size, width = first["tok_emb.weight"]
        heads = first["attn.q_gain"][0]
        kv_width, mlp_width = first["attn.c_k.weight"][0], first["mlp.fc.weight"][0]
        layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
        kv_heads, rest = divmod(kv_width * heads, width)
        if rest or width % (2 * heads) or heads % kv_heads:
            raise ModelError(f"{heads} heads of {width} numbers do not fit keys of {kv_width}. {_OTHER_STACKS}")
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise ModelError(f"these are not the baseline's weights ({error}). {_OTHER_STACKS}") from error
    tied = "lm_head.weight" not in weights
    return GolfShape(vocab_size, layers, width, heads, kv_heads, mlp_width, tied, context, rope_base, logit_softcap)
