"""Compositions to compare, as a person writes them: with options in brackets, and swept over values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaladapt.contract.composition import DEFAULT_PLAN
from evaladapt.contract.spelling import Spelled, spelled
from evaladapt.errors import UsageError, near_miss

Options = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Variant:
    """A composition of a comparison.

    Attributes:
        label: as it is written, without the plan and without the options that all share.
        names: of its strategies, the plan first.
        options: by name, those that all share included.
    """

    label: str
    names: tuple[str, ...]
    options: Options


@dataclass(frozen=True)
class Sweep:
    """An option and the values to try."""

    alias: str
    key: str
    values: tuple[object, ...]


def sweeps_of(sweep: Mapping[str, Sequence[object]]) -> list[Sweep]:
    """Sweeps by ``alias.key``.

    Raises:
        UsageError: one is named otherwise, or has no values.
    """
    found = []
    for name, values in sweep.items():
        alias, dot, key = name.rpartition(".")
        if not (dot and alias and key) or not values or isinstance(values, str):
            raise UsageError(f"sweep {name!r} is not of the form alias.key with values, as in: ttt.lr=0.001,0.002")
        found.append(Sweep(alias.strip(), key.strip().replace("-", "_"), tuple(values)))
    return found


def variants(
    lines: Sequence[str], sweeps: Sequence[Sweep] = (), shared: Options | None = None, plan: str = DEFAULT_PLAN
) -> list[Variant]:
    """Every composition, and where a sweep is of one of its strategies, once for every value.

    Args:
        lines: compositions, ``a[key=value],b``.
        sweeps: several make a grid.
        shared: options of strategies wherever they take part; those in brackets win.
        plan: the strategy that plans the windows of all, put first where it is not named.

    Raises:
        UsageError: a line cannot be read, a composition is there twice, or a sweep is of no strategy that takes part.
    """
    if not lines:
        raise UsageError("nothing to compare: there is no composition, as in: plugins=['ttt', 'ttt,slot-lbfgs']")
    written = [spelled(line) for line in lines]
    written = [replaced for one in written for replaced in _swept(one, sweeps)]
    everyone = {name for one in written for name in one.names} | {plan}
    for one in sweeps:
        if one.alias not in everyone:
            raise UsageError(
                f"the sweep is of {one.alias!r}, which takes no part.{near_miss(one.alias, everyone)}"
                f" Taking part: {', '.join(sorted(everyone))}"
            )
    labels = [one.line for one in written]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"the composition {label!r} is there twice; every one is compared once")
        if not label or label == plan:
            raise UsageError(f"the plan alone ({plan}) is what all are compared with; leave it out")
    return [_variant(one, shared or {}, everyone, plan) for one in written]


def _swept(one: Spelled, sweeps: Sequence[Sweep]) -> list[Spelled]:
    own = [sweep for sweep in sweeps if sweep.alias in one.names]
    found = []
    for values in itertools.product(*(sweep.values for sweep in own)):
        options = {name: dict(given) for name, given in one.options.items()}
        for sweep, value in zip(own, values, strict=True):
            options.setdefault(sweep.alias, {})[sweep.key] = value
        found.append(Spelled(one.names, options))
    return found


def _variant(one: Spelled, shared: Options, everyone: set[str], plan: str) -> Variant:
    names = one.names if plan in one.names else (plan, *one.names)
    elsewhere = everyone - set(names)
    options = {name: dict(given) for name, given in shared.items() if name not in elsewhere}
    for name, given in one.options.items():
        options[name] = {**options.get(name, {}), **given}
    return Variant(one.line, names, options)
