"""JSON with one reading: no duplicate keys, no NaN, no bottomless nesting; and one way to write it.

Used for the header of the container and for the manifest inside. Python's own reader takes the last of two equal
keys, accepts ``NaN`` and gives up on deep nesting with a RecursionError.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from evaladapt.artifact.problems import DamagedArtifact, LimitExceeded

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, ASCII. Equal values give equal text. Raises ValueError on NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def parse_json(text: str, what: str, max_depth: int) -> Any:
    """Parse ``text``; ``what`` names it in messages.

    Raises:
        LimitExceeded: nested deeper than ``max_depth``.
        DamagedArtifact: anything that is not strict JSON.
    """
    _check_depth(text, what, max_depth)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite_float
        )
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DamagedArtifact(f"{what} holds half of a surrogate pair, which is no character.") from error
    except ValueError as error:
        raise DamagedArtifact(f"{what} is not valid JSON: {error}.") from error
    return value


def _check_depth(text: str, what: str, max_depth: int) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > max_depth:
            raise LimitExceeded(f"{what} nests deeper than {max_depth} levels.")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice[:80]!r} occurs twice")
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value
