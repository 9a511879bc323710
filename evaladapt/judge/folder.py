"""The folder of a run: one run at a time, and what is there is not lost by a second one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaladapt.errors import UsageError

LOCK = ".lock"
KEPT = ("record.json", "base.ledger", "adapted.ledger", "base.snapshot", "adapted.snapshot", "run.json")
MOST_NAMES = 1000


@contextmanager
def run_folder(folder: Path, *, new: bool, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Make a run's folder, or take one that is meant, and hold it for the block.

    Args:
        folder: where.
        new: it was not named by a person: where another run has it, another name is taken.
        resume: an interrupted run in it shall be continued.
        overwrite: what is in it shall be replaced.

    Raises:
        UsageError: it cannot be made, another process works in it, or there is a run in it already.
    """
    place = _made(folder, new)
    with _held(place):
        kept = [name for name in KEPT if (place / name).exists()]
        if kept and not (resume or overwrite):
            raise UsageError(
                f"{place} holds a run already ({', '.join(kept)}). Continue it: --resume; replace it: --overwrite; or"
                " take another --out"
            )
        if overwrite:
            for name in kept:
                (place / name).unlink()
        yield place


def _made(folder: Path, new: bool) -> Path:
    try:
        if not new:
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, MOST_NAMES):
            place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
            try:
                place.mkdir()
            except FileExistsError:
                continue
            return place
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
    raise UsageError(f"{MOST_NAMES} runs have the name {folder}; give one of your own: --out FOLDER")


@contextmanager
def _held(place: Path) -> Iterator[None]:
    """The kernel lets go of the lock when its process ends, however it ends."""
    try:
        descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UsageError(f"the folder {place} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise UsageError(f"process {holder} works in {place}; wait for it, or take another --out") from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        (place / LOCK).unlink(missing_ok=True)
        os.close(descriptor)
