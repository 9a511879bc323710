"""Files that are either whole or not there, and files of strangers read without a surprise.

Whatever is written goes through :func:`write_atomically`; whatever a stranger may have made is read by
:func:`read_regular`, which neither waits for a pipe nor fills the memory from a device.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from evaladapt.errors import DataError

PIECE = 1 << 20
TEMPORARY_NAME = 100
"""Characters of a file's name that its temporary file repeats; a name may have 255 bytes, and characters take four."""


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a temporary file beside ``path``, sync it, rename it into place, and sync the folder.

    A link is followed, so that it still is one afterwards; a device or a pipe is written to, not replaced.

    Raises:
        DataError: the folder cannot be written or the disk is full; nothing half-written stays, and a file that was
            there stays.
    """
    try:
        place = path.resolve()
        if place.exists() and not (place.is_file() or place.is_dir()):
            _write(os.open(place, os.O_WRONLY), chunks)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name[:TEMPORARY_NAME]}.{secrets.token_hex(4)}")
        try:
            _write(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), chunks, sync=True)
            os.replace(temporary, place)
            sync_folder(place.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise DataError(f"Cannot write {path}: {_reason(error)}. Free some space or choose another place.") from error


def write_text_atomically(path: Path, text: str) -> None:
    """The same for a text, as UTF-8."""
    write_atomically(path, [text.encode()])


def _write(descriptor: int, chunks: Iterable[bytes], *, sync: bool = False) -> None:
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in a folder survive a loss of power. Windows cannot, and needs not."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileTooLarge(DataError):
    """A file has more bytes than are read of its kind."""


def read_regular(path: str | Path, most_bytes: int) -> bytes:
    """All bytes of a regular file of at most ``most_bytes``. Nothing else is waited for.

    Raises:
        FileTooLarge: it is longer; it is not read.
        DataError: it cannot be opened, or is something else: a folder, a pipe, a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise DataError(f"{str(path)!r} cannot be opened: {_reason(error)}.") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise DataError(f"{path} is not a regular file but {_kind(status.st_mode)}.")
    with os.fdopen(descriptor, "rb") as file:
        content = _read(file, status.st_size, most_bytes) if status.st_size <= most_bytes else b""
    size = max(status.st_size, len(content))
    if size > most_bytes:
        raise FileTooLarge(f"{path} has {size:,} bytes; the limit is {most_bytes:,}.")
    return content


def _read(file: BinaryIO, size: int, most_bytes: int) -> bytes:
    """To the end, one byte beyond the limit at most.

    A file of ``/proc`` has no size and yet something in it, and to ask for so many bytes allocates as many: so it is
    asked for what it says it has, and for the rest in pieces.
    """
    content = file.read(size)
    while more := file.read(min(PIECE, most_bytes + 1 - len(content))):
        content += more
    return content


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe; save its content in a file"}
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "a device or a socket")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
