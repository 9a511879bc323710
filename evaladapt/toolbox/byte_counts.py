"""Counts of what followed the last few bytes, and what a vocabulary's tokens make of them.

A byte's probability backs off from the longest context to none (Witten and Bell 1991, method C of PPM),

    P_m(b) = (c_m(b) + T_m P_{m-1}(b)) / (C_m + T_m),        P_{-1} = 1 / 256

where C_m is how often the context of m bytes was seen, T_m how many different bytes followed it. A token is the product
of its bytes' probabilities along the trie of the vocabulary's bytes, and over all tokens the products are normalised:
one text has many tokenisations, so they do not add up to one by themselves.

Contexts are hashed into tables of fixed size without keys. Where two share a slot they share their counts; what comes
out is a distribution over the tokens all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Words = NDArray[np.uint64]

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
BYTE = np.uint64(0x100000001B3)
NO_TEXT = b"\0"
"""What a token that adds no text is taken for, so that a document's start is a context too."""


class ByteTrie:
    """The bytes of every token as paths; nodes are sorted by depth, and a node's parent comes before it.

    Attributes:
        levels: for every depth from 1 on, the nodes that end there.
        token_nodes: [V], the node at which every token ends.
    """

    def __init__(self, vocabulary: Sequence[bytes]) -> None:
        paths = [token or NO_TEXT for token in vocabulary]
        prefixes = sorted(
            {path[:end] for path in paths for end in range(1, len(path) + 1)}, key=lambda one: (len(one), one)
        )
        number = {prefix: index for index, prefix in enumerate(prefixes)}
        self.token_nodes = np.array([number[path] for path in paths])
        self.nodes = len(prefixes)
        self.levels: list[Level] = []
        first = 0
        while first < len(prefixes):
            depth = len(prefixes[first])
            stop = next((at for at in range(first, len(prefixes)) if len(prefixes[at]) > depth), len(prefixes))
            self.levels.append(Level.of(prefixes[first:stop], number, first))
            first = stop


@dataclass(frozen=True)
class Level:
    """Nodes of one depth: which numbers they have, their parents, and the bytes that lead to them.

    Attributes:
        first: number of the first node.
        parents: [L], numbers; -1 at depth 1.
        path: [L,depth-1] bytes from the root to the parent.
        byte: [L], the last one.
    """

    first: int
    parents: NDArray[np.int64]
    path: NDArray[np.uint8]
    byte: NDArray[np.uint8]

    @classmethod
    def of(cls, prefixes: Sequence[bytes], number: dict[bytes, int], first: int) -> Level:
        """From the bytes of the nodes."""
        whole = np.frombuffer(b"".join(prefixes), dtype=np.uint8).reshape(len(prefixes), -1)
        parents = np.array([number.get(prefix[:-1], -1) for prefix in prefixes])
        return cls(first, parents, whole[:, :-1], whole[:, -1])


class ByteCounts:
    """Hashed tables of contexts of 0 to ``order`` bytes."""

    def __init__(self, order: int, bits: int) -> None:
        self.order = order
        self._shift = np.uint64(64 - bits)
        self._pairs = np.zeros(1 << bits, dtype=np.float32)
        self._seen = np.zeros(1 << bits, dtype=np.float32)
        self._variety = np.zeros(1 << bits, dtype=np.float32)

    def add(self, text: bytes, before: bytes) -> None:
        """Count every byte of ``text``, which ``before`` precedes."""
        if not text:
            return
        whole = np.frombuffer(before[-self.order :].rjust(self.order, NO_TEXT) + text, dtype=np.uint8)
        following = whole[self.order :]
        contexts = np.lib.stride_tricks.sliding_window_view(whole[:-1], self.order)
        for m in range(self.order + 1):
            keys = _hashed(contexts[:, self.order - m :])
            slots, pairs = self._slots(keys, m), self._slots(_longer(keys, following), m)
            new, counts = np.unique(pairs, return_index=True, return_counts=True)[1:]
            fresh = new[self._pairs[pairs[new]] == 0]
            np.add.at(self._variety, slots[fresh], 1.0)
            np.add.at(self._seen, slots, 1.0)
            self._pairs[pairs[new]] += counts

    def token_logprobs(self, trie: ByteTrie, contexts: NDArray[np.uint8]) -> Floats:
        """Normalised log-probabilities [n,V] of the tokens after contexts [n,order] of bytes."""
        paths = np.zeros((len(contexts), trie.nodes), dtype=np.float32)
        for depth, level in enumerate(trie.levels):
            stop = level.first + len(level.byte)
            paths[:, level.first : stop] = np.log(self._level(level, depth, contexts))
            if depth:
                paths[:, level.first : stop] += paths[:, level.parents]
        tokens = paths[:, trie.token_nodes]
        largest = tokens.max(axis=1, keepdims=True)
        normalised: Floats = tokens - largest - np.log(np.exp(tokens - largest).sum(axis=1, keepdims=True))
        return normalised

    def state(self) -> dict[str, Floats]:
        """The tables."""
        return {"pairs": self._pairs, "seen": self._seen, "variety": self._variety}

    def load_state(self, state: dict[str, Floats]) -> None:
        """Take back what :meth:`state` returned."""
        self._pairs, self._seen, self._variety = (state[name].copy() for name in ("pairs", "seen", "variety"))

    def _level(self, level: Level, depth: int, contexts: NDArray[np.uint8]) -> Floats:
        """Probability of every node's last byte after each of the contexts and its path: [n,L], or [1,L]."""
        probs: Floats = np.full((1, len(level.byte)), 1 / 256, dtype=np.float32)
        for m in range(self.order + 1):
            if m <= depth:
                keys = _hashed(level.path[:, depth - m :])[None]
            else:
                keys = _hashed(contexts[:, self.order - (m - depth) :])[:, None] * _power(depth) + _hashed(level.path)
            slots = self._slots(keys, m)
            seen, variety = self._seen[slots], self._variety[slots]
            pairs = self._pairs[self._slots(_longer(keys, level.byte), m)]
            probs = np.where(seen > 0, (pairs + variety * probs) / np.maximum(seen + variety, 1.0), probs)
        return np.maximum(probs, np.float32(1e-9))

    def _slots(self, keys: Words, order: int) -> NDArray[np.int64]:
        spread = (keys + np.uint64(order + 1) * BYTE) * MULTIPLIER
        spread ^= spread >> np.uint64(29)
        return ((spread * MULTIPLIER) >> self._shift).astype(np.int64)


def _hashed(windows: NDArray[np.uint8]) -> Words:
    """A polynomial [n] of the bytes [n,m], modulo 2^64; each counts one more than it is."""
    keys = np.zeros(len(windows), dtype=np.uint64)
    for column in range(windows.shape[1]):
        keys = _longer(keys, windows[:, column])
    return keys


def _longer(keys: Words, byte: NDArray[np.uint8]) -> Words:
    return keys * BYTE + byte.astype(np.uint64) + np.uint64(1)


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(int(BYTE), exponent, 1 << 64))
