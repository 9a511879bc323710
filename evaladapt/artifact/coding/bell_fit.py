"""Finding the rows' and columns' levels and factors that make a matrix of codes short under ``range@2``.

Any field decodes; this room's guesses only decide the size. Levels start from the mean of ``|code| ** p`` in each row
and column, which is what fits a bell curve of power ``p`` best, and are then moved by single steps wherever that saves
more bits than it costs to say so. ``coders`` is the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.coding.bell_coder import LARGEST_SHIFT, BellField, Distances, Vector, rows_at_once
from evaladapt.artifact.coding.bell_tables import HALF_POWERS, LEVELS, LEVELS_PER_OCTAVE, bell_costs, curve
from evaladapt.artifact.quantize import Codes

Floats = npt.NDArray[np.float64]

BALANCING_ROUNDS = 4
SETTLING_ROUNDS = 2
STEPS = (-3, -1, 0, 1, 3)
"""How far a level may move in one round, in eighths of an octave."""
POWER_ROUNDS = 12
LARGEST_FACTOR = 127
ALIKE = 0.3
"""Share of a row's energy along the main direction from which it counts as one of those that are alike."""
BITS_PER_FACTOR = 8.0
"""What a row must save before it gets a factor."""


@dataclass(frozen=True)
class FittedField:
    """A field and the bytes that the codes take under it, up to rounding."""

    field: BellField
    size: float


def fit_field(codes: Codes, largest: int) -> FittedField:
    """The best of the fields tried: three kinds of curve, one level or many, with and without factors."""
    plain = min((_fit_levels(codes, largest, _flat(codes, power)) for power in HALF_POWERS), key=_size)
    factored = [_fit_levels(codes, largest, field) for field in _with_factors(codes, largest, plain.field)]
    return _settle(codes, largest, min([plain, *factored], key=_size))


def _size(fitted: FittedField) -> float:
    return fitted.size


def _flat(codes: Codes, half_power: int) -> BellField:
    rows, columns = (np.zeros(n, np.int64) for n in codes.shape)
    return BellField(half_power, rows, columns, rows, columns)


def _fit_levels(codes: Codes, largest: int, field: BellField) -> FittedField:
    """Give a field with factors (or none) the levels that suit it: one for all, or one for each row and column."""
    rest, costs = _rest_and_costs(codes, largest, field)
    powers = _Powers(rest, field.half_power)
    one, many = _placed(field, *powers.one_level()), _placed(field, *powers.balanced_levels())
    return min(_sized(one, rest, costs), _sized(many, rest, costs), key=_size)


def _settle(codes: Codes, largest: int, fitted: FittedField) -> FittedField:
    """Move single levels while that helps."""
    rest, costs = _rest_and_costs(codes, largest, fitted.field)
    field = fitted.field
    for _ in range(SETTLING_ROUNDS):
        columns = _moved(field.column_levels, field.row_levels, rest.T, costs)
        rows = _moved(field.row_levels, columns, rest, costs)
        field = replace(field, row_levels=rows, column_levels=columns)
        fitted = min(fitted, _sized(field, rest, costs), key=_size)
    return fitted


def _rest_and_costs(codes: Codes, largest: int, field: BellField) -> tuple[Distances, Floats]:
    """Distances of the codes from what is expected, and what each distance costs at each level."""
    rest = field.rest(codes)
    return np.abs(rest, out=rest), bell_costs(field.half_power, largest + field.largest_mean())


@dataclass(frozen=True)
class _Powers:
    """``|code| ** p`` of distances ``[R, C]``, never all at once."""

    rest: Distances
    half_power: int

    def one_level(self) -> tuple[Floats, Floats]:
        """Row levels, all alike and not yet whole, and column levels of 0, that give the whole its mean power."""
        total = sum(float(powers.sum()) for _, powers in self._blocks())
        loudness = np.full(self.rest.shape[0], total / self.rest.size)
        return _level_of(loudness, self.half_power), np.zeros(self.rest.shape[1])

    def balanced_levels(self) -> tuple[Floats, Floats]:
        """Row and column levels, not yet whole, whose sum gives every row and column its mean power."""
        columns = np.zeros(self.rest.shape[1])
        loudness = self._row_means(np.ones(self.rest.shape[1]))
        for _ in range(BALANCING_ROUNDS):
            # Rows that are nearly silent say little about columns, and what they say is mostly rounding.
            weights = np.minimum(loudness, 1.0) / np.maximum(loudness, 1e-12)
            relative = self._column_sums(weights)
            relative /= max(float(np.median(relative)), 1e-12)
            columns = LEVELS_PER_OCTAVE * 2 / self.half_power * np.log2(np.maximum(relative, 2.0**-20))
            loudness = self._row_means(np.maximum(relative, 2.0**-20))
        return _level_of(loudness, self.half_power), columns

    def _row_means(self, relative: Floats) -> Floats:
        """[R], every column divided by how loud it is."""
        return np.concatenate([(powers / relative).mean(axis=1) for _, powers in self._blocks()])

    def _column_sums(self, weights: Floats) -> Floats:
        """[C], every row times its weight."""
        result = np.zeros(self.rest.shape[1])
        for rows, powers in self._blocks():
            result += weights[rows] @ powers
        return result

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        known = np.arange(int(self.rest.max()) + 1, dtype=np.float64) ** (self.half_power / 2)
        for rows in rows_at_once(self.rest):
            yield rows, known[self.rest[rows]]


def _level_of(mean_power: Floats, half_power: int) -> Floats:
    """The level, as a fraction, of the curve whose mean of ``|k| ** p`` this is."""
    known = _mean_powers(half_power)
    result: Floats = np.interp(np.log2(np.maximum(mean_power, known[0])), np.log2(known), np.arange(LEVELS))
    return result


@cache
def _mean_powers(half_power: int) -> Floats:
    # From the curves and not from frequencies, whose least of 1 would weigh on far symbols of quiet curves.
    distances = np.arange(256.0) ** (half_power / 2)
    means = []
    for level in range(LEVELS):
        half = curve(level, half_power, 255).astype(np.float64)
        means.append(2 * float(half @ distances) / float(2 * half.sum() - half[0]))
    return np.maximum.accumulate(np.array(means) + np.arange(1, LEVELS + 1) * 1e-12)


def _placed(field: BellField, rows: Floats, columns: Floats) -> BellField:
    """Round levels and keep every sum within the curves there are."""
    rows = np.clip(rows, 0, LEVELS - 1)
    whole_columns = np.rint(np.clip(columns, -np.median(rows), LEVELS - 1 - rows.max())).astype(np.int64)
    low, high = -whole_columns.min(), LEVELS - 1 - whole_columns.max()
    return replace(field, row_levels=np.clip(np.rint(rows).astype(np.int64), low, high), column_levels=whole_columns)


def _sized(field: BellField, rest: Distances, costs: Floats) -> FittedField:
    columns = field.column_levels
    bits = sum(float(costs[field.row_levels[rows, None] + columns, rest[rows]].sum()) for rows in rows_at_once(rest))
    return FittedField(field, bits / 8 + field.side_bytes() + 4)


def _moved(levels: Vector, others: Vector, rest: Distances, costs: Floats) -> Vector:
    """Levels of ``rest``'s rows, each moved to the cheapest of its neighbours, the cost of saying so included."""
    counts = np.bincount(levels - levels.min() + STEPS[-1], minlength=np.ptp(levels) + 2 * STEPS[-1] + 1)
    naming = np.log2(counts.sum() + len(counts)) - np.log2(counts + 1)
    prices = np.empty((len(STEPS), len(levels)))
    for index, step in enumerate(STEPS):
        moved = levels + step
        possible = (moved + others.min() >= 0) & (moved + others.max() < LEVELS)
        for rows in rows_at_once(rest):
            sums = np.clip(moved[rows, None] + others, 0, LEVELS - 1)
            prices[index, rows] = costs[sums, rest[rows]].sum(axis=1)
        prices[index] += naming[moved - levels.min() + STEPS[-1]]
        prices[index, ~possible] = np.inf
    result: Vector = levels + np.array(STEPS)[prices.argmin(axis=0)]
    return result


def _with_factors(codes: Codes, largest: int, field: BellField) -> list[BellField]:
    """Fields with factors for the rows that gain by them: rows that are all alike but for their size."""
    rows = _Directions(codes)
    direction = rows.main(rows.mean())
    alike = np.square(rows.along(direction)) > ALIKE
    if not alike.any():
        return []
    direction = rows.main(direction, alike)
    shares = rows.along(direction)
    saved = -0.5 * codes.shape[1] * np.log2(np.maximum(1.0 - np.square(shares), 2.0**-12))
    peak = float(np.abs(direction).max())
    along = np.clip(np.where(saved > BITS_PER_FACTOR, shares * rows.lengths, 0.0), *_ends((largest - 0.5) / peak))
    # Column factors either as fine as can be, or the codes of a typical row, which its equals then hit exactly.
    typical = float(np.median(along[along != 0])) if along.any() else 0.0
    units = {LARGEST_FACTOR / peak, min(abs(typical), LARGEST_FACTOR / peak)} - {0.0}
    fields = [_factored(field, along, direction, unit) for unit in sorted(units)]
    return [one for one in fields if 0 < one.largest_mean() <= largest]


def _factored(field: BellField, along: Floats, direction: Floats, unit: float) -> BellField:
    """Factors for rows that reach ``along`` the direction, column factors being ``unit`` times it."""
    room = np.log2(LARGEST_FACTOR * unit / max(float(np.abs(along).max()), 1e-9))
    shift = int(np.clip(np.floor(room), 0, LARGEST_SHIFT))
    rows = np.clip(np.rint(along * (2.0**shift / unit)), *_ends(LARGEST_FACTOR)).astype(np.int64)
    columns = np.rint(direction * unit).astype(np.int64)
    return replace(field, row_factors=rows, column_factors=columns, shift=shift)


def _ends(size: float) -> tuple[float, float]:
    return -size, size


class _Directions:
    """The rows of codes ``[R, C]``, each of length 1, never all at once."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        squares = [np.square(codes[rows], dtype=np.float64).sum(axis=1) for rows in rows_at_once(codes)]
        self.lengths = np.maximum(np.sqrt(np.concatenate(squares)), 1e-9)

    def mean(self) -> Floats:
        """[C]."""
        return sum((rows.sum(axis=0) for _, rows in self._blocks()), np.zeros(self._codes.shape[1])) / len(self._codes)

    def along(self, direction: Floats) -> Floats:
        """[R], how much of every row points along a direction of length 1."""
        return np.concatenate([rows @ direction for _, rows in self._blocks()])

    def main(self, start: Floats, chosen: npt.NDArray[np.bool_] | None = None) -> Floats:
        """First right singular vector of the rows, or of those that are chosen, by the power method."""
        direction = start
        for _ in range(POWER_ROUNDS):
            found = np.zeros_like(direction)
            for place, block in self._blocks():
                rows = block if chosen is None else block[chosen[place]]
                found += rows.T @ (rows @ direction)
            direction = found / (np.sqrt(np.square(found).sum()) or 1.0)
        return direction

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        for rows in rows_at_once(self._codes):
            yield rows, self._codes[rows] / self.lengths[rows, None]
