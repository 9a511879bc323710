"""Reading a run record that a stranger may have written: every field is of the kind that the classes declare."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from evaladapt.errors import DataError
from evaladapt.judge.records.record import FORMAT, OF_THE_SCORE, VIOLATED, Record, RunRecord
from evaladapt.system.strict_json import read_json, shown

VERIFICATION = "verification"
"""What ``evaladapt verify`` adds."""


def read_record(path: Path) -> dict[str, Any]:
    """The record in a file, as JSON values; ``adapted`` is None for a run that was ended.

    Raises:
        DataError: it cannot be read, or is no record of this version; the message names the field.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        other = f": its format is {shown(found)}, and this evaladapt reads {FORMAT}" if found else ""
        raise DataError(f"{path} is no record of a run{other}; evaladapt run writes them as record.json")
    finished = content.get("adapted") is not None
    ended = {name: value for name, value in content.items() if name not in OF_THE_SCORE}
    try:
        scores = [name for name in OF_THE_SCORE if content.get(name) is not None]
        if scores and not finished:
            raise DataError(f"the record has {scores[0]!r} and lacks 'adapted'")
        _check_fields(content if finished else ended, RunRecord if finished else Record, "the record", (VERIFICATION,))
        if content["data"]["bytes"] < 1 or content["data"]["targets"] < 1:
            raise DataError("the record is of a text without targets or bytes")
    except DataError as error:
        raise DataError(f"{path} is damaged: {error}") from error
    return content


def read_any_record(path: Path) -> Record:
    """The record in a file: a :class:`RunRecord`, or that of a run that was ended and has no score.

    Raises:
        DataError: as :func:`read_record`.
    """
    content = read_record(path)
    finished = content.get("adapted") is not None
    kept = {
        name: one for name, one in content.items() if name != VERIFICATION and (finished or name not in OF_THE_SCORE)
    }
    record = _built(kept, RunRecord if finished else Record)
    assert isinstance(record, Record)
    return record


def read_run_record(path: Path) -> RunRecord:
    """The record of a finished run.

    Raises:
        DataError: as :func:`read_record`, or the run was ended and has no score.
    """
    record = read_any_record(path)
    if not isinstance(record, RunRecord) or record.verdict == VIOLATED:
        raise DataError(f"{path} is of a run that broke the contract, so it has no score. See: evaladapt report {path}")
    return record


def _built(value: Any, hint: Any) -> Any:
    """A checked JSON value as what the classes declare."""
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        return hint(**{name: _built(one, hints[name]) for name, one in value.items()})
    if origin in (Union, types.UnionType):
        others = [one for one in arguments if one is not types.NoneType]
        return _built(value, others[0]) if value is not None and len(others) == 1 else value
    if origin in (list, tuple):
        return origin(_built(one, arguments[0]) for one in value)
    return value


def _check_fields(value: object, kind: type[Any], where: str, more: tuple[str, ...] = ()) -> None:
    if not isinstance(value, dict):
        raise DataError(f"{where} is {shown(value)}, not an object")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in fields:
        if name not in value:
            raise DataError(f"{where} lacks {name!r}")
        _check(value[name], hints[name], f"{where}.{name}")
    unknown = [name for name in value if name not in fields and name not in more]
    if unknown:
        raise DataError(f"{where} has an unknown field {shown(unknown[0])}")


def _check(value: object, hint: Any, where: str) -> None:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        _check_fields(value, hint, where)
    elif origin in (Union, types.UnionType):
        _check_one_of(value, arguments, where)
    elif origin is Literal:
        if value not in arguments:
            raise DataError(f"{where} is {shown(value)}, not one of {', '.join(map(str, arguments))}")
    elif origin in (list, tuple):
        _check_list(value, arguments[0], where)
    elif origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise DataError(f"{where} is {shown(value)}, not an object")
        for name, one in value.items():
            _check(one, arguments[1], f"{where}.{name[:40]}")
    elif not _is_a(value, hint):
        raise DataError(f"{where} is {shown(value)}, not {hint.__name__}")


def _check_one_of(value: object, hints: tuple[Any, ...], where: str) -> None:
    """None or the one thing that it is otherwise; among plain kinds, any."""
    if value is None and types.NoneType in hints:
        return
    others = [hint for hint in hints if hint is not types.NoneType]
    if len(others) == 1:
        _check(value, others[0], where)
    elif not any(_is_a(value, hint) for hint in others):
        raise DataError(f"{where} is {shown(value)}, not one of {', '.join(hint.__name__ for hint in others)}")


def _check_list(value: object, hint: Any, where: str) -> None:
    if not isinstance(value, list | tuple):
        raise DataError(f"{where} is {shown(value)}, not a list")
    for number, one in enumerate(value):
        _check(one, hint, f"{where}[{number}]")


def _is_a(value: object, hint: Any) -> bool:
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint
