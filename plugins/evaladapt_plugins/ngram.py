"""A cache of n-grams over scored text, mixed with the model as one distribution.

From the shortest context to the longest, with the model as p_1,

    p_n(a) = (c_n(a) + beta_n * p_{n-1}(a)) / (C_n + beta_n)

(hierarchical Dirichlet back-off, MacKay and Peto 1995). The strength of a context is a power law of how often it was
seen, C, and of how many different tokens followed it, T:  beta_n = exp(s) * C^x * T^y. A context that was always
followed by the same token is trusted, one that was followed by many is not, and both to a degree that was fitted. The
last tokens before a target count several times: what a text has just said it says again. All of it is known before the
target, every count is part of its total, and every scored token is in the table once.

State changes between batches; tokens of the batch itself count through the prefix of the target. ``ngram`` remembers
the whole text, ``ngram-document`` forgets it at every document. The table is exact and bounded: when full it forgets
what is old and rare (`evaladapt.toolbox.counts`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.contract import Boundary, Capabilities, Query, RunInfo, Scored, Stage, State, hookimpl, option
from evaladapt.toolbox.backoff import dirichlet_backoff
from evaladapt.toolbox.continuations import Continuations
from evaladapt.toolbox.counts import NgramCounts
from evaladapt.toolbox.recency import Nearby, merged

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PowerLaw:
    """Strength of a context in counts: ``scale * seen ** by_seen * variety ** by_variety``."""

    scale: float
    by_seen: float
    by_variety: float

    def strength(self, found: Continuations) -> NDArray[np.float64]:
        """One per context [N]; 1 or more sightings are assumed, because without any it does not matter."""
        seen, variety = np.maximum(found.totals, 1), np.maximum(found.variety(), 1)
        return np.asarray(self.scale * seen**self.by_seen * variety**self.by_variety, dtype=np.float64)


STRENGTHS = (
    PowerLaw(31.2, -0.13, 1.06),
    PowerLaw(17.5, -0.08, 1.08),
    PowerLaw(12.4, 0.34, 1.14),
    PowerLaw(11.0, 0.55, 1.13),
    PowerLaw(9.1, 0.18, 1.04),
)
"""For orders 2 to 6, fitted on 66,517 tokens of held-out C4 and 60,000 of Python docstrings and licences together; the
last one stands for every longer context too."""


@dataclass(frozen=True, kw_only=True)
class NgramOptions:
    """Options of ``ngram`` and ``ngram-document``."""

    max_order: int = option(6, "longest n-gram: a context has one token less", minimum=2, maximum=16)
    reach: int = option(2048, "tokens before a target that count more often", minimum=1, maximum=8192)
    recency: int = option(8, "how many times more they count", minimum=0)
    strength: float = option(1.0, "factor on every back-off strength; larger trusts the model more", above=0)
    max_entries: int = option(40_000_000, "different n-grams that are remembered, at about 40 bytes each", minimum=1)


class Ngram:
    """Counts over the whole text."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")
    Options = NgramOptions

    def __init__(self, options: NgramOptions) -> None:
        self._options = options
        self._counts = NgramCounts(options.max_order, options.max_entries)
        self._nearby = Nearby(options.reach, options.recency, options.max_order)
        self._tail: Ints = np.empty(0, dtype=np.int64)

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """The text begins with BOS, which is no target."""
        self._bos = run.stream.bos_id
        self._start_over()

    @hookimpl
    def mix(self, logprobs: Tensor, query: Query) -> Tensor:
        """Blend the counts into [B,S,V]."""
        positions = query.positions[query.valid].cpu().numpy()
        run = np.concatenate([self._tail, _since_frontier(query)])
        places = len(self._tail) + positions - query.frontier
        orders = self._orders(run, places)
        strengths = [
            self._options.strength * law.strength(found) for law, found in zip(self._laws(), orders, strict=True)
        ]
        blended = dirichlet_backoff(logprobs[query.valid].exp(), orders, strengths)
        mixed = logprobs.clone()
        mixed[query.valid] = blended.clamp_min_(torch.finfo(blended.dtype).tiny).log_()
        return mixed

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Count every scored token once."""
        targets = scored.targets.cpu().numpy()
        self._counts.add(targets, self._tail)
        self._tail = np.concatenate([self._tail, targets])[-(self._options.reach + self._options.max_order) :]

    @hookimpl
    def state(self) -> State:
        """The tables and the last tokens."""
        tables = {name: torch.from_numpy(array) for name, array in self._counts.state().items()}
        return {"tail": torch.from_numpy(self._tail.copy()), **tables}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        arrays = {name: one.numpy().copy() for name, one in state.items() if isinstance(one, Tensor)}
        self._tail = arrays.pop("tail")
        self._counts.load_state(arrays)

    def _start_over(self) -> None:
        self._counts.clear()
        self._tail = np.array([self._bos], dtype=np.int64)

    def _orders(self, run: Ints, places: Ints) -> list[Continuations]:
        """Counts for the context of every target, lowest order first."""
        longest = self._options.max_order - 1
        padded = np.concatenate([np.full(longest, -1, dtype=np.int64), run])
        contexts = padded[places[:, None] + np.arange(longest)]
        nearby = self._nearby.continuations(run, places, len(self._tail))
        return [merged(old, new) for old, new in zip(self._counts.lookup(contexts), nearby, strict=True)]

    def _laws(self) -> list[PowerLaw]:
        return [STRENGTHS[min(index, len(STRENGTHS) - 1)] for index in range(self._options.max_order - 1)]


class NgramDocument(Ngram):
    """Counts over the current document."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="document")

    @hookimpl
    def reset(self, boundary: Boundary) -> None:
        """Forget the document before."""
        self._start_over()


def _since_frontier(query: Query) -> Ints:
    """The tokens from the frontier up to the last target of the query, which is not among them: [n]."""
    last = query.positions.max().reshape(1, 1)
    only = replace(query, positions=last, valid=torch.ones_like(last, dtype=torch.bool))
    return only.preceding(int(last) - query.frontier).flatten().cpu().numpy()
