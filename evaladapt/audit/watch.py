"""A composition whose hooks are watched: the same strategies, with somebody around every call.

Every class is replaced by a subclass of itself with the same name, whose hooks hand over to a :class:`Watcher`. To the
engine and to a run record nothing changes, so that the run which is watched is the run that is scored.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from evaladapt.contract.composition import Composition, Member
from evaladapt.contract.hooks import TRANSFORMS
from evaladapt.contract.registry import StrategyType

CONSTRUCTOR = "its constructor"
STATE = "state"


@dataclass(frozen=True)
class HookCall:
    """One call of one hook of one strategy, not yet made.

    Attributes:
        plugin: the strategy.
        function: the hook, to be called with a strategy and ``arguments``.
    """

    type: StrategyType
    hook: str
    plugin: Any
    function: Callable[..., Any]
    arguments: Mapping[str, Any]

    @property
    def alias(self) -> str:
        """Name of the strategy in the composition."""
        return self.type.alias

    @property
    def is_transform(self) -> bool:
        """Whether the hook must not change state."""
        return self.hook in TRANSFORMS

    def make(self) -> Any:
        """Call it."""
        return self.function(self.plugin, **self.arguments)

    def make_on(self, plugin: Any, **changed: Any) -> Any:
        """Call it on another strategy object, with some arguments changed."""
        return self.function(plugin, **{**self.arguments, **changed})


class Watcher(Protocol):
    """Is called in place of every hook and makes the call."""

    def around(self, call: HookCall) -> Any:
        """Return what ``call.make()`` returns."""


def watched(composition: Composition, watcher: Watcher) -> Composition:
    """The same composition, watched."""
    return Composition(tuple(_watched_member(member, watcher) for member in composition.members))


def _watched_member(member: Member, watcher: Watcher) -> Member:
    original = member.type
    names = [name for name in original.hooks if name != STATE]
    hooks = {name: _watched_hook(original, name, getattr(original.cls, name), watcher) for name in names}
    hooks["__init__"] = _watched_hook(original, CONSTRUCTOR, original.cls.__init__, watcher)
    hooks["__module__"] = original.cls.__module__
    cls = type(original.cls.__name__, (original.cls,), hooks)
    return replace(member, type=replace(original, cls=cls))


def _watched_hook(original: StrategyType, name: str, function: Callable[..., Any], watcher: Watcher) -> Any:
    @functools.wraps(function)
    def hook(self: Any, *positional: Any, **named: Any) -> Any:
        bound = functools.partial(_with_positional, function, positional) if positional else function
        return watcher.around(HookCall(original, name, self, bound, named))

    return hook


def _with_positional(function: Callable[..., Any], positional: tuple[Any, ...], plugin: Any, **named: Any) -> Any:
    return function(plugin, *positional, **named)
