"""Where the last tokens of a text stood before: exact matches of many tokens, found by hash chains as in LZ77.

The history is one array. For every position the hash of the ``shortest`` tokens before it leads to the most recent
earlier position with the same hash, and from there to the one before. Candidates are compared token by token, so a
collision of hashes costs a step and never gives a wrong answer. Twelve bytes a token; when the history is full, its
older half is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import UsageError
from evaladapt.toolbox.key_index import Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HEAD_BITS = 20


@dataclass(frozen=True)
class LongMatches:
    """For N targets the tokens [N, C] that followed the latest matches, latest first, and how long each match is.

    ``lengths`` [N, C] is 0 where there is no match of the shortest length, and never above the longest.
    """

    tokens: Ints
    lengths: Ints


class MatchHistory:
    """Tokens seen so far, searchable by what preceded them."""

    def __init__(self, shortest: int = 8, longest: int = 16, candidates: int = 16, capacity: int = 1 << 22) -> None:
        if not 1 <= shortest <= longest <= capacity // 2:
            raise UsageError(f"matches need 1 <= shortest <= longest <= capacity / 2, got {shortest}, {longest}.")
        self._shortest, self._longest = shortest, longest
        self._candidates, self._capacity = candidates, capacity
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._tokens = np.empty(0, dtype=np.int32)
        self._earlier = np.empty(0, dtype=np.int32)  # by position: the position before with the same hash, or -1
        self._latest = np.full(1 << _HEAD_BITS, -1, dtype=np.int32)  # by hash

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def tokens(self) -> NDArray[np.int32]:
        """Everything that is remembered, oldest first; a copy."""
        return self._tokens.copy()

    def add(self, tokens: NDArray[np.integer]) -> None:
        """Append tokens [n]."""
        links, hashes = self._links(tokens)
        positions = len(self._tokens) + np.arange(len(tokens), dtype=np.int32)
        known = hashes[:-1] >= 0
        self._latest[hashes[:-1][known]] = positions[known]  # where a hash repeats, the last assignment stays
        self._earlier = np.concatenate([self._earlier, links[:-1].astype(np.int32)])
        self._tokens = np.concatenate([self._tokens, np.asarray(tokens, dtype=np.int32)])
        if len(self._tokens) > self._capacity:
            kept = self._tokens[-(self._capacity // 2) :]
            self.clear()
            self.add(kept)

    def find(self, tokens: NDArray[np.integer], places: Ints) -> LongMatches:
        """Matches for targets that follow the history and the first ``places[n]`` of ``tokens``, nothing later."""
        start = max(0, len(self._tokens) - self._capacity)
        links, _ = self._links(tokens)
        targets = len(self._tokens) + places
        found = LongMatches(*(np.zeros((len(places), self._candidates), dtype=np.int64) for _ in range(2)))
        rows, here = np.arange(len(places)), links[places]
        for column in range(self._candidates):
            kept = here >= start
            rows, here = rows[kept], here[kept]
            if len(rows) == 0:
                break
            found.tokens[rows, column] = self._at(here, tokens)
            found.lengths[rows, column] = self._common(here, targets[rows], tokens)
            inside = here < len(self._tokens)
            stored = self._earlier[np.where(inside, here, 0)] if len(self._earlier) else np.full(len(here), -1)
            here = np.where(inside, stored, links[np.where(inside, 0, here - len(self._tokens))])
        return found

    def _common(self, here: Ints, targets: Ints, tokens: NDArray[np.integer]) -> Ints:
        """How many tokens before two positions agree, up to the longest; 0 below the shortest."""
        lengths = np.zeros(len(here), dtype=np.int64)
        agreeing = np.ones(len(here), dtype=bool)
        for back in range(1, self._longest + 1):
            agreeing &= here >= back
            one, other = np.maximum(here - back, 0), np.maximum(targets - back, 0)
            agreeing &= self._at(one, tokens) == self._at(other, tokens)
            lengths += agreeing
        lengths[lengths < self._shortest] = 0
        return lengths

    def _at(self, positions: Ints, tokens: NDArray[np.integer]) -> Ints:
        """Tokens at positions of the history continued by ``tokens``."""
        both = np.empty(len(positions), dtype=np.int64)
        inside = positions < len(self._tokens)
        both[inside] = self._tokens[positions[inside]]
        both[~inside] = np.asarray(tokens)[positions[~inside] - len(self._tokens)]
        return both

    def _links(self, tokens: NDArray[np.integer]) -> tuple[Ints, Ints]:
        """Per position from the end of the history to the end of ``tokens``, [n+1]: the position before with the same
        hash (-1: none), and the hash (-1: too few tokens)."""
        hashes = self._hashes(tokens)
        links = np.where(hashes >= 0, self._latest[hashes], -1).astype(np.int64)
        order = np.argsort(hashes, kind="stable")
        repeats = (hashes[order][1:] == hashes[order][:-1]) & (hashes[order][1:] >= 0)
        links[order[1:][repeats]] = len(self._tokens) + order[:-1][repeats]
        return links, hashes

    def _hashes(self, tokens: NDArray[np.integer]) -> Ints:
        reach = self._tokens[-self._shortest :].astype(np.uint64)
        run = np.concatenate([reach, np.asarray(tokens, dtype=np.uint64)])
        mixed = np.zeros(len(tokens) + 1, dtype=np.uint64)
        enough = np.arange(len(tokens) + 1) + len(reach) >= self._shortest
        ends = (np.arange(len(tokens) + 1) + len(reach))[enough]
        value = np.zeros(len(ends), dtype=np.uint64)
        for back in range(self._shortest, 0, -1):
            value = (value + run[ends - back] + np.uint64(1)) * _GOLDEN
            value ^= value >> np.uint64(29)
        mixed[enough] = (value * _GOLDEN) >> np.uint64(64 - _HEAD_BITS)
        return np.where(enough, mixed.astype(np.int64), -1)
