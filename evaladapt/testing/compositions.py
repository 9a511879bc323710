"""Compositions of strategy classes that are not installed, for tests."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from evaladapt.contract.composition import Composition, GivenOptions, compose_types
from evaladapt.contract.registry import StrategyType, adopt
from evaladapt.system.entry_points import STRATEGIES, Listing


def strategy_type(cls: type[Any], alias: str | None = None) -> StrategyType:
    """The class as if it were installed under ``alias`` (its name in lower case where none is given)."""
    name = alias or cls.__name__.lower()
    point = EntryPoint(name, f"{cls.__module__}:{cls.__qualname__}", STRATEGIES)
    return adopt(cls, Listing(name, "not-installed", "0", point))


def composition_of(
    *classes: type[Any], options: GivenOptions | None = None, allow_noncausal: bool = False
) -> Composition:
    """A composition of classes in order, named by their names in lower case; sliding is put first if no plan is."""
    return compose_types([strategy_type(cls) for cls in classes], options, allow_noncausal=allow_noncausal)
