"""Raw text into documents: the first step from a file on disk to a stream of targets.

A ``.txt`` file is one document; a ``.jsonl`` file holds one document a line. Documents are plain Python strings,
exactly as the file spells them: no byte order mark, line ending or space is changed here, because the raw bytes are the
denominator of the score. Whoever prepares training text may tidy (:func:`unix_newlines`) and cut
(:func:`split_document`) on purpose.
"""

from __future__ import annotations

import json
from pathlib import Path

from evaladapt.errors import DataError

TEXT_SUFFIXES = (".txt", ".md", ".jsonl")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that must exist and hold something.

    Raises:
        DataError: the file is missing, is a folder, cannot be read, or is empty.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"No file {path}.{_neighbours(path)}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a file. Name the files in it, for example {path}/*.jsonl.") from None
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    if not data:
        raise DataError(f"{path} is empty: there is nothing to score or to train on.")
    return data


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, unchanged.

    Raises:
        DataError: as :func:`read_bytes`; or the file is binary, or is not valid UTF-8 (the message names the byte).
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if b"\0" in data[:65536]:
            raise DataError(
                f"{path} is a binary file, not text. Give text in UTF-8 (.txt), JSON lines (.jsonl) or shards (.bin)."
            ) from None
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not valid UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} (line {line}). "
            f"Convert it first, for example with: iconv -f WINDOWS-1252 -t UTF-8 {path.name}"
        ) from None


def read_documents(path: str | Path) -> list[str]:
    """The documents of a text file.

    A ``.jsonl`` file gives one document a line, from the field ``text``, or from ``prefix`` and ``gold_completion``
    joined. Any other file is one document.

    Raises:
        DataError: missing, empty, binary or not UTF-8; a line that is not JSON or has none of the fields.
    """
    path = Path(path)
    text = read_text(path)
    if path.suffix != ".jsonl":
        return [text]
    documents = [_line_text(line, path, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    documents = [document for document in documents if document]
    if not documents:
        raise DataError(f"{path} holds no text: every one of its documents is empty.")
    return documents


def _line_text(line: str, path: Path, number: int) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {number}: not JSON ({error.msg}). A .jsonl file holds one JSON object a line."
        ) from None
    fields = record if isinstance(record, dict) else {}
    parts = [fields.get("text")] if "text" in fields else [fields.get("prefix"), fields.get("gold_completion")]
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != len(parts):
        raise DataError(
            f'{path}, line {number}: no text in it. Expected an object with the string "text", or with '
            f'"prefix" and "gold_completion"; it has {sorted(fields) if fields else type(record).__name__}.'
        )
    document = "".join(texts)
    if any("\ud800" <= char <= "\udfff" for char in document):
        raise DataError(f"{path}, line {number}: holds a lone surrogate, which no UTF-8 text can hold.")
    return document


def _neighbours(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" The folder {folder} does not exist either."
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (*TEXT_SUFFIXES, ".bin", ".model"))
    return f" In that folder: {', '.join(names[:8])}." if names else ""


def unix_newlines(text: str) -> str:
    """The text without a byte order mark at its start and with ``\\n`` for every CRLF and CR."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def split_document(text: str, size: int) -> list[str]:
    """Cut a long text into pieces of at least ``size`` characters, each ending at a line end; joined, they are the text
    again.

    A blank line within the next quarter of ``size`` is preferred to a plain line end. The last piece may be shorter.
    """
    pieces, start = [], 0
    while len(text) - start > size:
        earliest = start + size
        blank = text.find("\n\n", earliest - 2, earliest + size // 4)
        newline = text.find("\n", earliest - 1)
        end = blank + 2 if blank >= 0 else newline + 1 if newline >= 0 else len(text)
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]] if start < len(text) else pieces
