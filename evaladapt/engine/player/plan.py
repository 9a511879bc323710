"""Which strategy of a composition is its plan, found out in a fork.

The base is what a composition is held against and what looks by gain are drawn by, so nobody but the plan has a word in
it: in its player no other strategy's module is imported. What the fork says may be a lie, because a stranger's code
runs in it; so the judge is told which one was taken before that is imported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from evaladapt.contract.composition import DEFAULT_PLAN, compose
from evaladapt.contract.registry import find
from evaladapt.engine.player.failure import pack_failure, unpack_failure
from evaladapt.errors import PluginError


def plan_alone(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with the plan of its composition, and its options, alone.

    Raises:
        EvaladaptError: the composition cannot be made.
    """
    said = _said_in_a_fork(recipe)
    if "kind" in said:
        raise unpack_failure(json.dumps(said).encode())
    plan = str(said.get("plan"))
    if plan not in {find(name).qualified for name in (*recipe["names"], DEFAULT_PLAN)}:
        raise PluginError(f"{', '.join(recipe['names'])}: which of them is the plan cannot be found out")
    return {**recipe, "names": [plan], "options": _options_of(plan, recipe["options"])}


def _options_of(plan: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of one strategy, by whatever name they were given to it."""
    listing = find(plan)
    found = [values for name, values in given.items() if name in (listing.alias, listing.qualified)]
    return {plan: found[-1]} if found else {}


def _said_in_a_fork(recipe: Mapping[str, Any]) -> dict[str, Any]:
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reads)
        with os.fdopen(writes, "wb") as pipe:
            pipe.write(_composed(recipe))
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        content = pipe.read()
    os.waitpid(pid, 0)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _composed(recipe: Mapping[str, Any]) -> bytes:
    try:
        composition = compose(recipe["names"], recipe["options"], allow_noncausal=recipe["allow_noncausal"])
        return json.dumps({"plan": composition.plan.type.listing.qualified}).encode()
    except BaseException as error:
        return pack_failure(error)
