"""The ledger: for every target its log-probability, once, in order; in memory as sums and a hash, on disk as lines.

The file is append-only. One line is one batch: its number, its targets and their log-probabilities as float64 bytes in
base64, closed by a checksum, so that a line torn by a crash is recognised and dropped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import ContractViolation, EvaladaptError
from evaladapt.system.text import safe

FORMAT = "evaladapt-ledger-1"
MOST_HEADER = 8 << 20


@dataclass(frozen=True)
class LedgerLine:
    """One batch of a ledger file."""

    batch: int
    first: int
    logprobs: NDArray[np.float64]
    end_offset: int
    """Bytes of the file up to and including this line."""


class HasFile(Protocol):
    """Keeps a run's ledger file."""

    @property
    def writes(self) -> bool:
        """Whether this process does."""

    @property
    def file(self) -> LedgerFile:
        """Where the run's batches are appended."""


class LedgerFile:
    """Append-only file of one run; its first line says what run it belongs to, and by what facts."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._facts = json.loads(json.dumps(facts))
        self._header = json.dumps({"format": FORMAT, "facts": self._facts}, sort_keys=True).encode() + b"\n"

    def close(self) -> None:
        """Stop appending."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def start(self) -> None:
        """Begin a new file in place of whatever is there.

        Raises:
            EvaladaptError: it cannot be written.
        """
        try:
            self._file = self.path.open("wb", buffering=0)
        except OSError as error:
            raise EvaladaptError(f"the ledger {self.path} cannot be written: {error.strerror}") from error
        self._write(self._header)

    def cut(self, offset: int) -> None:
        """Drop what comes after ``offset`` and go on from there."""
        self._file = self.path.open("r+b", buffering=0)
        self._file.truncate(offset)
        self._file.seek(offset)

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def lines(self) -> Iterator[LedgerLine]:
        """Whole lines, in order, up to the first torn or damaged one."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise EvaladaptError(f"the ledger {self.path} cannot be read: {error.strerror}") from error
        with file:
            first = file.readline(MOST_HEADER)
            if len(first) < len(self._header) and self._header.startswith(first):
                return  # torn: the disk was full, or the run was killed, before a line was written
            if first != self._header:
                raise EvaladaptError(
                    f"{self.path} belongs to another run{_differences(first, self._facts)}. Give another --out, or"
                    " begin it anew without --resume (a run: with --overwrite)"
                )
            offset = len(self._header)
            for number, raw in enumerate(file):
                offset += len(raw)
                line = _parse(raw, number, offset)
                if line is None:
                    return
                yield line

    def append(self, batch: int, first: int, logprobs: NDArray[np.float64]) -> None:
        """Write one batch.

        Raises:
            EvaladaptError: the file cannot be written, for instance because the disk is full.
        """
        body = json.dumps(
            {"batch": batch, "first": first, "logprobs": base64.b64encode(logprobs.astype("<f8").tobytes()).decode()}
        ).encode()
        self._write(body + b" %08x\n" % zlib.crc32(body))

    def _write(self, line: bytes) -> None:
        if self._file is None:
            raise EvaladaptError(f"the ledger {self.path} is not open")
        try:
            written = self._file.write(line)
        except OSError as error:
            raise EvaladaptError(f"the ledger {self.path} cannot be written: {error.strerror}") from error
        if written != len(line):
            raise EvaladaptError(f"the ledger {self.path} cannot be written: the disk is full")


class Ledger:
    """Sums over everything charged so far, in float64, with the hash of all of it.

    Attributes:
        due: the next target to be charged.
        nats: Σ −ln p.
        document_nats: the same by document of the target.
        target_nats: float32 [N+1], the same by target; 0 at index 0, which is no target.
    """

    def __init__(self, targets: int, documents: NDArray[np.int32], journal: HasFile | None = None) -> None:
        self.targets = targets
        self.due = 1
        self.nats = 0.0
        self.document_nats = np.zeros(int(documents[-1]) + 1, dtype=np.float64)
        self.target_nats: NDArray[np.float32] = np.zeros(targets + 1, dtype=np.float32)
        self._documents = documents
        self._file = journal.file if journal and journal.writes else None
        self._hasher = hashlib.sha256()
        self._pending: list[NDArray[np.float64]] = []

    @property
    def digest(self) -> str:
        """SHA-256 over the log-probabilities as little-endian float64, in order."""
        return self._hasher.hexdigest()

    @property
    def bits(self) -> float:
        """Σ −log2 p."""
        return self.nats / math.log(2)

    def commit(self, first: int, logprobs: NDArray[np.float64]) -> None:
        """Charge targets ``first`` onwards.

        Raises:
            ContractViolation: clause C4, when ``first`` is not the next target that is due.
        """
        due = self.due + sum(map(len, self._pending))
        if first != due:
            raise ContractViolation(f"target {first} came to be charged when {due} was due (clause C4)", clause="C4",
                                    positions=(first,))  # fmt: skip
        self._pending.append(logprobs)

    def close_batch(self, batch: int) -> NDArray[np.float64]:
        """Add the batch to the sums and the file; returns its log-probabilities."""
        charged = np.concatenate(self._pending)
        self._pending = []
        if self._file is not None:
            self._file.append(batch, self.due, charged)
        self._add(charged)
        return charged

    def replay(self, line: LedgerLine) -> None:
        """Add a batch that an interrupted run had charged."""
        if line.first != self.due or self.due + len(line.logprobs) > self.targets + 1:
            raise EvaladaptError(f"the ledger continues at target {line.first}, not {self.due}: it is damaged")
        self._add(line.logprobs)

    def _add(self, charged: NDArray[np.float64]) -> None:
        stop = self.due + len(charged)
        documents = self._documents[self.due : stop]
        self.nats -= float(charged.sum())
        first, last = int(documents[0]), int(documents[-1])
        self.document_nats[first : last + 1] -= np.bincount(documents - first, weights=charged)
        self.target_nats[self.due : stop] = -charged
        self._hasher.update(charged.astype("<f8").tobytes())
        self.due = stop

    def finish(self) -> None:
        """Assert that every target was charged.

        Raises:
            ContractViolation: clause C4.
        """
        if self.due != self.targets + 1:
            raise ContractViolation(f"{self.due - 1} of {self.targets} targets were charged (clause C4)", clause="C4",
                                    positions=(self.due,))  # fmt: skip


def _differences(header: bytes, facts: Mapping[str, Any]) -> str:
    """What another run's header says otherwise, for people."""
    try:
        others = json.loads(header)["facts"]
        names = [name for name in sorted({*others, *facts}) if others.get(name) != facts.get(name)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    told = [f"{name} {_short(others.get(name))} there, {_short(facts.get(name))} here" for name in names]
    return f": {'; '.join(told)}" if told else ""


def _short(value: object) -> str:
    return safe(json.dumps(value), 200)


def _parse(raw: bytes, number: int, offset: int) -> LedgerLine | None:
    body, _, checksum = raw.rstrip(b"\n").rpartition(b" ")
    if not raw.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        content = json.loads(body)
        logprobs = np.frombuffer(base64.b64decode(content["logprobs"], validate=True), dtype="<f8")
        if content["batch"] != number or not isinstance(content["first"], int) or not len(logprobs):
            return None
        return LedgerLine(number, content["first"], logprobs, offset)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def lines_of(path: Path) -> Iterator[LedgerLine]:
    """The batches of a ledger file, whosever it is.

    Raises:
        EvaladaptError: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline(MOST_HEADER))
    except (OSError, ValueError, RecursionError) as error:
        raise EvaladaptError(f"the ledger {path} cannot be read: {error}") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise EvaladaptError(f"{path} is no ledger of evaladapt")
    return LedgerFile(path, head.get("facts", {})).lines()


def charges_in(path: Path) -> tuple[NDArray[np.float64], str]:
    """Log-probabilities [N] in a ledger file, whosever it is, and their hash.

    Raises:
        EvaladaptError: it cannot be read, or is none.
    """
    pieces = [line.logprobs for line in lines_of(path)]
    charges = np.concatenate(pieces) if pieces else np.zeros(0)
    return charges, hashlib.sha256(charges.astype("<f8").tobytes()).hexdigest()
