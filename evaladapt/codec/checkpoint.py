"""Where an encoding or decoding in progress keeps its ledger and snapshots: beside the file it will write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import DataError
from evaladapt.judge.records.snapshot import Journal


def checkpoint(out: Path, facts: Mapping[str, Any], resume: bool) -> Journal:
    """The journal for ``out``, of a coding of these facts.

    Raises:
        DataError: the folder cannot be made.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the folder {out.parent} cannot be made: {error.strerror}") from error
    return Journal(out.parent, f"{out.name}.checkpoint", facts, resume=resume)


def charges_of(journal: Journal) -> NDArray[np.float64]:
    """Log-probabilities [N] of all targets in the ledger of a journal."""
    return np.concatenate([line.logprobs for line in journal.file.lines()])
