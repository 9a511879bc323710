"""JSON and TOML that a stranger may have written, with one reading; and one way to write JSON.

Python's own reader takes the last of two equal keys, accepts ``NaN``, gives up on deep nesting with a RecursionError
and on 5,000 digits with a ValueError. Here everything that is wrong ends as :class:`Malformed`, whose message names the
file. :class:`Fields` reads an object name by name, so that an odd or missing field is told in the same way everywhere.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaladapt.errors import DataError, near_miss
from evaladapt.system.files import read_regular

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_SHOWN = 80
"""Characters of a stranger's value that a message repeats."""


class Malformed(DataError):
    """A text is not strict JSON or TOML, or does not hold what it should."""


class BeyondLimit(Malformed):
    """A text nests deeper than allowed."""


@dataclass(frozen=True)
class TextLimits:
    """What a stranger's JSON or TOML may ask for."""

    size: int = 1 << 26
    """Bytes of a file."""
    depth: int = 32
    """Brackets within brackets."""
    digits: int = 40
    """Characters of a whole number; 128 bits take 39 digits."""


DEFAULT_LIMITS = TextLimits()


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, ASCII. Equal values give equal text. Raises ValueError on NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def parse_json(text: str | bytes, what: str, limits: TextLimits = DEFAULT_LIMITS) -> Any:
    """Parse ``text``; ``what`` names it in messages.

    Raises:
        BeyondLimit: nested deeper than ``limits`` allow.
        Malformed: anything that is not strict JSON, and longer numbers.
    """
    text = _decoded(text, what)
    _check_depth(text, what, limits)

    def whole(digits: str) -> int:
        if len(digits) > limits.digits:
            raise ValueError(f"a whole number has more than {limits.digits} digits")
        return int(digits)

    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=whole,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Malformed(f"{what} holds half of a surrogate pair, which is no character.") from error
    except ValueError as error:
        raise Malformed(f"{what} is not valid JSON: {error}.") from error
    return value


def parse_toml(text: str | bytes, what: str, limits: TextLimits = DEFAULT_LIMITS) -> dict[str, Any]:
    """The same for TOML, whose ``nan`` and ``inf`` are refused too.

    Raises:
        BeyondLimit: nested deeper than ``limits`` allow.
        Malformed: anything else that is not TOML, and longer numbers.
    """
    text = _decoded(text, what)
    try:
        value = tomllib.loads(text, parse_float=_finite)
    except RecursionError as error:
        raise BeyondLimit(f"{what} nests deeper than {limits.depth} levels.") from error
    except ValueError as error:
        raise Malformed(f"{what} is not valid TOML: {error}.") from error
    _check_content(value, what, limits)
    return value


def read_json(path: Path, limits: TextLimits = DEFAULT_LIMITS) -> Any:
    """Parse a regular file. Raises :class:`DataError` where it cannot be read, else as :func:`parse_json`."""
    return parse_json(read_regular(path, limits.size), str(path), limits)


def read_toml(path: Path, limits: TextLimits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Parse a regular file. Raises :class:`DataError` where it cannot be read, else as :func:`parse_toml`."""
    return parse_toml(read_regular(path, limits.size), str(path), limits)


class Fields:
    """A JSON object whose fields are asked for by name, kind and bounds; ``what`` names it in messages.

    Every question raises :class:`Malformed` where the field is missing or is something else.
    """

    def __init__(self, content: object, what: str) -> None:
        if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
            raise Malformed(f"{what} is not an object with named fields.")
        self._content = content
        self._what = what

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def only(self, *names: str) -> None:
        """Refuse every other field: a field that a reader ignores is a place to hide a difference."""
        for name in self._content:
            if name not in names:
                raise Malformed(f"{self._what}: unknown field {name[:_SHOWN]!r}.{near_miss(name, names)}")

    def value(self, name: str) -> Any:
        """Whatever stands there."""
        if name not in self._content:
            raise Malformed(f"{self._what}: the field {name!r} is missing.")
        return self._content[name]

    def whole(self, name: str, low: int = 0, high: int = (1 << 63) - 1) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self.value(name)
        if type(value) is not int or not low <= value <= high:
            raise self._odd(name, value, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number from ``low`` to ``high``."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._odd(name, value, "a number")
        if not (abs(value) < 1 << 1023 and math.isfinite(value) and low <= value <= high):
            raise self._odd(name, value, f"a finite number from {low} to {high}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise self._odd(name, value, "true or false")
        return value

    def text(self, name: str, known: Sequence[str] = ()) -> str:
        """A string; one of ``known`` where some are given."""
        value = self.value(name)
        if not isinstance(value, str):
            raise self._odd(name, value, "a text")
        if known and value not in known:
            raise self._odd(name, value, f"one of {', '.join(known)}")
        return value

    def fields(self, name: str) -> Fields:
        """An object."""
        return Fields(self.value(name), f"{self._what}: {name!r}")

    def each(self, name: str) -> list[Any]:
        """The members of a list."""
        value = self.value(name)
        if not isinstance(value, list):
            raise self._odd(name, value, "a list")
        return value

    def fields_of_each(self, name: str) -> list[Fields]:
        """The members of a list of objects."""
        return [Fields(one, f"{self._what}: {name}[{index}]") for index, one in enumerate(self.each(name))]

    def _odd(self, name: str, value: object, wanted: str) -> Malformed:
        return Malformed(f"{self._what}: {name!r} is {shown(value)}, not {wanted}.")


def shown(value: object) -> str:
    """A stranger's value for a message: short, and without anything that a terminal would obey."""
    if isinstance(value, int) and abs(value) >= 1 << 200:
        return "a very long number"  # Python refuses to print 5,000 digits
    return ascii(value if not isinstance(value, str) else value[:_SHOWN])[: _SHOWN + 2]


def _decoded(text: str | bytes, what: str) -> str:
    try:
        return text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8: byte {error.start} is no part of a character.") from error


def _check_depth(text: str, what: str, limits: TextLimits) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > limits.depth:
            raise BeyondLimit(f"{what} nests deeper than {limits.depth} levels.")


def _check_content(value: object, what: str, limits: TextLimits) -> None:
    """Depth and digits of what was parsed already; level by level, so that no depth can exhaust the stack."""
    level = [value]
    for _ in range(limits.depth + 1):
        for one in level:
            if isinstance(one, int) and abs(one) >= 10**limits.digits:
                raise Malformed(f"{what} is not valid TOML: a whole number has more than {limits.digits} digits.")
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise BeyondLimit(f"{what} nests deeper than {limits.depth} levels.")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"key {twice[:_SHOWN]!r} occurs twice")
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value
