"""A composition: the strategies of one run, in the user's order, checked before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaladapt.contract.capabilities import Capabilities, Stage
from evaladapt.contract.options import build_options
from evaladapt.contract.registry import StrategyType, load
from evaladapt.errors import UsageError, near_miss

DEFAULT_PLAN = "sliding"

GivenOptions = Mapping[str, Mapping[str, object]]
"""Options as given: alias to option name to a string or a TOML value."""


@dataclass(frozen=True)
class Member:
    """One strategy of a composition with its options.

    Its alias is unique in the composition: that of its entry point, or ``name``, which is ``distribution:alias``, where
    another distribution's strategy of the same alias takes part.
    """

    type: StrategyType
    options: Any
    name: str | None = None

    @property
    def alias(self) -> str:
        """What it is called in the composition."""
        return self.name or self.type.alias

    @property
    def capabilities(self) -> Capabilities:
        """What the class declares."""
        return self.type.capabilities


@dataclass(frozen=True)
class Composition:
    """The members in order; the first is the plan."""

    members: tuple[Member, ...]

    @property
    def plan(self) -> Member:
        """The provider of windows."""
        return self.members[0]

    @property
    def adaptive(self) -> bool:
        """Whether anything but the plan takes part."""
        return len(self.members) > 1

    @property
    def peeking(self) -> tuple[Member, ...]:
        """Members that want targets before they are scored."""
        return tuple(member for member in self.members if member.capabilities.peeks)

    @property
    def line(self) -> str:
        """The members by their names; where it shall mean the same anywhere, ``qualified`` says it."""
        return ",".join(member.alias for member in self.members)

    @property
    def qualified(self) -> str:
        """What one writes after ``--plugins`` to get this composition, whatever else is installed."""
        return ",".join(member.type.listing.qualified for member in self.members)

    def base(self) -> Composition:
        """The plan alone: what the adapted score is compared with."""
        return Composition(self.members[:1])


def compose(names: Sequence[str], options: GivenOptions | None = None, *, allow_noncausal: bool = False) -> Composition:
    """Load the named strategies and check that they may run together.

    Args:
        names: aliases in the user's order; a plan is put first where none is named.
        options: per alias.
        allow_noncausal: accept strategies that peek.

    Raises:
        UsageError: the order, a repetition, an option, or a strategy that peeks.
        PluginError: a strategy is missing or broken.
    """
    return compose_types([load(name) for name in names], options, allow_noncausal=allow_noncausal)


def compose_types(
    strategies: Sequence[StrategyType], options: GivenOptions | None = None, *, allow_noncausal: bool = False
) -> Composition:
    """The same for strategies that are loaded already."""
    types = list(strategies)
    if not any(one.capabilities.stage == Stage.PLAN for one in types):
        types.insert(0, load(DEFAULT_PLAN))
    _refuse_repetition(types)
    _refuse_two_plans(types)
    _refuse_wrong_order(types)
    if not allow_noncausal:
        _refuse_peeking(types)
    names = _names(types)
    given = _by_name(types, names, options or {})
    return Composition(
        tuple(
            Member(one, build_options(name, one.options, given.get(name, {})), name)
            for one, name in zip(types, names, strict=True)
        )
    )


def _names(types: Sequence[StrategyType]) -> list[str]:
    """What the strategies are called in the composition."""
    aliases = [one.alias for one in types]
    return [one.alias if aliases.count(one.alias) == 1 else one.listing.qualified for one in types]


def _refuse_repetition(types: Sequence[StrategyType]) -> None:
    names = [one.listing.qualified for one in types]
    for one in types:
        if names.count(one.listing.qualified) > 1:
            raise UsageError(f"strategy {one.alias!r} is named twice; a composition holds each strategy once")


def _refuse_two_plans(types: Sequence[StrategyType]) -> None:
    plans = [one.alias for one in types if one.capabilities.stage == Stage.PLAN]
    if len(plans) > 1:
        raise UsageError(f"{' and '.join(plans)} both plan the windows; name one of them")


def _refuse_wrong_order(types: Sequence[StrategyType]) -> None:
    stages = [one.capabilities.stage for one in types]
    if stages == sorted(stages):
        return
    corrected = sorted(types, key=lambda one: one.capabilities.stage)
    placed = ", ".join(f"{one.alias} ({one.capabilities.stage})" for one in types)
    line = ",".join(one.alias for one in corrected)
    raise UsageError(
        f"strategies act in the order plan, weights, hidden, logits, probs, but were given as {placed}."
        f" Write: --plugins {line}"
    )


def _refuse_peeking(types: Sequence[StrategyType]) -> None:
    for one in types:
        if not one.capabilities.peeks:
            continue
        breaks = f" (it breaks {', '.join(one.capabilities.breaks)})" if one.capabilities.breaks else ""
        relative = one.capabilities.legal_relative
        instead = f" The legal form is {relative!r}: --plugins {relative}." if relative else ""
        raise UsageError(
            f"strategy {one.alias!r} wants targets before they are scored{breaks}, so its number would not be a score."
            f"{instead} To run it all the same, as a claim and not a score, add --allow-noncausal."
        )


def _by_name(types: Sequence[StrategyType], names: Sequence[str], options: GivenOptions) -> GivenOptions:
    """Options by the names of the composition, accepting ``distribution:alias`` for every strategy."""
    qualified = {one.listing.qualified: name for one, name in zip(types, names, strict=True)}
    known = qualified | {name: name for name in names}
    for given in options:
        if given not in known:
            raise UsageError(
                f"an option is set for {given!r}, which takes no part in this run."
                f"{near_miss(given, known)} Taking part: {', '.join(names)}"
            )
    return {known[given]: values for given, values in options.items()}
