"""Documents in records: JSON lines, JSON and Parquet, each with the text in a field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from evaladapt.data.reading.opening import name_of, open_regular
from evaladapt.data.reading.unicode import BYTE_ORDER_MARK, line_text, refuse_other_encodings
from evaladapt.errors import DataError, near_miss

DEFAULT_FIELD = "text"
JOINED_FIELDS = ("prefix", "gold_completion")
PARQUET_ROWS = 256


def documents_in_lines(lines: Iterable[bytes], path: Path, field: str | None) -> Iterator[str]:
    """One document a line; blank lines are none.

    Raises:
        DataError: a line is no JSON object, is no UTF-8, or has no text; the message says which.
    """
    offset = 0
    for number, line in enumerate(lines, 1):
        if not offset:
            refuse_other_encodings(line[:4096], path)
        kept = line.removeprefix(BYTE_ORDER_MARK) if not offset else line
        if kept and not kept.isspace():
            where = f"{name_of(path)}, line {number}"
            yield _text_of(_parsed(line_text(kept, path, number, offset), where), where, field)
        offset += len(line)


def documents_in_json(file: BinaryIO, path: Path, field: str | None) -> Iterator[str]:
    """The documents of a JSON file: an array of strings or objects, an object with such an array ``documents``, an
    object with a text; or, since many files called ``.json`` are that, JSON lines.

    Raises:
        DataError: not JSON, or none of these.
    """
    first = file.readline()
    if is_record(first) and (second := _next_line(file)):
        yield from documents_in_lines(chain([first, second], file), path, field)
        return
    content = first + (second if is_record(first) else b"") + file.read()
    refuse_other_encodings(content[:4096], path)
    name = name_of(path)
    value = _parsed(line_text(content.removeprefix(BYTE_ORDER_MARK), path, 1, 0), name)
    del content
    if isinstance(value, dict) and isinstance(value.get("documents"), list):
        value = value["documents"]
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise DataError(
            f"{name} holds {_kind(value)}. A .json file is an array of texts or of objects with a text, or an object "
            'with such an array "documents". To score the file as it is written, name it .txt.'
        )
    for number, item in enumerate(value, 1):
        where = f"{name}, item {number}"
        yield _whole(item, where, "it") if isinstance(item, str) else _text_of(item, where, field)


def documents_in_parquet(path: Path, field: str | None) -> Iterator[str]:
    """The strings of one column, row after row; a few hundred rows are in memory at a time.

    Raises:
        DataError: pyarrow is not installed, the file is damaged, the column is not there or holds no text.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"{path} is a Parquet file, and the package that reads it is not installed. Install it: "
            "pip install 'evaladapt[data]'"
        ) from None
    wanted = field or DEFAULT_FIELD
    with open_regular(path) as file:
        try:
            table = pyarrow.parquet.ParquetFile(file)
            names = table.schema_arrow.names
            if wanted not in names:
                raise DataError(_no_field(str(path), wanted, names, field is not None))
            batches = table.iter_batches(batch_size=PARQUET_ROWS, columns=[wanted])
            values = (value for batch in batches for value in batch.column(0).to_pylist())
            for row, value in enumerate(values, 1):
                yield _whole(value, f"{path}, row {row}", f"column {wanted!r}")
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path} cannot be read as Parquet: {error}.") from error


def is_record(line: bytes) -> bool:
    """Whether the line is a whole JSON object."""
    try:
        return isinstance(json.loads(line.removeprefix(BYTE_ORDER_MARK)), dict)
    except (ValueError, RecursionError):
        return False


def _next_line(file: BinaryIO) -> bytes:
    """The next line that is not blank, or none."""
    return next((line for line in file if not line.isspace()), b"")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f" at line {error.lineno}" if error.lineno > 1 else ""
        raise DataError(
            f"{where}: not JSON ({error.msg}{place}). A .jsonl or .ndjson file holds one JSON object a line; plain "
            "text belongs in a .txt file."
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "it nests too deeply" if isinstance(error, RecursionError) else "a number has thousands of digits"
        raise DataError(f"{where}: JSON that is not read here ({reason}).") from None


def _text_of(record: Any, where: str, field: str | None) -> str:
    """The text of a record: the field that was named, ``text``, or ``prefix`` and ``gold_completion`` joined."""
    if not isinstance(record, dict):
        wanted = field or DEFAULT_FIELD
        raise DataError(
            f"{where}: no text in it. Expected an object with the string {wanted!r}; it is {_kind(record)}."
        )
    if field is None and DEFAULT_FIELD not in record and all(name in record for name in JOINED_FIELDS):
        return "".join(_whole(record[name], where, f"field {name!r}") for name in JOINED_FIELDS)
    wanted = field or DEFAULT_FIELD
    if wanted not in record:
        raise DataError(_no_field(where, wanted, list(record), field is not None))
    return _whole(record[wanted], where, f"field {wanted!r}")


def _no_field(where: str, wanted: str, names: list[str], was_named: bool) -> str:
    shown = ", ".join(repr(name) for name in names[:12]) or "no field at all"
    hint = near_miss(wanted, names) if was_named else " Name the one that holds the text: --text-field NAME."
    return f"{where}: no text in it: no field {wanted!r}. It has {shown}.{hint}"


def _whole(value: Any, where: str, what: str) -> str:
    """The value, if it is a text that has UTF-8 bytes."""
    if not isinstance(value, str):
        raise DataError(f"{where}: no text in it: {what} holds {_kind(value)}, not a string.")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(f"{where}: holds a lone surrogate, which no UTF-8 text can hold.") from None
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
