"""How a composition is written on one line: ``ttt[lr=0.004,epochs=2],slot-lbfgs``, strategies with their options.

The same strategy may stand in several compositions with other options, so options belong to where it stands. A value
that has commas is quoted: ``lora-ttt[weights="mlp.*,attention.out"]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evaladapt.errors import UsageError

COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
"""A comma with an even number of quotation marks behind it: one outside of quotations."""
EXAMPLE = "as in: ttt[lr=0.004,epochs=2],slot-lbfgs"


@dataclass(frozen=True)
class Spelled:
    """Names in order, and options by name as they were written."""

    names: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The composition on one line again."""
        return ",".join(f"{name}{_bracket(self.options.get(name, {}))}" for name in self.names)


def spelled(line: str) -> Spelled:
    """Read a composition.

    Raises:
        UsageError: a bracket is not closed, a name is empty, or an option has no value.
    """
    if not line.strip():
        return Spelled()
    names: list[str] = []
    options: dict[str, dict[str, object]] = {}
    for part in _parts(line):
        name, bracket, inside = part.partition("[")
        name = name.strip()
        if not name:
            raise UsageError(f"{line!r} holds an empty name; write names with commas between, {EXAMPLE}")
        names.append(name)
        if bracket:
            options[name] = dict(_pairs(inside.rstrip().removesuffix("]"), line))
    return Spelled(tuple(names), options)


def _parts(line: str) -> Iterator[str]:
    """What stands between the commas outside of brackets."""
    start, inside = 0, False
    for place, character in enumerate(line):
        if character in "[]" and inside == (character == "["):
            raise UsageError(f"{line!r} has a bracket too many at character {place + 1}; {EXAMPLE}")
        if character in "[]":
            inside = character == "["
            after = line[place + 1 :].lstrip()
            if not inside and after and not after.startswith(","):
                raise UsageError(f"{line!r}: after ']' at character {place + 1} a comma is due, {EXAMPLE}")
        elif character == "," and not inside:
            yield line[start:place]
            start = place + 1
    if inside:
        raise UsageError(f"{line!r} opens a bracket and does not close it; {EXAMPLE}")
    yield line[start:]


def _pairs(inside: str, line: str) -> Iterator[tuple[str, str]]:
    if inside.count('"') % 2:
        raise UsageError(f'{line!r} opens a quotation and does not close it, as in: lora-ttt[weights="mlp.*,head"]')
    for pair in COMMA.split(inside) if inside.strip() else ():
        key, equals, value = pair.partition("=")
        if not (equals and key.strip()):
            raise UsageError(f"{line!r}: {pair.strip()!r} is not of the form key=value, {EXAMPLE}")
        yield key.strip().replace("-", "_"), value.strip().strip('"')


def _bracket(options: Mapping[str, object]) -> str:
    return f"[{','.join(f'{key}={_quoted(str(value))}' for key, value in options.items())}]" if options else ""


def _quoted(value: str) -> str:
    return f'"{value}"' if "," in value else value
