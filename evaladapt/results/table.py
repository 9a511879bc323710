"""Rows of one kind, kept by column: read in Python, handed to pandas or Arrow, or written to a file.

pandas and pyarrow are optional; who asks for them without having them is told what to install.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import UsageError, near_miss
from evaladapt.system.files import write_atomically

if TYPE_CHECKING:
    import pandas
    import pyarrow

Row = TypeVar("Row")
ROWS_AT_ONCE = 4096


class Table(Sequence[Row], Generic[Row]):
    """Rows that are built when they are looked at.

    Attributes:
        kind: dataclass of a row; its fields name the columns.
        columns: arrays of one length by name, in the order of the fields. NaN in a column of floats stands for a value
            that there is not: None in a row, null in JSON and Arrow, an empty cell in CSV.
    """

    def __init__(self, kind: type[Row], columns: Mapping[str, NDArray[Any]]) -> None:
        names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
        if names != list(columns) or len({len(one) for one in columns.values()}) != 1:
            raise ValueError(f"columns {list(columns)} of one length were to be {names}")
        self.kind, self.columns = kind, dict(columns)

    @classmethod
    def of(cls, kind: type[Row], rows: Sequence[Row]) -> Table[Row]:
        """From rows; None in a column of numbers becomes NaN."""
        columns = {}
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            values = [getattr(one, field.name) for one in rows]
            numbers = all(one is None or isinstance(one, float) for one in values)
            texts = any(isinstance(one, str) for one in values)
            columns[field.name] = np.array(values, dtype=float if numbers else object if texts else None)
        return cls(kind, columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return self.kind(**{name: _plain(column[index]) for name, column in self.columns.items()})

    def __repr__(self) -> str:
        return f"<{len(self):,} rows of {', '.join(self.columns)}>"

    def to_pandas(self) -> pandas.DataFrame:
        """As a pandas data frame.

        Raises:
            UsageError: pandas is not installed.
        """
        frames = optional_package("pandas", "report")
        return frames.DataFrame(self.columns)

    def to_arrow(self) -> pyarrow.Table:
        """As an Arrow table; NaN becomes null.

        Raises:
            UsageError: pyarrow is not installed.
        """
        arrow = optional_package("pyarrow", "data")
        return arrow.table({name: arrow.array(one, from_pandas=True) for name, one in self.columns.items()})

    def save(self, path: str | Path) -> None:
        """Write to a ``.csv``, ``.jsonl`` or ``.parquet`` file, whole or not at all.

        Raises:
            UsageError: another suffix, or Parquet without pyarrow.
            DataError: it cannot be written.
        """
        write_atomically(Path(path), writer_for(Path(path))(self))

    def plain_rows(self) -> Iterator[list[Any]]:
        """Rows as lists of Python values."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            columns = [one[start : start + ROWS_AT_ONCE].tolist() for one in self.columns.values()]
            for row in zip(*columns, strict=True):
                yield [None if isinstance(one, float) and math.isnan(one) else one for one in row]


def writer_for(path: Path) -> Callable[[Table[Any]], Iterator[bytes]]:
    """What turns a table into the bytes of a file of this name; asked before a run, it spares a run for nothing.

    Raises:
        UsageError: no table is written under this suffix, the package for it is missing, or there is no such folder.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(
            f"{path} ends in {suffix or 'no suffix'}, and tables are written as {', '.join(WRITERS)}."
            f"{near_miss(suffix, WRITERS)}"
        )
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} to; make it: mkdir -p {path.parent}")
    if suffix == ".parquet":
        optional_package("pyarrow", "data")
    return WRITERS[suffix]


def _csv(table: Table[Any]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    for number, row in enumerate(table.plain_rows(), start=1):
        writer.writerow(row)
        if number % ROWS_AT_ONCE == 0:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    content = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return content


def _jsonl(table: Table[Any]) -> Iterator[bytes]:
    for row in table.plain_rows():
        yield json.dumps(dict(zip(table.columns, row, strict=True)), ensure_ascii=False).encode() + b"\n"


def _parquet(table: Table[Any]) -> Iterator[bytes]:
    file = io.BytesIO()
    optional_package("pyarrow.parquet", "data").write_table(table.to_arrow(), file)
    yield file.getvalue()


WRITERS: dict[str, Callable[[Table[Any]], Iterator[bytes]]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}


def optional_package(name: str, extra: str) -> Any:
    """A package of an extra.

    Raises:
        UsageError: it is not installed; the message says how it is.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        raise UsageError(
            f"this needs the package {top!r}, which is not installed: pip install 'evaladapt[{extra}]'"
        ) from error


def _plain(value: object) -> object:
    found = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(found, float) and math.isnan(found) else found
