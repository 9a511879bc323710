"""How many bits each weight gets: a small rule, with exceptions by name.

``pack`` makes a plan from its options, ``fit`` derives tighter ones, the writer obeys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod

from evaladapt.artifact.coding.coders import CODE_CODERS
from evaladapt.artifact.quantize import MAX_BITS, MIN_BITS, Float32, Grid, clip_grid, searched_grid
from evaladapt.errors import UsageError

FLOAT_BITS = 16


@dataclass(frozen=True)
class QuantisationPlan:
    """Bits by kind of weight: 4 to 8 for integers, 16 for float16."""

    matrix_bits: int = 6
    embedding_bits: int = 8
    embedding_pattern: str = "*embed*"
    small_values: int = 4096
    """Weights with one axis, or with fewer numbers than this, stay float16."""
    overrides: Mapping[str, int] = field(default_factory=dict)
    """Bits by name or shell pattern; the last that matches wins."""
    row_scales: bool = False
    """A step per row, found by search, rather than one for the whole weight."""
    grids: Mapping[str, Grid] = field(default_factory=dict)
    """Exact grids by full name; they come before everything else."""
    coders: tuple[str, ...] = CODE_CODERS
    """Coders of codes that compete; with ``range@2`` alone no byte depends on the version of liblzma."""

    def __post_init__(self) -> None:
        for bits in (self.matrix_bits, self.embedding_bits, *self.overrides.values()):
            if bits != FLOAT_BITS and not MIN_BITS <= bits <= MAX_BITS:
                raise UsageError(f"Weights have {MIN_BITS} to {MAX_BITS} bits, or {FLOAT_BITS} (float16); not {bits}.")

    def bits_for(self, name: str, shape: tuple[int, ...]) -> int:
        """Bits for one weight."""
        if name in self.grids:
            return self.grids[name].bits
        matching = [bits for pattern, bits in self.overrides.items() if fnmatchcase(name, pattern)]
        if matching:
            return matching[-1]
        if len(shape) < 2 or prod(shape) < self.small_values:
            return FLOAT_BITS
        return self.embedding_bits if fnmatchcase(name, self.embedding_pattern) else self.matrix_bits

    def grid_for(self, name: str, shape: tuple[int, ...], matrix: Float32) -> Grid:
        """Where the codes of a weight with at most 8 bits may lie; ``matrix [R, C]`` is the weight of ``shape``."""
        if name in self.grids:
            return self.grids[name]
        bits = self.bits_for(name, shape)
        return searched_grid(matrix, bits) if self.row_scales else clip_grid(matrix, bits)

    def with_grids(self, grids: Mapping[str, Grid]) -> QuantisationPlan:
        """The same plan with the grids of these weights, given by full name, fixed."""
        return replace(self, grids={**self.grids, **grids})
