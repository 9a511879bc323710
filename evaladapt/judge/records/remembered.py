"""A pass that a neighbouring run has scored already: the plan alone costs the same whatever stands on it.

A run looks into the folders beside its own for a finished run whose ledger begins with the very facts that its own
would begin with: model, text, plan with its options and code, settings, machine. That run's record must give the hash
of that ledger, else the ledger is not the one that was recorded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaladapt.data.stream import TokenStream
from evaladapt.errors import EvaladaptError
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.folder import ADAPTED, BASE, RECORD
from evaladapt.judge.records.ledger import Ledger, LedgerFile
from evaladapt.judge.records.record import RunRecord, outcome_again
from evaladapt.judge.records.record_file import read_any_record
from evaladapt.system.files import PIECE, write_atomically


def remembered_base(folder: Path, facts: Mapping[str, Any], stream: TokenStream, *, sealed: bool) -> Outcome | None:
    """The base pass of the same facts that was scored beside ``folder``, which gets a copy of its ledger.

    The plan alone may have been the base of a composition there, or a run of its own.

    Args:
        folder: of the run that needs it.
        facts: see :meth:`evaladapt.judge.request.Request.facts`.
        stream: the text.
        sealed: only what a sealed player predicted will do.

    Raises:
        DataError: the copy cannot be written.
    """
    for path in _newest_first(folder):
        try:
            found = _recorded(LedgerFile(path, facts), stream, sealed=sealed)
        except (EvaladaptError, OSError):
            continue  # of another run, damaged, or growing or going at this moment
        if found is not None:
            with path.open("rb") as ledger:
                write_atomically(folder / f"{BASE}.ledger", iter(lambda: ledger.read(PIECE), b""))
            return replace(found, taken_from=str(path))
    return None


def _newest_first(folder: Path) -> list[Path]:
    """Ledgers in the folders beside ``folder``, of the same owner: in a folder for all, others' words are not taken."""
    owner = os.stat(folder).st_uid
    found: list[tuple[float, Path]] = []
    for name in (BASE, ADAPTED):
        for path in folder.absolute().parent.glob(f"*/{name}.ledger"):
            with suppress(OSError):  # who removes it meanwhile may
                seen = path.stat()
                if seen.st_uid == owner and path.parent != folder.absolute():
                    found.append((seen.st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def _recorded(file: LedgerFile, stream: TokenStream, *, sealed: bool) -> Outcome | None:
    """What a ledger comes to, if it is the one of the record beside it.

    Raises:
        EvaladaptError: it is of other facts, or ledger or record cannot be read.
    """
    ledger = Ledger(stream.targets, stream.documents)
    for line in file.lines():
        ledger.replay(line)
    record = read_any_record(file.path.with_name(RECORD))
    if not isinstance(record, RunRecord) or (sealed and not record.checked.sealed_by):
        return None
    score = record.base if file.path.stem == BASE else record.adapted
    if score is None or score.ledger_sha256 != ledger.digest:
        return None
    return outcome_again(score, ledger, record.artifact.weights_sha256)
