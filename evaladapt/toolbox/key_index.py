"""An exact map from 64-bit keys to small consecutive numbers, for whole arrays of keys at once.

Open addressing with linear probing in one numpy array. Keys are stored and compared, so two keys never share a number:
there is no hashing error to reason about. Every operation runs over all keys of a call in lock-step; a probe round
touches only the keys that are still undecided. ``counts`` builds its n-gram tables on it.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_Scalar = TypeVar("_Scalar", bound=np.generic)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SMALLEST_BITS = 10
_FULLEST = 0.6


def grown(array: NDArray[_Scalar], needed: int) -> NDArray[_Scalar]:
    """The array itself, or a copy at least half as long again that holds ``needed`` elements, padded with zeros."""
    if needed <= len(array):
        return array
    longer = np.zeros(max(needed, len(array) + len(array) // 2), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


class KeyIndex:
    """Numbers keys in the order they are added: 0, 1, 2, ..."""

    def __init__(self) -> None:
        self._keys = np.empty(0, dtype=np.int64)
        self._size = 0
        self._bits = _SMALLEST_BITS
        self._slots = np.full(1 << self._bits, -1, dtype=np.int32)

    def __len__(self) -> int:
        return self._size

    @property
    def keys(self) -> Ints:
        """The keys by number; a view, not to be written to."""
        return self._keys[: self._size]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._keys.nbytes + self._slots.nbytes

    def find(self, keys: Ints) -> Ints:
        """The number of every key [n], -1 where it is not there."""
        numbers = np.full(len(keys), -1, dtype=np.int64)
        if self._size == 0:
            return numbers
        undecided = np.arange(len(keys))
        slots = self._home(keys)
        while len(undecided):
            held = self._slots[slots]
            taken = held >= 0
            same = taken & (self._keys[held] == keys[undecided])
            numbers[undecided[same]] = held[same]
            further = taken & ~same
            undecided = undecided[further]
            slots = (slots[further] + 1) & (len(self._slots) - 1)
        return numbers

    def add(self, keys: Ints) -> Ints:
        """Number keys [n] that are distinct and not there yet; returns the numbers."""
        first, last = self._size, self._size + len(keys)
        self._keys = grown(self._keys, last)
        self._keys[first:last] = keys
        self._size = last
        numbers = np.arange(first, last)
        if last > _FULLEST * len(self._slots):
            while last > _FULLEST * (1 << self._bits):
                self._bits += 1
            self._slots = np.full(1 << self._bits, -1, dtype=np.int32)
            self._place(self.keys, np.arange(last))
        else:
            self._place(keys, numbers)
        return numbers

    def _home(self, keys: Ints) -> Ints:
        mixed = keys.view(np.uint64) * _GOLDEN
        return (mixed >> np.uint64(64 - self._bits)).view(np.int64)

    def _place(self, keys: Ints, numbers: Ints) -> None:
        slots = self._home(keys)
        while len(numbers):
            free = self._slots[slots] < 0
            self._slots[slots[free]] = numbers[free]
            waiting = self._slots[slots] != numbers
            numbers = numbers[waiting]
            slots = (slots[waiting] + 1) & (len(self._slots) - 1)
