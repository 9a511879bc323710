"""Options of strategies: a frozen dataclass each, parsed by declared type and never guessed.

A field is ``name: int = option(8, "what it does")``. Allowed types are bool, int, float, str, ``Literal[...]`` of
strings, and any of these with ``| None``.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from evaladapt.errors import UsageError, near_miss

OptionValue = bool | int | float | str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoOptions:
    """For strategies without options."""


@dataclasses.dataclass(frozen=True)
class OptionField:
    """One option as a person sees it."""

    name: str
    type: str
    default: OptionValue
    help: str


def option(
    default: OptionValue,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A dataclass field with a default, a help text and, for numbers, bounds (``above`` excludes the bound itself)."""
    bounds = {"minimum": minimum, "above": above, "maximum": maximum}
    return dataclasses.field(default=default, metadata={"help": help, **bounds})


def describe(options_class: type[Any]) -> list[OptionField]:
    """The options of a strategy, in order."""
    hints = get_type_hints(options_class)
    return [
        OptionField(
            field.name, type_name(hints[field.name]), cast(OptionValue, field.default), field.metadata.get("help", "")
        )
        for field in dataclasses.fields(options_class)
    ]


def build_options(alias: str, options_class: type[Any], given: Mapping[str, object]) -> Any:
    """Construct the options of strategy ``alias`` from strings (command line) or TOML values.

    Raises:
        UsageError: for an unknown name, a value of another type, or one out of bounds.
    """
    hints = get_type_hints(options_class)
    fields = {field.name: field for field in dataclasses.fields(options_class)}
    values: dict[str, OptionValue] = {}
    for raw_name, raw in given.items():
        name = raw_name.replace("-", "_")
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise UsageError(
                f"strategy {alias!r} has no option {raw_name!r}.{near_miss(name, fields)} Its options: {known}."
                f" See: evaladapt plugins show {alias}"
            )
        values[name] = _parse(f"{alias}.{name}", hints[name], raw)
        _check_bounds(f"{alias}.{name}", values[name], fields[name].metadata)
    return options_class(**values)


def type_name(hint: Any) -> str:
    """How a type is written for a person."""
    if get_origin(hint) is Literal:
        return "|".join(str(choice) for choice in get_args(hint))
    if _is_union(hint):
        return " or ".join("none" if part is type(None) else type_name(part) for part in get_args(hint))
    return str(getattr(hint, "__name__", hint))


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _parse(where: str, hint: Any, raw: object) -> OptionValue:
    if _is_union(hint):
        return _parse_union(where, hint, raw)
    if get_origin(hint) is Literal:
        choices = [str(choice) for choice in get_args(hint)]
        if str(raw) in choices:
            return str(raw)
        raise UsageError(f"{where}: {raw!r} is none of {', '.join(choices)}.{near_miss(str(raw), choices)}")
    if isinstance(raw, str):
        return _parse_text(where, hint, raw)
    if hint is float and type(raw) is int:
        return float(raw)
    if type(raw) is hint and isinstance(raw, bool | int | float | str):
        return raw
    raise UsageError(f"{where} takes {type_name(hint)}, not {raw!r}")


def _parse_union(where: str, hint: Any, raw: object) -> OptionValue:
    parts = get_args(hint)
    if type(None) in parts and (raw is None or (isinstance(raw, str) and raw.lower() == "none")):
        return None
    inner = [part for part in parts if part is not type(None)]
    if len(inner) != 1:
        raise UsageError(f"{where}: options may be of one type, or of one type or none")
    return _parse(where, inner[0], raw)


def _parse_text(where: str, hint: Any, raw: str) -> OptionValue:
    readers: dict[Any, Callable[[str], OptionValue]] = {bool: _read_bool, int: _read_int, float: float, str: str}
    try:
        return readers[hint](raw)
    except ValueError:
        raise UsageError(f"{where} takes {type_name(hint)}, not {raw!r}") from None


def _read_bool(raw: str) -> bool:
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if raw.lower() not in known:
        raise ValueError(raw)
    return known[raw.lower()]


def _read_int(raw: str) -> int:
    return int(raw.replace("_", ""))


def _check_bounds(where: str, value: OptionValue, metadata: Mapping[str, Any]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    minimum, above, maximum = metadata.get("minimum"), metadata.get("above"), metadata.get("maximum")
    if value != value:
        raise UsageError(f"{where} takes a number, not nan")
    if minimum is not None and value < minimum:
        raise UsageError(f"{where} is at least {minimum}, not {value}")
    if above is not None and value <= above:
        raise UsageError(f"{where} is above {above}, not {value}")
    if maximum is not None and value > maximum:
        raise UsageError(f"{where} is at most {maximum}, not {value}")
