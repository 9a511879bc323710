"""Raw text into documents: the first step from a file on disk to a stream of targets.

A ``.txt`` file is one document; ``.jsonl``, ``.ndjson``, ``.json`` and ``.parquet`` files hold many, each in the field
``text`` or one that is named; ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` are unpacked; ``-`` is standard input. Documents
are exactly as the file spells them: no byte order mark, line ending or space is changed here, because the raw bytes are
the denominator of the score. Whoever prepares training text may tidy (:func:`unix_newlines`) and cut
(:func:`split_document`) on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from evaladapt.data.reading.kinds import STANDARD_INPUT, Form, kind_of
from evaladapt.data.reading.opening import name_of, open_bytes, replayed
from evaladapt.data.reading.records import documents_in_json, documents_in_lines, documents_in_parquet, is_record
from evaladapt.data.reading.unicode import text_blocks
from evaladapt.errors import DataError
from evaladapt.system.text import safe

MOST_FIRST_LINE = 64 << 20


class TextFile:
    """One file as documents, read as they are asked for.

    Attributes:
        path: as it was named; ``-`` is standard input.
        holds_one: whether the whole file is one document; for standard input known once it is read.
        empty: records without a character, left out so far; an empty document has nothing to score.
        notes: what a person should know about this file, one sentence each.
    """

    def __init__(self, path: str | Path, field: str | None = None) -> None:
        self.path = Path(path)
        self._field = field
        self._kind = kind_of(self.path)
        self.holds_one = self._kind.form is Form.TEXT
        self.empty = 0
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """The file's name without its folder, safe to print."""
        return safe(self.path.name) if self.path != STANDARD_INPUT else name_of(self.path)

    def documents(self) -> Iterator[Iterable[str]]:
        """Each document as the blocks of its text, to be taken before the next document is.

        Raises:
            DataError: the file cannot be read, is not what its name says, or holds no text.
        """
        if self._kind.form is Form.PARQUET:
            yield from self._records(documents_in_parquet(self.path, self._field))
            return
        with open_bytes(self.path, self._kind.packing) as file:
            form: Form = self._kind.form
            if form is Form.UNKNOWN:
                form, file = self._form_of_standard_input(file)
            if form is Form.TEXT:
                yield self._one_text(file)
            elif form is Form.LINES:
                yield from self._records(documents_in_lines(file, self.path, self._field))
            else:
                yield from self._records(documents_in_json(file, self.path, self._field))

    def _one_text(self, file: BinaryIO) -> Iterator[str]:
        blocks = text_blocks(file, self.path)
        first = next(blocks, None)
        if first is None:
            raise DataError(f"{name_of(self.path)} is empty: there is nothing to score or to train on.")
        if first.startswith("\ufeff"):
            self.notes.append(
                "starts with a byte order mark, which is scored as 3 bytes of text; to be rid of it: tail -c +4 FILE"
            )
        return chain([first], blocks)

    def _records(self, texts: Iterator[str]) -> Iterator[tuple[str]]:
        given = False
        for text in texts:
            if text:
                given = True
                yield (text,)
            else:
                self.empty += 1
        if not given:
            reason = "every one of its documents is empty" if self.empty else "no document is in it"
            raise DataError(f"{name_of(self.path)} holds no text: {reason}.")

    def _form_of_standard_input(self, file: BinaryIO) -> tuple[Form, BinaryIO]:
        """JSON lines where the first line is a JSON object or a field was named; one text otherwise."""
        if self._field is not None:
            return Form.LINES, file
        first = file.readline(MOST_FIRST_LINE)
        file = replayed(first, file)
        if is_record(first):
            self.notes.append("is read as JSON lines, because its first line is a JSON object")
            return Form.LINES, file
        self.holds_one = True
        return Form.TEXT, file


def read_documents(path: str | Path, field: str | None = None) -> list[str]:
    """All documents of a text file (see :class:`TextFile`), without the empty ones.

    Raises:
        DataError: the file cannot be read, is not what its name says, or holds no text.
    """
    return ["".join(blocks) for blocks in TextFile(path, field).documents()]


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file that holds something.

    Raises:
        DataError: the file is missing, empty, a folder, a pipe or a device, or cannot be read.
    """
    with open_bytes(path) as file:
        return file.read()


def unix_newlines(text: str) -> str:
    """The text without a byte order mark at its start and with ``\\n`` for every CRLF and CR."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def split_document(text: str, size: int) -> list[str]:
    """Cut a long text into pieces of at least ``size`` characters; joined, they are the text again.

    A piece ends at a blank line within the next quarter of ``size``, else at a line end within the next ``size``, else
    after a space there, else in mid-word. The last piece may be shorter.
    """
    pieces, start = [], 0
    while len(text) - start > size:
        end = _piece_end(text, start + size, size)
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]] if start < len(text) else pieces


def _piece_end(text: str, earliest: int, size: int) -> int:
    blank = text.find("\n\n", earliest - 2, earliest + size // 4)
    if blank >= 0:
        return blank + 2
    for separator in ("\n", " "):
        found = text.find(separator, earliest - 1, earliest + size)
        if found >= 0:
            return found + 1
    return earliest
