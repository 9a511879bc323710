"""A model of the text's bytes beside the model of its tokens.

It counts what followed the last few bytes (`evaladapt.toolbox.byte_counts`) and walks the trie of the vocabulary's
bytes, so that it is a distribution over tokens. It sees what token contexts do not: a word that was cut otherwise, a
stem with another ending, a number's shape. Both distributions are mixed in the log domain with exponents learned from
what was scored (`evaladapt.toolbox.geometric`), which begin at the tokens' model alone.

State changes between batches; the context of a target may reach into its batch, through the prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.contract import (
    Capabilities,
    Query,
    RunInfo,
    Scored,
    Stage,
    State,
    Vocabulary,
    hookimpl,
    option,
)
from evaladapt.toolbox import geometric
from evaladapt.toolbox.byte_counts import NO_TEXT, ByteCounts, ByteTrie

NODES_AT_ONCE = 2_000_000
"""Nodes of all tries that are walked at a time, which bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class PpmOptions:
    """Options of ``ppm``."""

    order: int = option(5, "bytes of the longest context", minimum=1, maximum=12)
    bits: int = option(
        21, "two to this power is how many slots each of three tables has, of 4 bytes", minimum=8, maximum=28
    )
    every: int = option(4, "the exponents are learned from every so many targets", minimum=1)
    precision: float = option(300.0, "how firmly the exponents stay where they begin, in targets", above=0)
    half_life: float = option(4_096.0, "targets after which what the exponents learned counts half", above=0)


class Ppm:
    """Byte counts over the whole text, and exponents."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, reads=frozenset({"vocabulary", "distributions"}), scope="stream")
    Options = PpmOptions
    horizon = 512

    def __init__(self, options: PpmOptions) -> None:
        self._options = options
        self._counts = ByteCounts(options.order, options.bits)
        self._exponents = geometric.start(2, options.precision)
        self._tail: list[int] = []

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """Build the trie."""
        self._bytes = cast(Vocabulary, run.vocabulary).bytes
        self._trie = ByteTrie(self._bytes)
        self._tail = [run.stream.bos_id]

    @hookimpl
    def mix(self, logprobs: Tensor, query: Query) -> Tensor:
        """The bytes' distribution mixed into [B,S,V]."""
        places = (query.positions[query.valid] - query.frontier).tolist()
        contexts = self._contexts(self._tail + query.since_frontier().tolist(), places)
        handed = logprobs[query.valid]
        experts = [self._byte_model(contexts).to(handed), handed]
        at = geometric.exponents(self._exponents, geometric.features(*experts))
        mixed = logprobs.clone()
        mixed[query.valid] = geometric.mixed(experts, at)[0]
        return mixed

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Learn what the byte model was worth, and count the batch."""
        targets = scored.targets.tolist()
        self._learn(targets, cast(Tensor, scored.distributions))
        self._counts.add(self._text(targets), self._text(self._tail))
        self._tail = (self._tail + targets)[-self._options.order :]

    @hookimpl
    def state(self) -> State:
        """Tables, exponents and the last tokens."""
        tables = {name: torch.from_numpy(table) for name, table in self._counts.state().items()}
        return {**tables, "exponents": self._exponents.clone(), "tail": torch.tensor(self._tail)}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        names = self._counts.state()
        self._counts.load_state({name: cast(Tensor, state[name]).numpy() for name in names})
        self._exponents, self._tail = cast(Tensor, state["exponents"]).clone(), cast(Tensor, state["tail"]).tolist()

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """Exponents of bytes and tokens where all features are zero."""
        plain = torch.eye(1, geometric.FEATURES, dtype=torch.float64)
        of_bytes, of_tokens = geometric.exponents(self._exponents, plain)[0].tolist()
        return {"exponent of bytes": of_bytes, "exponent of tokens": of_tokens}

    def _learn(self, targets: list[int], handed: Tensor) -> None:
        """Newton steps on some targets of the batch, each with the evidence of as many as it stands for."""
        every = self._options.every
        chosen = list(range(every - 1, len(targets), every))
        if not chosen:
            return
        contexts = self._contexts(self._tail + targets, chosen)
        experts = [self._byte_model(contexts).to(handed), handed[chosen]]
        known = geometric.local(experts, self._exponents).packed().cpu()
        charges = torch.stack([one[range(len(chosen)), [targets[at] for at in chosen]] for one in experts], 1)
        fading = 0.5 ** (every / self._options.half_life)
        for noted, charged in zip(known, charges.double().cpu(), strict=True):
            self._exponents = geometric.newton(
                self._exponents, charged, noted, precision=self._options.precision, fading=fading
            )

    def _contexts(self, run: list[int], places: list[int]) -> NDArray[np.uint8]:
        """The last bytes [n,order] before targets; ``run`` is the tail and the tokens of the batch, numbered from 0."""
        order, tail = self._options.order, len(self._tail)
        rows = [
            self._text(run[max(0, tail + place - order) : tail + place])[-order:].rjust(order, NO_TEXT)
            for place in places
        ]
        return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), order)

    def _byte_model(self, contexts: NDArray[np.uint8]) -> Tensor:
        """Log-probabilities [n,V] of the tokens, some contexts at a time."""
        rows = max(1, NODES_AT_ONCE // self._trie.nodes)
        pieces = [contexts[first : first + rows] for first in range(0, len(contexts), rows)]
        found = [torch.from_numpy(self._counts.token_logprobs(self._trie, piece)) for piece in pieces]
        return torch.cat(found) if found else torch.empty(0, len(self._bytes))

    def _text(self, tokens: list[int]) -> bytes:
        return b"".join(self._bytes[token] or NO_TEXT for token in tokens)
