"""Where an encoding or decoding in progress keeps its ledger and snapshots: beside the file it will write."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaladapt.engine.ledger import LedgerFile
from evaladapt.engine.loop import Journal
from evaladapt.errors import DataError


def checkpoint(out: Path, identity: bytes, resume: bool) -> Journal:
    """The journal for ``out``; a checkpoint of another identity is not continued but replaced.

    Raises:
        DataError: the folder cannot be made.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the folder {out.parent} cannot be made: {error.strerror}") from error
    return _journal(out, hashlib.sha256(identity).hexdigest(), resume)


def drop_checkpoint(out: Path) -> None:
    """Remove what is left beside ``out``."""
    journal = _journal(out, "", False)
    journal.ledger.unlink(missing_ok=True)
    journal.snapshot.unlink(missing_ok=True)


def charges_of(journal: Journal) -> NDArray[np.float64]:
    """Log-probabilities [N] of all targets in the ledger of a journal."""
    return np.concatenate([line.logprobs for line in LedgerFile(journal.ledger, journal.identity).lines()])


def _journal(out: Path, identity: str, resume: bool) -> Journal:
    return Journal(out.parent, f"{out.name}.checkpoint", identity, resume)
