"""What is asked of a strategy class before it may take part, told by name and near miss."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any

from evaladapt.contract.capabilities import Capabilities, Stage
from evaladapt.contract.hooks import PROJECT, TRANSFORMS, StrategyHooks
from evaladapt.errors import near_miss

TRANSFORM_OF_STAGE = {Stage.HIDDEN: "transform_hidden", Stage.LOGITS: "transform_logits", Stage.PROBS: "mix"}
CLASS_ATTRIBUTES = ("contract_version", "capabilities", "Options")
MARK = f"{PROJECT}_impl"
"""Where pluggy's marker leaves what it was told."""


@cache
def hook_arguments() -> Mapping[str, tuple[str, ...]]:
    """Every hook of the specification with the arguments that it offers, in the order the engine calls them."""
    hooks = {name: hook for name, hook in vars(StrategyHooks).items() if not name.startswith("_")}
    return MappingProxyType({name: tuple(inspect.signature(hook).parameters)[1:] for name, hook in hooks.items()})


def hook_faults(cls: type[Any]) -> list[str]:
    """What is wrong with the hooks of a class; empty when nothing is."""
    found: list[str] = []
    for name in dir(cls):
        method = inspect.getattr_static(cls, name)
        if isinstance(method, staticmethod | classmethod):
            method = method.__func__
        mark = getattr(method, MARK, None)
        if mark is not None:
            found.extend(_faults_of_hook(name, method, mark))
        elif name in hook_arguments() and callable(method):
            found.append(
                f"its method {name} has the name of a hook but not the mark @hookimpl, so it would never be called;"
                f" mark it, or call it _{name}"
            )
    return found


def misplaced_hooks(capabilities: Capabilities, hooks: frozenset[str]) -> list[str]:
    """Hooks that a strategy of this stage may not have: otherwise the order of a composition would mean nothing."""
    allowed = TRANSFORM_OF_STAGE.get(capabilities.stage)
    found = [
        f"it implements {hook}, which stage {capabilities.stage} does not have"
        for hook in TRANSFORMS
        if hook in hooks and hook != allowed
    ]
    if ("plan" in hooks) != (capabilities.stage == Stage.PLAN):
        found.append("the hook plan and stage plan go together")
    if "state" in hooks and "restore" not in hooks:
        found.append("it implements state but not restore, so an interrupted run could not continue")
    return found


def misspelt_attributes(cls: type[Any]) -> list[str]:
    """Class attributes that the contract would read, were they called by the right name."""
    found = []
    for wanted in CLASS_ATTRIBUTES:
        others = [name for name in vars(cls) if not name.startswith("_") and not inspect.isroutine(getattr(cls, name))]
        close = get_close_matches(wanted, others, n=1, cutoff=0.8)
        if close and not hasattr(cls, wanted):
            found.append(f"its attribute {close[0]!r} means nothing; the contract reads {wanted!r}")
    return found


def _faults_of_hook(name: str, method: Any, mark: dict[str, Any]) -> Iterator[str]:
    known = hook_arguments()
    hook = mark["specname"] or name
    if hook not in known:
        yield f"{hook!r} is no hook.{near_miss(hook, known)} The hooks: {', '.join(known)}"
        return
    if mark["wrapper"] or mark["hookwrapper"]:
        yield f"{name} is a wrapper of the hook {hook}. Strategies act one after the other, so it would never run"
    for ordering in ("tryfirst", "trylast"):
        if mark[ordering]:
            yield f"{name} asks for {ordering}; the order of strategies is the user's"
    offered = known[hook]
    for argument in list(inspect.signature(method).parameters)[1:]:
        if argument not in offered:
            gives = ", ".join(offered) or "no argument"
            yield f"{name} asks for {argument!r}.{near_miss(argument, offered)} The hook {hook} gives: {gives}"
