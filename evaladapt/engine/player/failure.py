"""An error on its way from a player to its judge: what a person should read, and which kind it was. Never an object."""

from __future__ import annotations

import json
import traceback

from evaladapt import errors
from evaladapt.errors import ContractViolation, EvaladaptError, PluginError

MOST_MESSAGE = 8192
KINDS: dict[str, type[EvaladaptError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, EvaladaptError) and kind is not ContractViolation
}


def pack_failure(error: BaseException) -> bytes:
    """As JSON."""
    kind = type(error).__name__ if isinstance(error, EvaladaptError) else PluginError.__name__
    if kind not in KINDS and not isinstance(error, ContractViolation):
        kind = next((base.__name__ for base in type(error).__mro__ if base.__name__ in KINDS), PluginError.__name__)
    message = str(error) if isinstance(error, EvaladaptError) else f"the player ended with {error!r}"
    content = {
        "kind": kind,
        "message": message[:MOST_MESSAGE],
        "traceback": "".join(traceback.format_exception(error))[-MOST_MESSAGE:],
        "clause": getattr(error, "clause", None),
        "strategy": getattr(error, "strategy", None),
        "positions": list(getattr(error, "positions", ()))[:8],
    }
    return json.dumps(content).encode()


def unpack_failure(content: bytes) -> EvaladaptError:
    """The error that a player told of; a player may tell anything, so what is odd is a :class:`PluginError`."""
    try:
        found = json.loads(content)
        message, kind = str(found["message"])[:MOST_MESSAGE], found["kind"]
        if kind == ContractViolation.__name__:
            positions = tuple(int(one) for one in found["positions"])
            strategy = None if found["strategy"] is None else str(found["strategy"])
            return ContractViolation(message, clause=str(found["clause"]), strategy=strategy, positions=positions)
        error = KINDS.get(kind, PluginError)(message)
        error.add_note(str(found["traceback"])[-MOST_MESSAGE:])
        return error
    except (ValueError, KeyError, TypeError, RecursionError):
        return PluginError("the player failed and did not say how")
