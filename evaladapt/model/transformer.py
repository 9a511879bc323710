"""The decoder-only transformer of the contest's stacks; a configuration chooses among their features.

Pre-norm blocks with weightless RMSNorm, rotary positions, grouped-query attention with normalised queries and keys
(Henry et al. 2020) and a learned gain per head, a squared leaky-ReLU MLP, residual scales learned per channel, each
block's input mixed with the embedding, output projections that start at zero, a tied embedding and soft-capped logits
(Gemma 2). Tokens go in, hidden states and logits come out; training and scoring both call it through ``backend``.
What the configuration can add is in ``embedding`` (the input), ``block`` (a layer), ``skips`` and ``multi_token``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaladapt.model.attention import own_document
from evaladapt.model.block import Block
from evaladapt.model.cache import Cache, empty_cache
from evaladapt.model.config import ModelConfig
from evaladapt.model.embedding import BigramHash, Previous, SmearGate, ValueEmbedding
from evaladapt.model.multi_token import MultiTokenHead
from evaladapt.model.primitives import gaussian, norm
from evaladapt.model.roles import EMBEDDING, HEAD, LAYER, WeightRole, layer_in
from evaladapt.model.rope import RotaryTable, rotary_table
from evaladapt.model.skips import UnetSkips

EMBEDDING_STD = 0.005


@dataclass(frozen=True)
class Partway:
    """Rows before a place of the network: all that the places from there on read.

    ``x`` and ``embedded`` (the network's input) are ``[B, S, D]``, ``values`` the value embeddings by layer, ``kept``
    the states that skips have still to add.
    """

    place: int
    x: Tensor
    embedded: Tensor
    values: dict[int, Tensor]
    kept: tuple[Tensor, ...]


class Transformer(nn.Module):
    """A language model whose :meth:`hidden` is strictly causal and keeps rows apart."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = gaussian(config.vocab_size, config.width, EMBEDDING_STD)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.bigram_embedding = BigramHash(config) if config.bigram_buckets else None
        self.smear = SmearGate(config) if config.smear_gate else None
        self.value_embedding = ValueEmbedding(config) if config.value_embedding_layers else None
        self.skips = UnetSkips(config) if config.unet_skips else None
        self.mtp = nn.ModuleList(MultiTokenHead(config) for _ in range(config.mtp_heads))
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
        """Number of blocks, each counted once however often it runs."""
        return self.config.layers

    @property
    def context(self) -> int:
        """Window length in training."""
        return self.config.context

    def hidden(self, tokens: Tensor, *, documents_apart: bool = False) -> Tensor:
        """Normalised final states ``[B, S, D]`` of ``tokens [B, S]`` int64; state ``s`` predicts token ``s + 1``.

        With ``documents_apart`` the states of a document are, up to rounding, those that it has in a row of its own.
        """
        readable = own_document(tokens, self.config.bos_id) if documents_apart else None
        return self._states(tokens, self._positions(tokens.shape[1], tokens.device), None, readable)

    def hidden_from(self, tokens: Tensor, first: int) -> Tensor:
        """``hidden(tokens)[:, first:]``: in the last layer, earlier positions are read and not worked out."""
        return self._states(tokens, self._positions(tokens.shape[1], tokens.device), None, first=first)

    def start_cache(self, rows: int, width: int) -> Cache:
        """An empty cache for ``rows`` rows of at most ``width`` tokens."""
        return empty_cache(self.config, rows, width, self.embedding)

    def extend(self, tokens: Tensor, cache: Cache) -> Tensor:
        """States ``[B, S, D]`` of ``tokens [B, S]`` that continue the rows of ``cache``, which then holds them too.

        Equal to the last ``S`` states of :meth:`hidden` over whole rows up to rounding. The cache belongs to the
        weights it was filled under.
        """
        start, stop = cache.length, cache.length + tokens.shape[1]
        table = self._positions(stop, tokens.device)
        return self._states(tokens, RotaryTable(table.cos[start:], table.sin[start:]), cache)

    def forget(self, cache: Cache, columns: int, sinks: int) -> None:
        """Let go of ``columns`` columns of ``cache`` after its first ``sinks``; what follows takes their places."""
        table = self._positions(columns + 1, self.embedding.device)
        cache.forget(columns, sinks, RotaryTable(table.cos[columns:], table.sin[columns:]))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` in ``(-softcap, softcap)``: ``c tanh(z / c)``."""
        cap = self.config.logit_softcap
        logits = F.linear(hidden, self.embedding).div_(cap)
        return cap * torch.tanh(logits) if logits.requires_grad else logits.tanh_().mul_(cap)

    @property
    def head_cap(self) -> float:
        """The cap ``c`` of the logits."""
        return self.config.logit_softcap

    def head_matrix(self) -> Tensor:
        """The embedding ``[V, D]``, to which the head is tied."""
        return self.embedding

    def weight_roles(self) -> dict[str, WeightRole]:
        """A weight's role is its name inside its layer; the embedding is the head as well."""
        roles = {name: WeightRole((LAYER.sub("", name),), layer_in(name)) for name, _ in self.named_parameters()}
        return roles | {"embedding": WeightRole((EMBEDDING, HEAD))}

    def forward(self, tokens: Tensor, below: Partway | None = None) -> Tensor:
        """Logits ``[B, S, V]`` of ``tokens [B, S]``, from where :meth:`below` left them where it is given."""
        at = self._entered(tokens, None) if below is None else below
        table = self._positions(tokens.shape[1], tokens.device)
        return self.head(norm(self._through(at, len(self.config.layer_order), table).x))

    def below(self, tokens: Tensor, layers: int) -> Partway:
        """Rows ``tokens [B, S]`` where the first of the layers from ``layers`` on reads them."""
        order = self.config.layer_order
        stop = next((place for place, layer in enumerate(order) if layer >= layers), len(order))
        return self._through(self._entered(tokens, None), stop, self._positions(tokens.shape[1], tokens.device))

    def _states(
        self,
        tokens: Tensor,
        table: RotaryTable,
        cache: Cache | None,
        readable: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """Normalised final states of the positions from ``first`` on."""
        at = self._entered(tokens, cache)
        return norm(self._through(at, len(self.config.layer_order), table, cache, readable, first).x)

    def _entered(self, tokens: Tensor, cache: Cache | None) -> Partway:
        """Rows before the first place."""
        embedded = self._embedded(tokens, cache)
        return Partway(0, embedded, embedded, self.value_embedding(tokens) if self.value_embedding else {}, ())

    def _through(
        self,
        at: Partway,
        stop: int,
        table: RotaryTable,
        cache: Cache | None = None,
        readable: Tensor | None = None,
        first: int = 0,
    ) -> Partway:
        """Rows before the place ``stop``; after the last one, of their positions from ``first`` on."""
        x, kept, last = at.x, list(at.kept), len(self.config.layer_order) - 1
        for place in range(at.place, stop):
            layer = self.config.layer_order[place]
            if self.skips:
                x = self.skips.before(place, x, kept)
            held = cache.places[place] if cache else None
            wanted = first if place == last else 0
            x = self.blocks[layer](x, at.embedded, table, held, at.values.get(layer), readable, wanted)
            if self.skips:
                self.skips.after(place, x, kept)
        return Partway(stop, x, at.embedded, at.values, tuple(kept))

    def _embedded(self, tokens: Tensor, cache: Cache | None) -> Tensor:
        """The network's input ``[B, S, D]``; a cache gives the token before and takes the last one."""
        previous = cache.previous if cache else None
        x = F.embedding(tokens, self.embedding)
        if self.bigram_embedding:
            x = x + self.bigram_embedding(tokens, previous)
        embedded = norm(x)
        if cache:
            cache.previous = Previous(tokens[:, -1:], embedded[:, -1:])
        smeared: Tensor = self.smear(embedded, tokens, previous) if self.smear else embedded
        return smeared

    def _positions(self, length: int, device: torch.device) -> RotaryTable:
        table = self._table
        if table is None or table.cos.shape[0] < length or table.cos.device != device:
            length_kept = max(length, self.config.context)
            table = rotary_table(length_kept, self.config.rotated_width, self.config.rope_base, device)
            self._table = table
        return RotaryTable(table.cos[:length], table.sin[:length])
