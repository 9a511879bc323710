"""Calling the hooks of one strategy: with the arguments it asked for, and with its name on whatever goes wrong."""

from __future__ import annotations

import dataclasses
import linecache
import traceback
from typing import Any

import pluggy

from evaladapt.contract.capabilities import Capabilities
from evaladapt.contract.composition import Composition, Member
from evaladapt.contract.hooks import PROJECT, StrategyHooks
from evaladapt.contract.rng import Rng
from evaladapt.engine.clock import Clock
from evaladapt.errors import EvaladaptError, PluginError


class Caller:
    """One strategy of a run, built, with its hook implementations."""

    def __init__(self, member: Member, manager: pluggy.PluginManager, seed: int, clock: Clock) -> None:
        self.alias = member.alias
        self.capabilities: Capabilities = member.capabilities
        self.rng = Rng(seed, member.alias)
        self._clock = clock
        self._package = member.type.cls.__module__.partition(".")[0]
        self._plugin = self._blamed("its constructor", member.type.cls, member.options)
        manager.register(self._plugin, name=member.alias)
        self._implementations = {
            name: implementation
            for name in member.type.hooks
            for implementation in getattr(manager.hook, name).get_hookimpls()
            if implementation.plugin is self._plugin
        }

    @property
    def focus(self) -> int | None:
        """How many columns of the past, counted back from the score span, the strategy wants; None for all."""
        return getattr(self._plugin, "focus", None)

    @property
    def horizon(self) -> int | None:
        """After how many targets the strategy learns from what it observed; None where it does not matter."""
        return getattr(self._plugin, "horizon", None)

    def implements(self, hook: str) -> bool:
        """Whether the strategy has the hook."""
        return hook in self._implementations

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call a hook with those of ``arguments`` that the implementation names.

        Raises:
            PluginError: the strategy raised; the original exception is the cause.
        """
        implementation = self._implementations[hook]
        wanted = {name: arguments[name] for name in implementation.argnames}
        with self._clock.strategy(self.alias, hook):
            return self._blamed(hook, implementation.function, **wanted)

    def _blamed(self, where: str, function: Any, *positional: Any, **named: Any) -> Any:
        try:
            return function(*positional, **named)
        except EvaladaptError:
            raise
        except (Exception, SystemExit) as error:  # whatever a stranger's code raises ends the run under its name
            raised = f"strategy {self.alias!r} raised {type(error).__name__} in {where}: {error}."
            raise PluginError(
                f"{raised}{_place(error, self._package)}{_undeclared(error, named)}"
                " With EVALADAPT_TRACEBACK=1 it shows all of the calls that led there"
            ) from error


def _place(error: BaseException, package: str) -> str:
    """`` At file, line 3: code.`` of the last call inside a package, where there is one."""
    calls = [
        (call, line)
        for call, line in traceback.walk_tb(error.__traceback__)
        if call.f_globals.get("__name__", "").partition(".")[0] == package
    ]
    if not calls:
        return ""
    call, line = calls[-1]
    file = call.f_code.co_filename
    code = linecache.getline(file, line).strip()  # nothing in a sealed player, which can read no file
    return f" At {file}, line {line}{f': {code}' if code else ''}."


def _undeclared(error: BaseException, arguments: dict[str, Any]) -> str:
    """`` past.hidden is None: …`` where an error is about None and a view has fields that were not declared."""
    missing = [
        f"{name}.{field.name}"
        for name, view in arguments.items()
        if dataclasses.is_dataclass(view)
        for field in dataclasses.fields(view)
        if not field.name.startswith("_") and getattr(view, field.name) is None
    ]
    if "NoneType" not in str(error) or not missing:
        return ""
    if len(missing) == 1:
        return f" {missing[0]} is None: its capabilities do not declare it in reads."
    return f" {' and '.join(missing)} are None: its capabilities do not declare them in reads."


def build_callers(composition: Composition, seed: int, clock: Clock) -> tuple[Caller, ...]:
    """Construct the strategies of a run in a plugin manager of their own, in the composition's order."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(StrategyHooks)
    return tuple(Caller(member, manager, seed, clock) for member in composition.members)
