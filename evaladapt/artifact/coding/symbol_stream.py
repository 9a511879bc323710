"""Symbols through constriction's queue, and reading a payload from its front.

The coder is that of the package constriction with 32-bit words, 64-bit state and 24-bit precision; its arithmetic is in
``artifacts/FORMAT.md``. ``bell_coder`` decides which model each symbol gets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.coding.frequencies import Bytes, constriction
from evaladapt.artifact.problems import DamagedArtifact

Symbols = npt.NDArray[np.int32]


class SymbolWriter:
    """Collects symbols; ``words`` are the coded stream."""

    def __init__(self) -> None:
        self._encoder = constriction().queue.RangeEncoder()

    def put(self, symbols: Symbols, model: Any) -> None:
        """Code ``symbols`` with a model of ``frequencies``."""
        if symbols.size:
            self._encoder.encode(np.ascontiguousarray(symbols), model)

    def to_bytes(self) -> bytes:
        """The words, little-endian."""
        data: bytes = self._encoder.get_compressed().astype("<u4").tobytes()
        return data


class SymbolReader:
    """Takes symbols from words. Garbage in gives garbage symbols or :class:`DamagedArtifact`, never more than asked."""

    def __init__(self, words: npt.NDArray[np.uint32]) -> None:
        self._decoder = constriction().queue.RangeDecoder(words)

    def take(self, count: int, model: Any) -> Symbols:
        """The next ``count`` symbols under ``model``."""
        if not count:
            return np.empty(0, np.int32)
        try:
            return self._decoder.decode(model, count)  # type: ignore[no-any-return]
        except AssertionError as error:
            raise DamagedArtifact("the stream does not fit its tables") from error

    def finish(self) -> None:
        """Raise :class:`DamagedArtifact` where words are left over."""
        if not self._decoder.maybe_exhausted():
            raise DamagedArtifact("the stream goes on after its last symbol")


class PayloadFront:
    """Reads a payload from the front."""

    def __init__(self, payload: bytes) -> None:
        self._left = np.frombuffer(payload, np.uint8)

    def take(self, count: int) -> Bytes:
        """The next ``count`` bytes."""
        if len(self._left) < count:
            raise DamagedArtifact("the stream ends inside its tables")
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def words(self) -> npt.NDArray[np.uint32]:
        """What is left, as the coder's 32-bit words."""
        if len(self._left) % 4:
            raise DamagedArtifact("the stream is not a whole number of 32-bit words")
        return np.frombuffer(self._left.tobytes(), "<u4").astype(np.uint32)
