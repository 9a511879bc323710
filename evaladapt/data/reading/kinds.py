"""What the name of a file says about its content. Case does not matter: ``WEB.JSONL.GZ`` is compressed JSON lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from evaladapt.errors import DataError

STANDARD_INPUT = Path("-")


class Form(Enum):
    """How documents stand in a file."""

    TEXT = "one text"
    LINES = "JSON lines"
    JSON = "JSON"
    PARQUET = "Parquet"
    UNKNOWN = "standard input"


class Packing(Enum):
    """How a file is compressed; the value is the suffix."""

    NONE = ""
    GZIP = ".gz"
    BZIP2 = ".bz2"
    XZ = ".xz"
    ZSTD = ".zst"


FORMS = {
    ".jsonl": Form.LINES,
    ".ndjson": Form.LINES,
    ".jsonlines": Form.LINES,
    ".json": Form.JSON,
    ".parquet": Form.PARQUET,
}
PACKINGS = {packing.value: packing for packing in Packing if packing.value} | {".zstd": Packing.ZSTD}
TEXT_SUFFIXES = (".txt", ".md", *FORMS, *PACKINGS)

_UNPACK = "Unpack it, and name the files in it: "
REFUSED = {
    ".tar": f"is an archive of several files. {_UNPACK}tar -xf {{path}}",
    ".tgz": f"is an archive of several files. {_UNPACK}tar -xf {{path}}",
    ".txz": f"is an archive of several files. {_UNPACK}tar -xf {{path}}",
    ".zip": f"is an archive of several files. {_UNPACK}unzip {{path}}",
    ".7z": f"is an archive of several files. {_UNPACK}7z x {{path}}",
    ".arrow": "is an Arrow file. Write it as Parquet: datasets.Dataset.from_file('{path}').to_parquet('x.parquet')",
    ".pdf": "is a PDF. Take the text out of it first: pdftotext {path}",
}


@dataclass(frozen=True)
class Kind:
    """What a name says."""

    form: Form
    packing: Packing


def kind_of(path: Path) -> Kind:
    """Form and compression of a file, by its name alone.

    Raises:
        DataError: an archive or a form that is known and not read; the message says how to get at the text.
    """
    if path == STANDARD_INPUT:
        return Kind(Form.UNKNOWN, Packing.NONE)
    suffix = path.suffix.lower()
    packing = PACKINGS.get(suffix, Packing.NONE)
    if packing is not Packing.NONE:
        suffix = Path(path.stem).suffix.lower()
    if suffix in REFUSED:
        raise DataError(f"{path} {REFUSED[suffix].format(path=path)}")
    form = FORMS.get(suffix, Form.TEXT)
    if form is Form.PARQUET and packing is not Packing.NONE:
        raise DataError(f"{path} is Parquet inside another compression. Unpack it first: Parquet compresses by itself.")
    return Kind(form, packing)
