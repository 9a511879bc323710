"""Opens what can be read from beginning to end and then ends: regular files and standard input, unpacked on the way."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from evaladapt.data.reading.kinds import STANDARD_INPUT, TEXT_SUFFIXES, Packing
from evaladapt.data.reading.unpacking import Unpacked
from evaladapt.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 18


def name_of(path: Path) -> str:
    """What to call a file in messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


@contextmanager
def open_bytes(path: Path, packing: Packing = Packing.NONE) -> Iterator[BinaryIO]:
    """The bytes of a regular file or of standard input (``-``), unpacked.

    Raises:
        DataError: missing, empty, a folder, a pipe or a device; damaged, cut short or suspiciously small; a library
            for this compression is missing.
    """
    if path == STANDARD_INPUT:
        yield _standard_input()
        return
    with open_regular(path) as file:
        if packing is Packing.NONE:
            yield file
        else:
            yield io.BufferedReader(Unpacked(file, packing, path), BUFFER_BYTES)


def sha256_of(path: Path) -> str:
    """SHA-256 of a regular file. Raises :class:`DataError` as :func:`open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file that holds something, opened without waiting: a pipe or a device would hang or never end.

    Raises:
        DataError: missing, empty, a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise DataError(f"No file {path}.{_neighbours(path)}") from None
    except IsADirectoryError:
        raise DataError(_folder(path)) from None
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size:
        return io.BufferedReader(io.FileIO(descriptor), BUFFER_BYTES)
    os.close(descriptor)
    if stat.S_ISREG(found.st_mode):
        raise DataError(f"{path} is empty: there is nothing to score or to train on.")
    raise DataError(_folder(path) if stat.S_ISDIR(found.st_mode) else _not_a_file(path, found.st_mode))


def _folder(path: Path) -> str:
    return f"{path} is a folder, not a file. Name the files in it, for example {path}/*.jsonl."


def _not_a_file(path: Path, mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return f"{path} is a pipe, not a file. Pipe the text into standard input instead, and name it -."
    return f"{path} is a device or a socket, not a file."


def _neighbours(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" The folder {folder} does not exist either."
    readable = (*TEXT_SUFFIXES, ".bin", ".model")
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in readable)
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"{meant} In that folder: {', '.join(names[:8])}." if names else ""


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("Standard input (-) is a terminal. Pipe a text into the command: cat FILE | evaladapt …")
    return sys.stdin.buffer


def replayed(head: bytes, file: BinaryIO) -> BinaryIO:
    """A file that begins with bytes that were read from it already."""
    return io.BufferedReader(_Replayed(head, file), BUFFER_BYTES)


class _Replayed(io.RawIOBase):
    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = io.BytesIO(head)
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._head.read(len(view)) or self._file.read(len(view))
        view[: len(data)] = data
        return len(data)
