"""``range@1``: integer codes as a range-coded stream with static tables, one for each class of positions.

Trained matrices have louder and quieter rows and columns. Each row and each column gets a level (a quarter octave of
its root mean square), the sum of the two levels decides the class of a position, and each class has its own table.
How many classes, which of rows and columns count, and whether tables are symmetric is chosen by the resulting size.
Classes, tables and levels travel in front of the stream, so decoding is a handful of vectorised calls: no state
depends on the code before.

Layout, with alphabet size ``A = 2m + 1``: ``artifacts/FORMAT.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.frequencies import (
    Bytes,
    Ints,
    coded_bits,
    entropy_model,
    table_from_counts,
    table_length,
)
from evaladapt.artifact.problems import DamagedArtifact
from evaladapt.artifact.quantize import Codes
from evaladapt.artifact.symbol_stream import PayloadFront, SymbolReader, Symbols, SymbolWriter

LEVELS = 16
SUMS = 2 * LEVELS - 1
MIDDLE_LEVEL = 8
LEVELS_PER_OCTAVE = 4
CLASS_COUNTS = (1, 2, 4, 8, 16)
SYMMETRIC_FLAG = 1
QUIETEST = 0.25
"""Root mean square, in codes, that stands in for a row or column of zeros."""


@dataclass(frozen=True)
class _Levels:
    """Levels of rows ``[R]`` and columns ``[C]``, ``0..15``."""

    rows: Bytes
    columns: Bytes

    def sums(self) -> Bytes:
        """``[R, C]``, ``0..30``."""
        return self.rows[:, None] + self.columns[None, :]


@dataclass(frozen=True)
class _Layout:
    """A way to code one matrix: a symbol's class is the number of thresholds at or below its level sum."""

    levels: _Levels
    thresholds: tuple[int, ...]
    symmetric: bool
    tables: tuple[Bytes, ...]
    size: float
    """Bytes this layout is going to take, up to rounding."""

    @property
    def classes(self) -> int:
        return len(self.thresholds) + 1


def encode(codes: Codes, largest: int) -> bytes:
    """Code a matrix of numbers in ``-largest..largest``; the smallest of the layouts tried."""
    return _write(codes.astype(np.int32) + largest, _best_layout(codes, largest))


def encoded_size(codes: Codes, largest: int) -> int:
    """Length of :func:`encode` within a few bytes, in a fraction of the time."""
    return round(_best_layout(codes, largest).size)


def decode(payload: bytes, shape: tuple[int, int], largest: int) -> Codes:
    """The codes ``[R, C]``.

    Raises:
        DamagedArtifact: the payload is not one that :func:`encode` writes.
    """
    reader = PayloadFront(payload)
    classes, flags = reader.take(2)
    if not 1 <= classes <= SUMS or flags not in (0, SYMMETRIC_FLAG):
        raise DamagedArtifact(f"a stream of {classes} classes with flags {flags} is not {__name__}'s")
    symmetric = flags == SYMMETRIC_FLAG
    thresholds = reader.take(classes - 1)
    if (np.diff(thresholds.astype(int)) <= 0).any():
        raise DamagedArtifact("class thresholds do not increase")
    level_tables = [reader.take(LEVELS) for _ in range(2 if classes > 1 else 0)]
    length = table_length(2 * largest + 1, symmetric)
    tables = [reader.take(length) for _ in range(classes)]
    decoder = SymbolReader(reader.words())
    levels = [decoder.take(n, entropy_model(t, False)) for t, n in zip(level_tables, shape, strict=False)]
    if not levels:
        symbols = decoder.take(shape[0] * shape[1], entropy_model(tables[0], symmetric))
    else:
        sums = _Levels(levels[0].astype(np.uint8), levels[1].astype(np.uint8)).sums().ravel()
        class_of = _class_of_sum(tuple(int(value) for value in thresholds))[sums]
        symbols = np.empty(sums.size, np.int32)
        for index, table in enumerate(tables):
            members = np.flatnonzero(class_of == index)
            symbols[members] = decoder.take(len(members), entropy_model(table, symmetric))
    decoder.finish()
    return (symbols - largest).astype(np.int8).reshape(shape)


def _write(symbols: Symbols, layout: _Layout) -> bytes:
    encoder = SymbolWriter()
    head = bytes([layout.classes, SYMMETRIC_FLAG if layout.symmetric else 0, *layout.thresholds])
    if layout.classes == 1:
        encoder.put(symbols.ravel(), entropy_model(layout.tables[0], layout.symmetric))
        return head + layout.tables[0].tobytes() + encoder.to_bytes()
    for levels in (layout.levels.rows, layout.levels.columns):
        table = _level_table(levels)
        head += table.tobytes()
        encoder.put(levels.astype(np.int32), entropy_model(table, False))
    class_of = _class_of_sum(layout.thresholds)[layout.levels.sums()]
    for index, table in enumerate(layout.tables):
        head += table.tobytes()
        encoder.put(symbols[class_of == index], entropy_model(table, layout.symmetric))
    return head + encoder.to_bytes()


def _best_layout(codes: Codes, largest: int) -> _Layout:
    squares = np.square(codes, dtype=np.float32)
    rows, columns = _levels(squares.mean(axis=1)), _levels(squares.mean(axis=0))
    flat = [np.zeros_like(rows), np.zeros_like(columns)]
    layouts = []
    for levels in (_Levels(*flat), _Levels(rows, flat[1]), _Levels(flat[0], columns), _Levels(rows, columns)):
        histogram = _histogram(codes, levels, largest)
        for classes, symmetric in product(CLASS_COUNTS, (True, False)):
            layouts.append(_layout(levels, histogram, classes, symmetric))
    return min(layouts, key=lambda layout: layout.size)


def _layout(levels: _Levels, histogram: Ints, classes: int, symmetric: bool) -> _Layout:
    """``histogram [31, A]`` counts symbols by level sum; sums are grouped into classes of about equal population."""
    population = histogram.sum(axis=1)
    occurring = np.flatnonzero(population)
    middle = (np.cumsum(population) - population / 2)[occurring]
    wanted = np.floor(middle * classes / population.sum()).astype(int)
    thresholds = tuple(int(value) for value in occurring[1:][np.diff(wanted) > 0])
    class_of_sum = _class_of_sum(thresholds)
    tables = []
    size = 2.0 + len(thresholds)
    for index in range(len(thresholds) + 1):
        counts = histogram[class_of_sum == index].sum(axis=0)
        table = table_from_counts(counts, symmetric)
        size += len(table) + coded_bits(counts, table, symmetric) / 8
        tables.append(table)
    if thresholds:
        size += _levels_size(levels.rows) + _levels_size(levels.columns)
    return _Layout(levels, thresholds, symmetric, tuple(tables), size + 4)


def _levels(mean_squares: npt.NDArray[np.float32]) -> Bytes:
    octaves = np.log2(np.maximum(np.sqrt(mean_squares, dtype=np.float64), QUIETEST))
    levels = np.rint(LEVELS_PER_OCTAVE * (octaves - np.median(octaves))) + MIDDLE_LEVEL
    limited: Bytes = np.clip(levels, 0, LEVELS - 1).astype(np.uint8)
    return limited


def _levels_size(levels: Bytes) -> float:
    counts = np.bincount(levels, minlength=LEVELS)
    return LEVELS + coded_bits(counts, _level_table(levels), False) / 8


def _level_table(levels: Bytes) -> Bytes:
    return table_from_counts(np.bincount(levels, minlength=LEVELS), False)


def _histogram(codes: Codes, levels: _Levels, largest: int) -> Ints:
    alphabet = 2 * largest + 1
    cells = levels.sums().astype(np.int64) * alphabet + codes + largest
    return np.bincount(cells.ravel(), minlength=SUMS * alphabet).reshape(SUMS, alphabet)


def _class_of_sum(thresholds: tuple[int, ...]) -> Bytes:
    return np.searchsorted(np.array(thresholds, int), np.arange(SUMS), side="right").astype(np.uint8)
