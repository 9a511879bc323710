"""Exact n-gram counts that grow while a text is read: what followed each context, for several orders at once.

A strategy adds tokens that have been scored and asks, for the contexts of its next targets, which tokens followed them
and how often. Nothing is ever looked up by target, numerators and denominators come from the same entries, and keys
are compared, not only hashed; so ``(count + beta * p) / (total + beta)`` is a distribution whenever ``p`` is one.

Layout: an n-gram of order n is a key (number of its first n-1 tokens as an n-gram of order n-1, last token) in the
``KeyIndex`` of that order. The number of an n-gram thus also names a context of the next order: one table per order,
each a level of a trie. What followed a context lies in one piece of two flat arrays (tokens, counts), with room that
doubles; a lookup copies that piece.

Memory: about 50 bytes per distinct n-gram. ``max_entries`` bounds it; when the orders together hold more, the older
half of each order (by first sight) loses the n-grams seen once, then twice, four times ..., until at least a quarter of
the room is free. Rare old n-grams are forgotten, frequent and recent ones stay, and every distribution stays exact over
what is left.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import UsageError
from evaladapt.toolbox.continuations import Continuations, stretches
from evaladapt.toolbox.key_index import Ints, KeyIndex, grown

_TOKEN_MASK = 0xFFFFFFFF
_ROOM_AFTER_PRUNING = 0.75


class NgramCounts:
    """Counts of n-grams of order 2 .. ``max_order`` over everything added since ``clear``."""

    def __init__(self, max_order: int = 6, max_entries: int = 40_000_000) -> None:
        if max_order < 2:
            raise UsageError(f"n-gram counts need max_order >= 2, got {max_order}.")
        if max_entries < 1:
            raise UsageError(f"n-gram counts need max_entries >= 1, got {max_entries}.")
        self.max_order = max_order
        self.max_entries = max_entries
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._levels = [_Level() for _ in range(self.max_order - 1)]

    def __len__(self) -> int:
        return sum(len(level) for level in self._levels)

    @property
    def nbytes(self) -> int:
        """Bytes held by the tables."""
        return sum(level.nbytes for level in self._levels)

    def add(self, tokens: NDArray[np.integer], history: NDArray[np.integer]) -> None:
        """Count every n-gram that ends in one of ``tokens`` [n] (ids >= 0), once each.

        ``history`` holds the tokens just before them (the last ``max_order - 1`` matter): n-grams may begin there, but
        none that ends there is counted again. Give an empty history at the start of a text whose contexts should not
        reach back.
        """
        reach = np.asarray(history, dtype=np.int64)[-(self.max_order - 1) :]
        run = np.concatenate([reach, np.asarray(tokens, dtype=np.int64)])
        if len(run) and run.min() < 0:
            raise UsageError("only token ids >= 0 can be counted; cut padding off before adding.")
        fresh = np.arange(len(run)) >= len(reach)
        contexts = run
        for order, level in enumerate(self._levels, start=2):
            if len(run) < order:
                break
            contexts = level.count(contexts[:-1], run[order - 1 :], fresh[order - 1 :])
        if len(self) > self.max_entries:
            self._prune()

    def lookup(self, contexts: NDArray[np.integer]) -> list[Continuations]:
        """What followed each of N contexts, for orders 2 .. ``max_order`` (the last 1 .. ``max_order - 1`` tokens).

        ``contexts`` [N, K] is oldest first; a negative id stands for no token, and no context reaches across it.
        Contexts longer than one that was never continued are not looked up: they cannot have been either.
        """
        if contexts.ndim != 2:
            raise UsageError(f"contexts must be [N, K], got {contexts.shape}.")
        tokens = np.asarray(contexts[:, -(self.max_order - 1) :], dtype=np.int64)
        found = [Continuations.none(len(tokens)) for _ in self._levels]
        rows = np.arange(len(tokens))
        for index in range(min(len(self._levels), tokens.shape[1])):
            parents = self._context_numbers(tokens[rows], index + 1)
            found[index] = self._levels[index].continuations(len(tokens), rows, parents)
            rows = rows[found[index].totals[rows] > 0]
            if len(rows) == 0:
                break
        return found

    def state(self) -> dict[str, NDArray[np.int64]]:
        """Everything as a flat mapping of arrays, for snapshots; ``load_state`` takes it back."""
        flat = {}
        for order, level in enumerate(self._levels, start=2):
            flat[f"order{order}.keys"] = level.keys.copy()
            flat[f"order{order}.counts"] = level.counts()
        return flat

    def load_state(self, state: Mapping[str, NDArray[np.int64]]) -> None:
        """Replace the content by what ``state`` returned, from an instance with the same ``max_order``."""
        names = {f"order{order}.{part}" for order in range(2, self.max_order + 1) for part in ("keys", "counts")}
        if set(state) != names:
            raise UsageError(f"this state is not of n-gram counts up to order {self.max_order}: {sorted(state)}.")
        self._levels = [
            _Level.holding(state[f"order{order}.keys"], state[f"order{order}.counts"])
            for order in range(2, self.max_order + 1)
        ]

    def _context_numbers(self, tokens: Ints, length: int) -> Ints:
        """The number of each row's last ``length`` tokens as an n-gram, -1 where it was never seen."""
        numbers = tokens[:, -length]
        for order in range(2, length + 1):
            following = tokens[:, order - length - 1]
            known = np.flatnonzero((numbers >= 0) & (following >= 0))
            keys = (numbers[known] << 32) | following[known]
            numbers = np.full(len(tokens), -1, dtype=np.int64)
            numbers[known] = self._levels[order - 2].find(keys)
        return numbers

    def _prune(self) -> None:
        room = int(_ROOM_AFTER_PRUNING * self.max_entries)
        largest = max(int(level.counts().max(initial=0)) for level in self._levels)
        threshold = 1
        keep = self._survivors(threshold)
        while sum(int(mask.sum()) for mask in keep) > room and threshold <= largest:
            threshold *= 2
            keep = self._survivors(threshold)
        if sum(int(mask.sum()) for mask in keep) > room:
            self.clear()
            return
        renumbered: Ints | None = None
        for index, (level, mask) in enumerate(zip(self._levels, keep, strict=True)):
            keys, counts = level.keys[mask], level.counts()[mask]
            if renumbered is not None:
                keys = (renumbered[keys >> 32] << 32) | (keys & _TOKEN_MASK)
            self._levels[index] = _Level.holding(keys, counts)
            renumbered = np.cumsum(mask) - 1

    def _survivors(self, threshold: int) -> list[NDArray[np.bool_]]:
        """Per level, the recent, the frequent, and those that are still needed as a context."""
        keep: list[NDArray[np.bool_]] = []
        needed = np.empty(0, dtype=np.int64)
        for level in reversed(self._levels):
            mask = np.arange(len(level)) >= len(level) // 2
            mask |= level.counts() > threshold
            mask[needed] = True
            needed = level.keys[mask] >> 32
            keep.append(mask)
        return keep[::-1]


class _Level:
    """The n-grams of one order, and for every context (by number) the stretch of its continuations."""

    def __init__(self) -> None:
        self._index = KeyIndex()
        self._places = np.empty(0, dtype=np.int32)  # by n-gram: its place in its context's stretch
        self._starts = np.zeros(0, dtype=np.int32)  # by context: where its stretch begins
        self._lengths = np.zeros(0, dtype=np.int32)  # by context: how much of it is used
        self._tokens = np.empty(0, dtype=np.int32)
        self._counts = np.zeros(0, dtype=np.int32)
        self._end = 0

    @classmethod
    def holding(cls, keys: Ints, counts: Ints) -> _Level:
        """A level with these n-grams, numbered in this order."""
        level = cls()
        level._insert(np.asarray(keys, dtype=np.int64))
        level._counts[level._locations(np.arange(len(keys)))] = counts
        return level

    def __len__(self) -> int:
        return len(self._index)

    @property
    def keys(self) -> Ints:
        """(context number << 32) | token, by n-gram number."""
        return self._index.keys

    @property
    def nbytes(self) -> int:
        arrays = (self._places, self._starts, self._lengths, self._tokens, self._counts)
        return self._index.nbytes + sum(array.nbytes for array in arrays)

    def find(self, keys: Ints) -> Ints:
        """The n-gram numbers, -1 where unknown."""
        return self._index.find(keys)

    def counts(self) -> Ints:
        """By n-gram number."""
        return self._counts[self._locations(np.arange(len(self)))].astype(np.int64)

    def count(self, contexts: Ints, tokens: Ints, fresh: NDArray[np.bool_]) -> Ints:
        """Count context-token pairs [n] where ``fresh``, note the others; returns the n-gram numbers [n]."""
        keys, inverse = np.unique((contexts << 32) | tokens, return_inverse=True)
        numbers = self._index.find(keys)
        missing = numbers < 0
        numbers[missing] = self._insert(keys[missing])
        times = np.bincount(inverse, weights=fresh, minlength=len(keys)).astype(np.int32)
        self._counts[self._locations(numbers)] += times
        return numbers[inverse]

    def continuations(self, contexts: int, rows: Ints, parents: Ints) -> Continuations:
        """For ``rows`` of all ``contexts``, what followed the context with number ``parents`` (-1: unknown)."""
        known = (parents >= 0) & (parents < len(self._lengths))
        rows, parents = rows[known], parents[known]
        lengths = self._lengths[parents]
        flat = stretches(self._starts[parents], lengths)
        counts = self._counts[flat].astype(np.int64)
        tokens = self._tokens[flat].astype(np.int64)
        rows = np.repeat(rows, lengths)
        seen = counts > 0
        if not seen.all():
            rows, tokens, counts = rows[seen], tokens[seen], counts[seen]
        return Continuations.of(contexts, rows, tokens, counts)

    def _locations(self, numbers: Ints) -> Ints:
        contexts = self._index.keys[numbers] >> 32
        locations: Ints = self._starts[contexts].astype(np.int64) + self._places[numbers]
        return locations

    def _insert(self, keys: Ints) -> Ints:
        """Append n-grams that are not there yet to the index and to their contexts' stretches."""
        numbers = self._index.add(keys)
        if len(keys) == 0:
            return numbers
        order = np.argsort(keys >> 32, kind="stable")
        contexts, first, added = np.unique(keys[order] >> 32, return_index=True, return_counts=True)
        self._lengths = grown(self._lengths, int(contexts[-1]) + 1)
        self._starts = grown(self._starts, int(contexts[-1]) + 1)
        old = self._lengths[contexts].astype(np.int64)
        self._make_room(contexts, old, old + added)
        rank = np.arange(len(keys)) - np.repeat(first, added)
        self._places = grown(self._places, len(self._index))
        self._places[numbers[order]] = np.repeat(old, added) + rank
        self._lengths[contexts] = old + added
        self._tokens[self._locations(numbers)] = keys & _TOKEN_MASK
        return numbers

    def _make_room(self, contexts: Ints, old: Ints, new: Ints) -> None:
        """Move the stretches that outgrow their room to the end, into room for the next power of two."""
        room = _power_of_two(new)
        outgrown = (old == 0) | (room > _power_of_two(old))
        contexts, old, room = contexts[outgrown], old[outgrown], room[outgrown]
        starts = self._end + np.cumsum(room) - room
        self._end += int(room.sum())
        self._tokens = grown(self._tokens, self._end)
        self._counts = grown(self._counts, self._end)
        origin, target = stretches(self._starts[contexts], old), stretches(starts, old)
        self._tokens[target] = self._tokens[origin]
        self._counts[target] = self._counts[origin]
        self._starts[contexts] = starts


def _power_of_two(sizes: Ints) -> Ints:
    """The smallest power of two that is not below each size; 1 for 0."""
    return np.left_shift(1, np.ceil(np.log2(np.maximum(sizes, 1))).astype(np.int64))
