"""The folder of a run: one run at a time, and what is there is not lost by a second one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaladapt.errors import UsageError
from evaladapt.system.locks import locked, new_folder

RECORD = "record.json"
BASE, ADAPTED = "base", "adapted"
"""The passes: the plan alone, and the composition."""
OF_PASSES = tuple(f"{one}.{kind}" for kind in ("ledger", "snapshot") for one in (BASE, ADAPTED))
KEPT = (RECORD, *OF_PASSES, "text.npz", "run.json")


@contextmanager
def run_folder(folder: Path, *, new: bool, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Make a run's folder, or take one that is meant, and hold it for the block.

    Args:
        folder: where.
        new: it was not named by a person: where another run has it, another name is taken.
        resume: an interrupted run in it shall be continued.
        overwrite: what is in it shall be replaced.

    Raises:
        UsageError: there is a run in it already.
        DataError, FolderBusy: it cannot be made or written, or another process works in it.
    """
    place = new_folder(folder) if new else _made(folder)
    with locked(place):
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


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return folder
