"""Files that are either whole or not there: everything this room writes goes through :func:`write_atomically`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from evaladapt.errors import DataError


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a temporary file beside ``path``, sync it, rename it into place, and sync the folder.

    Raises:
        DataError: the folder cannot be written or the disk is full; nothing half-written stays, and a file that was
            there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror}. Choose another folder.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror}. Free some space or choose another folder.") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a loss of power. Windows cannot open folders and does this by itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
