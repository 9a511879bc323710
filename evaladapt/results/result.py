"""A finished run: its record, and what every document and target cost, just run or read again from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaladapt.engine.paired import PairedDifference
from evaladapt.errors import DataError
from evaladapt.judge.evaluate import ADAPTED, BASE
from evaladapt.judge.records.folder import RECORD
from evaladapt.judge.records.ledger import Ledger, lines_of
from evaladapt.judge.records.record import RunRecord, Score
from evaladapt.judge.records.record_file import read_run_record
from evaladapt.results.scored_text import ScoredText, read_text
from evaladapt.results.table import Table

LN2 = float(np.log(2))


class Pass(Protocol):
    """What one pass over the text charged, in nats."""

    @property
    def document_nats(self) -> NDArray[np.float64]:
        """[D], by document of the target."""

    @property
    def target_nats(self) -> NDArray[np.float32]:
        """[N+1], by target; 0 at index 0, which is no target."""


@dataclass(frozen=True)
class Document:
    """What one document cost; what its boundary costs is the text's and in none.

    Attributes:
        number: from 0, in the order of the text.
        targets: how many tokens were scored in it, the one that opens it included.
        bytes: of its text.
        base_bits: under the plan alone; None without a base.
        bits: under the composition.
        gain: bits per byte saved against the base; None without a base or without bytes.
    """

    number: int
    targets: int
    bytes: int
    base_bits: float | None
    bits: float
    gain: float | None


@dataclass(frozen=True)
class Target:
    """What one target cost.

    Attributes:
        position: in the stream, from 1.
        document: its number.
        token: its id.
        text: the token as a person would read it.
        bytes: that it adds to the text.
        base_nats: −ln p under the plan alone; None without a base. A boundary that is paid for apart costs 0.
        nats: −ln p under the composition.
        gain: nats saved against the base; None without a base.
    """

    position: int
    document: int
    token: int
    text: str
    bytes: int
    base_nats: float | None
    nats: float
    gain: float | None


@dataclass(frozen=True)
class Result:
    """A run that came to its end.

    Attributes:
        record: what was run, on what, with what outcome, and what was checked.
        text: what was scored.
        base: the plan alone, where it was scored too.
        adapted: the composition.
    """

    record: RunRecord
    text: ScoredText
    base: Pass | None
    adapted: Pass

    @property
    def bpb(self) -> float | None:
        """Bits per byte; None for a claim, whose number is ``claimed_bpb``."""
        return self.record.bpb

    @property
    def claimed_bpb(self) -> float | None:
        """The number of a composition that peeks."""
        return self.record.claimed_bpb

    @property
    def base_bpb(self) -> float | None:
        """Bits per byte of the plan alone."""
        return self.record.base.bits_per_byte if self.record.base else None

    @property
    def difference(self) -> PairedDifference | None:
        """From the base to the composition, paired over documents."""
        return self.record.difference

    @property
    def verdict(self) -> str:
        """``CAUSAL``, ``PROVEN``, ``UNCHECKED`` or ``NONCAUSAL``."""
        return self.record.verdict

    @property
    def target_nats(self) -> NDArray[np.float32]:
        """[N+1]: what every target cost, −ln p; index 0 is no target."""
        return self.adapted.target_nats

    def documents(self) -> Table[Document]:
        """One row a document, in order."""
        sizes = self.text.document_bytes
        bits = self.adapted.document_nats / LN2
        base = self.base.document_nats / LN2 if self.base else np.full(len(sizes), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(sizes > 0, (base - bits) / sizes, np.nan)
        return Table(Document, {"number": np.arange(len(sizes)), "targets": self.text.document_targets, "bytes": sizes,
                                "base_bits": base, "bits": bits, "gain": gain})  # fmt: skip

    def targets(self) -> Table[Target]:
        """One row a target, in order."""
        text, nats = self.text, self.adapted.target_nats[1:].astype(np.float64)
        base = self.base.target_nats[1:].astype(np.float64) if self.base else np.full(len(nats), np.nan)
        return Table(Target, {"position": np.arange(1, len(nats) + 1), "document": text.documents[1:],
                              "token": text.tokens[1:], "text": text.texts(1, len(text.tokens)),
                              "bytes": text.byte_lengths[1:], "base_nats": base, "nats": nats,
                              "gain": base - nats})  # fmt: skip


@dataclass(frozen=True)
class _FromLedger:
    document_nats: NDArray[np.float64]
    target_nats: NDArray[np.float32]


def open_run(folder: str | Path) -> Result:
    """The result of a finished run, from what it left in its folder; nothing is run again.

    Raises:
        DataError: there is no finished run in it, or record, ledger and text do not belong together.
    """
    place = Path(folder)
    place = place.parent if place.name == RECORD else place
    record = _record_in(place)
    text = read_text(place, record.data.tokens_sha256, record.data.targets, record.data.bytes)
    base = _read_pass(place, BASE, record.base, text) if record.base else None
    return Result(record, text, base, _read_pass(place, ADAPTED, record.adapted, text))


def open_cell(folder: Path, base: Result) -> Result:
    """The result of a run that shares text and base with others, see :mod:`evaladapt.results.grid`.

    Raises:
        DataError: as :func:`open_run`, or it is of another text, or was held against another base.
    """
    record, other = _record_in(folder), base.record
    if record.data.tokens_sha256 != other.data.tokens_sha256:
        raise DataError(f"{folder} is of another text than the plan alone beside it: the text has changed in between."
                        " Take another --out")  # fmt: skip
    if record.base and record.base.ledger_sha256 != other.adapted.ledger_sha256:
        raise DataError(f"{folder} was held against another base than the one beside it")
    return Result(record, base.text, base.adapted, _read_pass(folder, ADAPTED, record.adapted, base.text))


def _record_in(folder: Path) -> RunRecord:
    if not folder.exists():
        raise DataError(f"there is no folder {folder}")
    if not (folder / RECORD).exists():
        raise DataError(f"{folder} has no {RECORD}: no run ended there. Where it was interrupted, the same command with"
                        " --resume goes on")  # fmt: skip
    return read_run_record(folder / RECORD)


def _read_pass(folder: Path, name: str, score: Score, text: ScoredText) -> Pass:
    """What the ledger of a pass says, added up as it was while it was written."""
    path, ledger = folder / f"{name}.ledger", Ledger(text.targets, text.documents)
    for line in lines_of(path):
        ledger.replay(line)
    if ledger.due != text.targets + 1 or ledger.digest != score.ledger_sha256:
        raise DataError(f"{path} is not the ledger of the record beside it: it has {ledger.due - 1:,} of"
                        f" {text.targets:,} targets and the hash {ledger.digest[:16]}")  # fmt: skip
    return _FromLedger(ledger.document_nats, ledger.target_nats)
