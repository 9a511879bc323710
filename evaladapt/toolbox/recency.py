"""The tokens just before every target: what a table does not hold yet, and what counts more because it is near.

A strategy keeps the last tokens that were observed (its tail) and appends the part of the batch that is the prefix of a
target already. Counts from here are added to those of a table; every count is part of its total, so what is built on
them stays a distribution. A target's answer depends on the tokens before it only, so block and step mode agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaladapt.toolbox.continuations import Continuations, stretches
from evaladapt.toolbox.key_index import Ints

NOTHING = -1
_TOKEN_MASK = 0xFFFFFFFF
_COMPARISONS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Nearby:
    """Which tokens before a target count, and how much.

    Attributes:
        reach: the last ``reach`` tokens before a target count ``weight`` times ...
        weight: ... on top of what they count in the table.
        max_order: highest n-gram order.
    """

    reach: int
    weight: int
    max_order: int

    def continuations(self, run: Ints, places: Ints, frontier: int) -> list[Continuations]:
        """What followed each target's context nearby, for orders 2 .. ``max_order``.

        Args:
            run: [L] tokens of the tail and of the batch.
            places: [N] index in ``run`` of every target; only tokens before it are looked at.
            frontier: index in ``run`` from which on tokens are in no table yet: they count once more, however far back.
        """
        width = int(max(self.reach, (places - frontier).max(initial=0))) + self.max_order - 1
        padded = np.concatenate([np.full(width, NOTHING, dtype=np.int64), run])
        rows_at_once = max(1, _COMPARISONS_AT_ONCE // width)
        parts: list[list[tuple[Ints, Ints, Ints]]] = [[] for _ in range(self.max_order - 1)]
        for first in range(0, len(places), rows_at_once):
            some = places[first : first + rows_at_once]
            for order, (rows, found) in enumerate(self._matches(padded, some + width, width)):
                origin = found - width
                distance = some[rows] - origin
                counts = (origin >= frontier) + self.weight * (distance <= self.reach)
                kept = counts > 0
                parts[order].append((rows[kept] + first, padded[found[kept]], counts[kept].astype(np.int64)))
        return [_summed(len(places), one) for one in parts]

    def _matches(self, padded: Ints, places: Ints, width: int) -> list[tuple[Ints, Ints]]:
        """Per order, which target (row) and where in ``padded`` a token stands that followed the target's context."""
        span = width - self.max_order + 1
        before = np.lib.stride_tricks.sliding_window_view(padded, span)[places - 1 - span]
        own = padded[places - 1, None]
        rows, columns = np.nonzero((before == own) & (own != NOTHING))
        found = places[rows] - span + columns
        matches = [(rows, found)]
        for back in range(2, self.max_order):
            same = (padded[found - back] == padded[places[rows] - back]) & (padded[found - back] != NOTHING)
            rows, found = rows[same], found[same]
            matches.append((rows, found))
        return matches


def recent_tokens(run: Ints, places: Ints, reach: int) -> Continuations:
    """Which tokens stand among the last ``reach`` before each target, and how often.

    A token counts where it stands last before the target; how often, says its place among all of its kind.

    Args:
        run: [L] tokens, of which those before a target count.
        places: [N] index in ``run`` of every target, ascending.
        reach: tokens looked at; fewer where ``run`` begins.
    """
    first = max(0, int(places[0]) - reach)
    run, ends = run[first : int(places[-1])], places - first
    kinds = np.argsort(run, kind="stable")
    sorted_run, rank = run[kinds], np.empty_like(kinds)
    rank[kinds] = np.arange(len(run))
    following = np.full(len(run), len(run) + reach, dtype=np.int64)
    again = sorted_run[1:] == sorted_run[:-1]
    following[kinds[:-1][again]] = kinds[1:][again]
    index = np.arange(len(run))
    earliest = np.searchsorted(ends, index, side="right")
    latest = np.searchsorted(ends, np.minimum(following, index + reach), side="right")
    targets = np.maximum(latest - earliest, 0)
    rows, last = stretches(earliest, targets), np.repeat(index, targets)
    keys, size = sorted_run * (len(run) + 1) + kinds, len(run) + 1
    before = np.searchsorted(keys, run[last] * size + np.maximum(ends[rows] - reach, 0))
    in_order = np.argsort(rows, kind="stable")
    counts = rank[last] - before + 1
    return Continuations.of(len(places), rows[in_order], run[last][in_order], counts[in_order])


def merged(table: Continuations, nearby: Continuations) -> Continuations:
    """Both sets of counts for the same contexts, with one entry per token."""
    if len(nearby.rows) == 0:
        return table
    return _summed(
        len(table.totals),
        [(table.rows, table.tokens, table.counts), (nearby.rows, nearby.tokens, nearby.counts)],
    )


def _summed(contexts: int, parts: list[tuple[Ints, Ints, Ints]]) -> Continuations:
    if not parts:
        return Continuations.none(contexts)
    rows, tokens, counts = (np.concatenate([part[index] for part in parts]) for index in range(3))
    keys, inverse = np.unique((rows << 32) | tokens, return_inverse=True)
    summed = np.bincount(inverse, weights=counts, minlength=len(keys)).astype(np.int64)
    return Continuations.of(contexts, keys >> 32, keys & _TOKEN_MASK, summed)
