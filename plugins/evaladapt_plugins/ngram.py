"""A cache of scored text, mixed with the model as one distribution.

From the shortest context to the longest, with the model as p_0,

    p_n(a) = (c_n(a) + f * beta_n * p_{n-1}(a)) / (C_n + f * beta_n)

(hierarchical Dirichlet back-off, MacKay and Peto 1995). Order 1 counts the last few hundred tokens without a context;
order n counts what followed the last n-1 tokens anywhere in the text, and more so among the last few thousand, because
what a text has just said it says again. The strength of a context is a power law of how often it was seen, C, and of
how many different tokens followed it, T:  beta_n = scale * C^x * T^y. A context that was always followed by the same
token is trusted, one that was followed by many is not, and both to a degree that was fitted. The factor f is learned
from what was scored: text that does not repeat itself raises it until the model is left alone.

All of it is known before the target, every count is part of its total, and every scored token is in the table once.

State changes between batches; tokens of the batch itself count through the prefix of the target. ``ngram`` remembers
the whole text, ``ngram-document`` forgets it at every document. The table is exact and bounded: when full it forgets
what is old and rare (`evaladapt.toolbox.counts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.contract import Boundary, Capabilities, Query, RunInfo, Scored, Stage, State, hookimpl, option
from evaladapt.toolbox.backoff import Strength, backoff_of_targets, dirichlet_backoff
from evaladapt.toolbox.continuations import Continuations
from evaladapt.toolbox.counts import NgramCounts
from evaladapt.toolbox.learned_factor import LearnedFactor
from evaladapt.toolbox.recency import Nearby, merged, recent_tokens

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw:
    """Strength of a context in counts: ``scale * seen ** by_seen * variety ** by_variety``."""

    scale: float
    by_seen: float
    by_variety: float

    def strength(self, seen: NDArray[np.generic], variety: NDArray[np.generic]) -> Floats:
        """One per context [N]; 1 or more sightings are assumed, because without any it does not matter."""
        return np.asarray(
            self.scale * np.maximum(seen, 1.0) ** self.by_seen * np.maximum(variety, 1.0) ** self.by_variety,
            dtype=np.float64,
        )


STRENGTHS = (
    PowerLaw(3.5, -0.45, 2.07),
    PowerLaw(36.7, -0.03, 1.05),
    PowerLaw(34.9, -0.23, 1.18),
    PowerLaw(23.2, 0.03, 2.17),
    PowerLaw(15.1, 0.59, 0.24),
    PowerLaw(12.0, 0.60, 1.41),
    PowerLaw(4.3, 0.31, 1.69),
)
"""For orders 1 to 7, fitted together on 60,000 tokens of held-out C4 and 45,000 of docstrings of the standard library,
each predicted by the default artifact alone and after ``ttt,slot-lbfgs``; the last stands for every longer context."""

FACTORS = 2.0 ** torch.arange(-3, 11, dtype=torch.float64)
"""What the learned factor on all strengths may be; at the upper end the model is left alone."""

EVERY = 4
"""The factor is learned from every fourth target: enough to know it, at a quarter of the lookups."""


@dataclass(frozen=True, kw_only=True)
class NgramOptions:
    """Options of ``ngram`` and ``ngram-document``."""

    max_order: int = option(7, "longest n-gram: a context has one token less", minimum=2, maximum=16)
    recent: int = option(256, "tokens before a target that are counted without a context", minimum=1, maximum=4096)
    reach: int = option(2048, "tokens before a target whose n-grams count more often", minimum=1, maximum=8192)
    recency: int = option(8, "how many times more they count", minimum=0)
    strength: float = option(1.0, "factor on every back-off strength at the start; larger trusts the model more",
                             above=0)  # fmt: skip
    half_life: float = option(4_096.0, "targets after which the evidence on that factor counts half", above=0)
    max_entries: int = option(20_000_000, "different n-grams that are remembered, at about 50 bytes each", minimum=1)


class Ngram:
    """Counts over the whole text."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, reads=frozenset({"trail"}), scope="stream")
    Options = NgramOptions

    def __init__(self, options: NgramOptions) -> None:
        self._options = options
        self._counts = NgramCounts(options.max_order, options.max_entries)
        self._nearby = Nearby(options.reach, options.recency, options.max_order)
        self._tail: Ints = np.empty(0, dtype=np.int64)
        self._factor = LearnedFactor.fresh(FACTORS, options.half_life)

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """The text begins with BOS, which is no target."""
        self._bos = run.stream.bos_id
        self._start_over()

    @hookimpl
    def mix(self, logprobs: Tensor, query: Query) -> Tensor:
        """Blend the counts into [B,S,V]."""
        run = np.concatenate([self._tail, query.since_frontier().cpu().numpy()])
        places = len(self._tail) + query.positions[query.valid].cpu().numpy() - query.frontier
        orders = self._orders(run, places)
        whole = bool(query.valid.all())
        asked = logprobs.flatten(0, 1) if whole else logprobs[query.valid]
        blended = dirichlet_backoff(asked, orders, self._strengths(orders, self._factor.value))
        if whole:
            return blended.view(logprobs.shape)
        mixed = logprobs.clone()
        mixed[query.valid] = blended
        return mixed

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Count every scored token once, after learning how much the counts so far were worth."""
        targets = scored.targets.cpu().numpy()
        self._learn(targets, cast(Tensor, scored.trail)[-1].exp().cpu().numpy())
        self._counts.add(targets, self._tail)
        kept = max(self._options.reach, self._options.recent) + self._options.max_order
        self._tail = np.concatenate([self._tail, targets])[-kept:]

    @hookimpl
    def state(self) -> State:
        """The tables, the last tokens and the evidence on the factor."""
        tables = {name: torch.from_numpy(array) for name, array in self._counts.state().items()}
        return {"tail": torch.from_numpy(self._tail.copy()), "evidence": self._factor.log_weights.clone(), **tables}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        arrays = {name: one.numpy().copy() for name, one in state.items() if isinstance(one, Tensor)}
        self._tail = arrays.pop("tail")
        self._factor = replace(self._factor, log_weights=torch.from_numpy(arrays.pop("evidence")))
        self._counts.load_state(arrays)

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """What was learned and what is remembered."""
        return {"factor on strengths": self._factor.value, "n-grams": len(self._counts)}

    def _start_over(self) -> None:
        self._counts.clear()
        self._tail = np.array([self._bos], dtype=np.int64)
        self._factor = LearnedFactor.fresh(FACTORS, self._options.half_life)

    def _learn(self, targets: Ints, model: Floats) -> None:
        """Compare the factors on a part of the targets [n], to which the model gave the probabilities ``model`` [n]."""
        chosen = np.arange(0, len(targets), EVERY)
        run, places = np.concatenate([self._tail, targets]), len(self._tail) + chosen
        orders, factors = self._orders(run, places), self._factor.grid.numpy()[:, None]
        probs = backoff_of_targets(model[chosen], orders, self._strengths(orders, factors), targets[chosen])
        charges = torch.from_numpy(np.log(probs).sum(-1)) * (len(targets) / len(chosen))
        self._factor = self._factor.after(charges, len(targets))

    def _orders(self, run: Ints, places: Ints) -> list[Continuations]:
        """The last tokens before every target, and counts for its context, lowest order first."""
        longest = self._options.max_order - 1
        padded = np.concatenate([np.full(longest, -1, dtype=np.int64), run])
        contexts = padded[places[:, None] + np.arange(longest)]
        nearby = self._nearby.continuations(run, places, len(self._tail))
        longer = [merged(old, new) for old, new in zip(self._counts.lookup(contexts), nearby, strict=True)]
        return [recent_tokens(run, places, self._options.recent), *longer]

    def _strengths(self, orders: Sequence[Continuations], factor: float | Floats) -> list[Strength]:
        """Of the contexts of every order, times the factors [..., 1]."""
        laws = [STRENGTHS[min(order, len(STRENGTHS) - 1)] for order in range(len(orders))]
        factor = self._options.strength * factor
        return [factor * law.strength(one.totals, one.variety()) for law, one in zip(laws, orders, strict=True)]


class NgramDocument(Ngram):
    """Counts over the current document."""

    capabilities = Capabilities(stage=Stage.PROBS, reads=frozenset({"trail"}), scope="document")

    @hookimpl
    def reset(self, boundary: Boundary) -> None:
        """Forget the document before."""
        self._start_over()
