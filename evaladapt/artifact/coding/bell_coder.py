"""``range@2``: integer codes under bell curves whose middle and width follow the row and the column.

Trained matrices are noise with structure in three places: rows and columns differ in loudness, and in an embedding the
rows of tokens that training never met are all alike. So each row and each column has a level, whose sum picks the
curve, and a factor, whose product is the expected code. The curves need no tables (``bell_tables``), which is what pays
in small matrices; levels and factors travel in front of the codes. The encoder's guesses are in ``bell_fit``.

Layout: ``artifacts/FORMAT.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.coding.bell_tables import HALF_POWERS, LEVELS, bell_frequencies
from evaladapt.artifact.coding.frequencies import (
    Bytes,
    coded_bits,
    entropy_model,
    exact_model,
    table_from_counts,
)
from evaladapt.artifact.coding.symbol_stream import PayloadFront, SymbolReader, Symbols, SymbolWriter
from evaladapt.artifact.problems import DamagedArtifact
from evaladapt.artifact.quantize import Codes

LARGEST_SHIFT = 12

NUMBERS_AT_ONCE = 1 << 20

Vector = npt.NDArray[np.int64]
Distances = npt.NDArray[np.int16]
"""Of codes from what is expected: at most 254, on either side."""


def rows_at_once(matrix: npt.NDArray[Any]) -> Iterator[slice]:
    """The rows of a matrix, so many at a time that there are about a million numbers.

    An embedding has tens of millions; whatever takes more for each than the codes themselves is made in such pieces.
    """
    step = max(1, NUMBERS_AT_ONCE // matrix.shape[1])
    for start in range(0, matrix.shape[0], step):
        yield slice(start, min(start + step, matrix.shape[0]))


@dataclass(frozen=True)
class BellField:
    """What the decoder knows before the first code of ``[R, C]``: the curve of every position."""

    half_power: int
    row_levels: Vector
    column_levels: Vector
    row_factors: Vector
    column_factors: Vector
    shift: int = 0
    """A product of two factors is the expected code times ``2**shift``."""

    def vectors(self) -> tuple[Vector, Vector, Vector, Vector]:
        """In the order of the payload."""
        return self.row_levels, self.column_levels, self.row_factors, self.column_factors

    def levels(self) -> Bytes:
        """``[R, C]``, each below 128."""
        return (self.row_levels.astype(np.int16)[:, None] + self.column_levels.astype(np.int16)).astype(np.uint8)

    def means(self, rows: slice) -> npt.NDArray[np.int32]:
        """Expected codes ``[r, C]`` of some rows."""
        products = self.row_factors[rows, None].astype(np.int32) * self.column_factors.astype(np.int32)
        return self._shifted(products)

    def largest_mean(self) -> int:
        """How far from 0 a code is expected at most; a product is largest where both factors are at an end."""
        ends = [(vector.min(), vector.max()) for vector in (self.row_factors, self.column_factors)]
        products = np.multiply.outer(*np.array(ends, np.int32))
        return int(np.abs(self._shifted(products)).max())

    def _shifted(self, products: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        result: npt.NDArray[np.int32] = (products + (1 << self.shift >> 1)) >> self.shift
        return result

    def rest(self, codes: Codes) -> Distances:
        """What is left of codes ``[R, C]`` without what is expected."""
        rest = codes.astype(np.int16)
        if self.largest_mean():
            for rows in rows_at_once(rest):
                rest[rows] -= self.means(rows).astype(np.int16)
        return rest

    def side_bytes(self) -> float:
        """What the field takes in the payload, up to rounding."""
        return 2 + sum(vector_bytes(vector) for vector in self.vectors())


def encode(codes: Codes, largest: int, field: BellField) -> bytes:
    """Code a matrix of numbers in ``-largest..largest`` under a field; ``bell_fit`` finds a good one."""
    writer = SymbolWriter()
    head = bytes([field.half_power, field.shift])
    for vector in field.vectors():
        head += _put_vector(vector, writer)
    rest = field.rest(codes).ravel()
    reach = largest + field.largest_mean()
    for level, members in _by_level(field.levels()):
        model = exact_model(bell_frequencies(level, field.half_power, reach))
        writer.put(rest[members].astype(np.int32) + reach, model)
    return head + writer.to_bytes()


def decode(payload: bytes, shape: tuple[int, int], largest: int) -> Codes:
    """The codes ``[R, C]``.

    Raises:
        DamagedArtifact: the payload is not one that :func:`encode` writes.
    """
    front = PayloadFront(payload)
    half_power, shift = (int(byte) for byte in front.take(2))
    if half_power not in HALF_POWERS or shift > LARGEST_SHIFT:
        raise DamagedArtifact(f"a curve of power {half_power}/2 with shift {shift} is not {__name__}'s")
    heads = [_VectorHead.take(front) for _ in range(4)]
    reader = SymbolReader(front.words())
    rows, columns = shape
    vectors = [head.read(count, reader) for head, count in zip(heads, (rows, columns) * 2, strict=True)]
    field = BellField(half_power, vectors[0], vectors[1], vectors[2], vectors[3], shift)
    _check(field, largest)
    reach = largest + field.largest_mean()
    rest = np.empty(rows * columns, np.int16)
    for level, members in _by_level(field.levels()):
        rest[members] = reader.take(len(members), exact_model(bell_frequencies(level, half_power, reach))) - reach
    reader.finish()
    return _codes(field, rest.reshape(shape), largest)


def _codes(field: BellField, rest: Distances, largest: int) -> Codes:
    """Undo :meth:`BellField.rest`, in place and then into bytes."""
    if field.largest_mean():
        for rows in rows_at_once(rest):
            rest[rows] += field.means(rows).astype(np.int16)
            if (np.abs(rest[rows]) > largest).any():
                raise DamagedArtifact("a code is outside the quantiser's range")
    return rest.astype(np.int8)


def vector_bytes(vector: Vector) -> float:
    """What a vector takes in the payload, table included, up to rounding."""
    counts = np.bincount(vector - vector.min())
    if len(counts) == 1:
        return 2.0
    return 2.0 + len(counts) + coded_bits(counts, table_from_counts(counts)) / 8


def _check(field: BellField, largest: int) -> None:
    """Refuse a field that names curves which do not exist, or expects codes that cannot occur."""
    low = field.row_levels.min() + field.column_levels.min()
    high = field.row_levels.max() + field.column_levels.max()
    if low < 0 or high >= LEVELS:
        raise DamagedArtifact(f"levels from {low} to {high} leave the range from 0 to {LEVELS - 1}")
    if field.largest_mean() > largest:
        raise DamagedArtifact("an expected code is outside the quantiser's range")


def _by_level(levels: Bytes) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Flat positions of each level that occurs, levels ascending, positions in row-major order."""
    flat = levels.ravel()
    for level in np.flatnonzero(np.bincount(flat, minlength=LEVELS)):
        yield int(level), np.flatnonzero(flat == level)


def _put_vector(vector: Vector, writer: SymbolWriter) -> bytes:
    low = int(vector.min())
    counts = np.bincount(vector - low)
    head = low.to_bytes(1, "little", signed=True) + bytes([len(counts) - 1])
    if len(counts) == 1:
        return head
    table = table_from_counts(counts)
    writer.put((vector - low).astype(np.int32), entropy_model(table))
    return head + table.tobytes()


@dataclass(frozen=True)
class _VectorHead:
    """A vector's smallest value and the model of its symbols; without a model it is constant."""

    low: int
    model: Any

    @classmethod
    def take(cls, front: PayloadFront) -> _VectorHead:
        low, more = (int(byte) for byte in front.take(2))
        model = entropy_model(front.take(more + 1)) if more else None
        return cls(low - 256 if low > 127 else low, model)

    def read(self, count: int, reader: SymbolReader) -> Vector:
        symbols: Symbols = np.zeros(count, np.int32) if self.model is None else reader.take(count, self.model)
        return symbols.astype(np.int64) + self.low
