"""What followed a context, sparsely: the answer of a count table, and the same from the tokens just before a target.

``counts`` answers for everything that has been added to it. ``recent_continuations`` answers for the tokens between
that and the target, which the prefix of the target allows but the table does not hold yet. Both return one
``Continuations`` per n-gram order, and ``joined`` adds them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import UsageError
from evaladapt.toolbox.key_index import Ints

_COMPARISONS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Continuations:
    """For N contexts, the tokens that followed each and how often, as a list of entries sorted by context.

    ``rows`` (which context, 0..N-1), ``tokens`` and ``counts`` are int64 [M]; ``totals`` int64 [N] sums a context's
    counts and is 0 where the context has not been seen. After ``joined`` a token may have two entries; counts add up.
    """

    rows: Ints
    tokens: Ints
    counts: Ints
    totals: Ints

    @classmethod
    def none(cls, contexts: int) -> Continuations:
        """Nothing followed any of them."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, empty, np.zeros(contexts, dtype=np.int64))

    @classmethod
    def of(cls, contexts: int, rows: Ints, tokens: Ints, counts: Ints) -> Continuations:
        """With the totals summed from the entries."""
        totals = np.bincount(rows, weights=counts, minlength=contexts).astype(np.int64)
        return cls(rows, tokens, counts, totals)

    def variety(self) -> Ints:
        """How many entries each context has [N]: the different tokens that followed it, as far as one source knows."""
        return np.bincount(self.rows, minlength=len(self.totals))

    def joined(self, other: Continuations) -> Continuations:
        """Both sets of counts for the same contexts."""
        if len(other.rows) == 0:
            return self
        if len(self.rows) == 0:
            return other
        rows = np.concatenate([self.rows, other.rows])
        order = np.argsort(rows, kind="stable")
        return Continuations(
            rows[order],
            np.concatenate([self.tokens, other.tokens])[order],
            np.concatenate([self.counts, other.counts])[order],
            self.totals + other.totals,
        )


def joined_orders(table: Sequence[Continuations], recent: Sequence[Continuations]) -> list[Continuations]:
    """Order by order, what a table knows and what the tokens since its last update add."""
    return [old.joined(new) for old, new in zip(table, recent, strict=True)]


def recent_continuations(preceding: NDArray[np.integer], fresh: Ints, max_order: int) -> list[Continuations]:
    """Continuations among the last tokens before each of N targets, for n-gram orders 2 .. ``max_order``.

    ``preceding`` [N, K] holds the K tokens before each target, oldest first, negative where there is none. The last
    ``fresh[n]`` of them count as continuations (those a table does not hold yet); their contexts may reach further
    back. Only a target's own ``fresh + max_order - 1`` last tokens matter, so the answer is the same whether targets
    are asked one at a time or in a block with a longer row. Costs N x K comparisons.
    """
    if preceding.ndim != 2 or fresh.shape != (len(preceding),):
        raise UsageError(f"preceding must be [N, K] and fresh [N], got {preceding.shape} and {fresh.shape}.")
    found: list[list[tuple[Ints, Ints]]] = [[] for _ in range(max_order - 1)]
    at_once = max(1, _COMPARISONS_AT_ONCE // max(1, preceding.shape[1]))
    for first in range(0, len(preceding), at_once):
        part = slice(first, first + at_once)
        for matches, (rows, tokens) in zip(found, _matches(preceding[part], fresh[part], max_order), strict=True):
            matches.append((rows + first, tokens))
    return [_counted(len(preceding), matches) for matches in found]


def _matches(preceding: NDArray[np.integer], fresh: Ints, max_order: int) -> list[tuple[Ints, Ints]]:
    """Per order, the row and the token of every fresh position whose context equals the row's own."""
    length = preceding.shape[1]
    if length < 2:
        return [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)) for _ in range(max_order - 1)]
    oldest = max(1, length - int(fresh.max(initial=0)))
    flat = np.flatnonzero(preceding[:, oldest - 1 : -1] == preceding[:, -1:])
    rows, places = np.divmod(flat, max(1, length - oldest))
    places += oldest
    allowed = (places >= length - fresh[rows]) & (preceding[rows, places] >= 0) & (preceding[rows, -1] >= 0)
    rows, places = rows[allowed], places[allowed]
    matches = [(rows, preceding[rows, places].astype(np.int64))]
    for back in range(2, max_order):
        inside = places >= back
        rows, places = rows[inside], places[inside]
        if back <= length:
            same = (preceding[rows, places - back] == preceding[rows, length - back]) & (
                preceding[rows, length - back] >= 0
            )
            rows, places = rows[same], places[same]
        matches.append((rows, preceding[rows, places].astype(np.int64)))
    return matches


def _counted(contexts: int, matches: list[tuple[Ints, Ints]]) -> Continuations:
    if not matches:
        return Continuations.none(contexts)
    rows = np.concatenate([rows for rows, _ in matches])
    tokens = np.concatenate([tokens for _, tokens in matches])
    entries, counts = np.unique((rows << 32) | tokens, return_counts=True)
    return Continuations.of(contexts, entries >> 32, entries & 0xFFFFFFFF, counts.astype(np.int64))
