"""Bytes to text. Text is UTF-8 here; any other encoding is named, with the command that changes it."""

from __future__ import annotations

import codecs
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from evaladapt.data.reading.kinds import STANDARD_INPUT
from evaladapt.data.reading.opening import name_of
from evaladapt.errors import DataError

BLOCK_BYTES = 1 << 16
BYTE_ORDER_MARK = codecs.BOM_UTF8
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_BINARY = {
    b"\x1f\x8b": "gzip data; give it a name that ends in .gz",
    b"\xfd7zXZ\0": "xz data; give it a name that ends in .xz",
    b"\x28\xb5\x2f\xfd": "zstd data; give it a name that ends in .zst",
    b"BZh": "bzip2 data; give it a name that ends in .bz2",
    b"PAR1": "Parquet data; give it a name that ends in .parquet",
    b"PK\x03\x04": "a zip archive; unpack it and name the files in it",
    b"%PDF": "a PDF; take the text out of it first: pdftotext",
}


def text_blocks(file: BinaryIO, path: Path) -> Iterator[str]:
    """The text of a file, unchanged, in blocks of 64 KiB.

    Raises:
        DataError: the file is binary, in another encoding, or not valid UTF-8 (the message names the byte).
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line = 0, 1
    while block := file.read(BLOCK_BYTES):
        if not offset:
            refuse_other_encodings(block, path)
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            raise _not_utf8(error, path, offset - pending, line) from None
        offset += len(block)
        line += block.count(b"\n")
        if text:
            yield text
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(error, path, offset - len(error.object), line) from None


def line_text(line: bytes, path: Path, number: int, offset: int) -> str:
    """One line of a file. Raises :class:`DataError` as :func:`text_blocks`."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(error, path, offset, number) from None


def refuse_other_encodings(start: bytes, path: Path) -> None:
    """Refuse UTF-16, UTF-32 and binary data by the first bytes of a file.

    Raises:
        DataError: says what it is and which command helps.
    """
    for mark, name in _MARKS:
        if start.startswith(mark):
            raise DataError(f"{name_of(path)} is in {name}, and text is read as UTF-8. {_convert(name, path)}")
    if b"\0" not in start:
        return
    for mark, what in _BINARY.items():
        if start.startswith(mark):
            raise DataError(f"{name_of(path)} is {what}.")
    for encoding, zeros, letters in (("UTF-16LE", start[1::2], start[::2]), ("UTF-16BE", start[::2], start[1::2])):
        if zeros.count(0) > len(zeros) // 2 and letters.count(0) < len(letters) // 20:
            raise DataError(
                f"{name_of(path)} looks like {encoding}, and text is read as UTF-8. {_convert(encoding, path)}"
            )
    raise DataError(
        f"{name_of(path)} is a binary file, not text. Give text in UTF-8 (.txt), JSON lines (.jsonl), JSON, Parquet, "
        "or token shards (.bin)."
    )


def _not_utf8(error: UnicodeDecodeError, path: Path, offset: int, line: int) -> DataError:
    data = error.object
    for mark, what in _BINARY.items():
        if not offset and data.startswith(mark):
            return DataError(f"{name_of(path)} is {what}.")
    line += data.count(b"\n", 0, error.start)
    return DataError(
        f"{name_of(path)} is not valid UTF-8: byte 0x{data[error.start]:02x} at offset {offset + error.start} "
        f"(line {line}). {_convert('WINDOWS-1252', path)}"
    )


def _convert(encoding: str, path: Path) -> str:
    if path == STANDARD_INPUT:
        return f"Convert it on the way, for example with: … | iconv -f {encoding} -t UTF-8 | evaladapt …"
    new = path.with_name(f"utf8-{path.name}")
    command = f"iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(str(new))}"
    return f"Convert it first, for example with: {command}"
