"""Folders that one process at a time writes to: a name that nobody else gets, and a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from evaladapt.errors import DataError, EvaladaptError

LOCK_NAME = ".lock"


class FolderBusy(EvaladaptError):
    """Another process that is alive writes to the folder."""


def new_folder(wanted: Path) -> Path:
    """Make the folder ``wanted``, or the first of ``wanted-2``, ``wanted-3``, … that is not there, and return it.

    Two processes that want the same name at the same moment get two folders.

    Raises:
        DataError: it cannot be made.
    """
    for number in count(1):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            if path.parent.is_dir():
                continue
            raise DataError(f"Cannot make {path}: {path.parent} is no folder. Choose another place.") from None
        except OSError as error:
            raise DataError(f"Cannot make {path}: {error.strerror}. Choose another place.") from error
        return path
    raise AssertionError("numbers do not end")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of an existing ``folder`` for the block.

    The file ``.lock`` holds the process id of the holder, for people; the lock itself is the kernel's, so that what a
    killed process left behind locks nobody out, whoever has its id now.

    Raises:
        FolderBusy: another process holds it; the message names it.
        DataError: the folder cannot be written.
    """
    path = folder / LOCK_NAME
    descriptor = _take(path)
    try:
        with suppress(OSError):  # on a full disk it has no name in it, but it is locked all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # Unlinked while it is held: who opened it meanwhile finds another file at its place, or none, and tries again.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise DataError(f"Cannot write to {path.parent}: {error.strerror}. Choose another folder.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise FolderBusy(
                f"{path.parent} is being written by process {holder}; wait for it, or choose another --out"
            ) from None
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
