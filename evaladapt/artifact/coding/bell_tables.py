"""Frequency tables of bell curves that need no table in the file: two small numbers give the same integers everywhere.

A symbol ``k`` away from the middle has the weight ``2**-(|k| / s)**p`` with a width ``s = 2**((level - 32) / 8)``: the
normal distribution for ``p = 2``, Laplace's for ``p = 1``. ``range@2`` has one curve for each level of loudness. All
arithmetic is on whole numbers, so every machine finds the same frequencies.
"""

from __future__ import annotations

from functools import cache
from math import isqrt

import numpy as np

from evaladapt.artifact.coding.frequencies import TOTAL, Ints, share_total

LEVELS = 128
UNIT_LEVEL = 32
LEVELS_PER_OCTAVE = 8
HALF_POWERS = (2, 3, 4)
"""``p`` in halves: Laplace, between, normal."""
PARTS = 32
"""Exponents are kept in 32nds of a bit."""
PEAK_BITS = 30


def curve(level: int, half_power: int, reach: int) -> Ints:
    """Weights ``[reach + 1]`` of the distances ``0..reach``, the largest 2**30."""
    weights = np.zeros(reach + 1, np.int64)
    for distance in range(reach + 1):
        exponent = _exponent(distance, level, half_power)
        if exponent > PEAK_BITS * PARTS:
            break
        weights[distance] = _power_of_two(exponent)
    return weights


@cache
def bell_frequencies(level: int, half_power: int, reach: int) -> Ints:
    """Frequencies ``[2 * reach + 1]`` of ``-reach..reach``, each at least 1, with sum ``2**24``. Do not change it."""
    half = curve(level, half_power, reach)
    result = share_total(np.concatenate([half[:0:-1], half]))
    result.flags.writeable = False
    return result


@cache
def bell_costs(half_power: int, reach: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Bits ``[LEVELS, reach + 1]`` that a symbol costs at each level, by its distance from the middle."""
    rows = [bell_frequencies(level, half_power, reach)[reach:] for level in range(LEVELS)]
    costs: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.log2(TOTAL) - np.log2(np.stack(rows))
    costs.flags.writeable = False
    return costs


def _exponent(distance: int, level: int, half_power: int) -> int:
    """``floor(32 * (distance / s) ** p)``: the 16th root of the 16th power, which is a whole number or a fraction."""
    above = half_power * (UNIT_LEVEL - level)
    power: int = distance ** (8 * half_power) << 16 * (PARTS.bit_length() - 1)
    power = power << above if above >= 0 else power >> -above
    for _ in range(4):
        power = isqrt(power)
    return power


def _power_of_two(exponent: int) -> int:
    """``floor(2 ** (30 - (exponent mod 32) / 32))`` shifted down by the whole bits of ``exponent``."""
    whole, part = divmod(exponent, PARTS)
    root = 1 << (PEAK_BITS * PARTS - part)
    for _ in range(5):
        root = isqrt(root)
    return root >> whole
