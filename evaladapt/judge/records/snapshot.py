"""What a run needs to continue after a kill as if nothing had happened: its ledger on disk, and a snapshot beside it.

A snapshot is one line of JSON and then bytes: the player's state, which nobody here reads, and the coder's. It belongs
to the first lines of one ledger, by the hash of what they charged; the ledger is on the disk before the snapshot is. A
ledger that is shorter than its snapshot all the same (a disk that lied) is begun again: the state is newer than what is
charged, so it has seen targets that would be scored again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from evaladapt.errors import EvaladaptError
from evaladapt.judge.records.ledger import Ledger, LedgerFile
from evaladapt.system.files import write_atomically

FORMAT = "evaladapt-snapshot-2"
MOST_HEAD_BYTES = 1 << 20
CoderState = Mapping[str, bytes | int]


@dataclass(frozen=True)
class Snapshot:
    """A run after ``batches`` batches; the state is the player's, opaque."""

    batches: int
    ledger_sha256: str
    state: bytes
    coder: CoderState


class Journal:
    """Ledger and snapshots of one pass in a folder; continues an earlier one of the same identity where asked to.

    Of several processes that carry out one run, one ``writes``; the others read what they continue.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        facts: Mapping[str, Any],
        *,
        resume: bool = False,
        writes: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.file = LedgerFile(folder / f"{name}.ledger", facts)
        self.snapshot = folder / f"{name}.snapshot"
        self._identity, self._resume, self._say = _identity(facts), resume, say
        self.writes = writes

    def take_up(self, ledger: Ledger) -> Snapshot | None:
        """Bring a new ledger to the last snapshot, or begin its file.

        Raises:
            EvaladaptError: what is there belongs to another run, or is damaged.
        """
        if self._resume and self.file.path.exists():
            next(self.file.lines(), None)  # refuses a ledger of another run, and says what differs
        found = read_snapshot(self.snapshot, self._identity) if self._resume else None
        if found is None:
            self._begin_anew()
            return None
        lines = list(islice(self.file.lines(), found.batches))
        if len(lines) < found.batches:
            self._say(
                f"{self.file.path} holds {len(lines)} of the {found.batches} batches that its snapshot follows, so the"
                " run begins again"
            )
            self._begin_anew()
            return None
        for line in lines:
            ledger.replay(line)
        if ledger.digest != found.ledger_sha256:
            raise EvaladaptError(
                f"{self.snapshot} does not belong to {self.file.path}: the hash of what was charged differs. Remove"
                " both to start over"
            )
        if self.writes:
            self.file.cut(lines[-1].end_offset)
        return found

    def save(self, batches: int, ledger: Ledger, state: bytes, coder: CoderState) -> None:
        """Replace the snapshot; the ledger reaches the disk first.

        Raises:
            EvaladaptError: it cannot be written.
        """
        self.file.sync()
        write_atomically(self.snapshot, [_packed(Snapshot(batches, ledger.digest, state, coder), self._identity)])

    def _begin_anew(self) -> None:
        if not self.writes:
            return
        self.snapshot.unlink(missing_ok=True)
        self.file.start()

    def drop(self) -> None:
        """Remove what is there."""
        self.file.close()
        self.file.path.unlink(missing_ok=True)
        self.snapshot.unlink(missing_ok=True)


def read_snapshot(path: Path, identity: str) -> Snapshot | None:
    """The snapshot at ``path``; None where there is none.

    Raises:
        EvaladaptError: it is damaged or belongs to another run.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EvaladaptError(f"the snapshot {path} cannot be read: {error.strerror}") from error
    first, _, rest = content.partition(b"\n")
    try:
        head = json.loads(first[:MOST_HEAD_BYTES])
        if head["format"] != FORMAT or head["content_sha256"] != _checksum(head, rest):
            raise ValueError("its checksum differs")
        if head["run"] != identity:
            raise EvaladaptError(
                f"the snapshot {path} belongs to another run; leave out --resume, or take another --out"
            )
        return _unpacked(head, rest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaladaptError(f"the snapshot {path} is damaged ({error}); remove it to start over") from error


def _identity(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _packed(snapshot: Snapshot, identity: str) -> bytes:
    pieces = {name: value for name, value in snapshot.coder.items() if isinstance(value, bytes)}
    rest = b"".join([snapshot.state, *pieces.values()])
    head = {
        "format": FORMAT,
        "run": identity,
        "batches": snapshot.batches,
        "ledger_sha256": snapshot.ledger_sha256,
        "state_bytes": len(snapshot.state),
        "coder_bytes": {name: len(value) for name, value in pieces.items()},
        "coder": {name: value for name, value in snapshot.coder.items() if isinstance(value, int)},
    }
    head["content_sha256"] = _checksum(head, rest)
    return json.dumps(head).encode() + b"\n" + rest


def _unpacked(head: dict[str, object], rest: bytes) -> Snapshot:
    sizes, numbers, at = dict(head["coder_bytes"]), dict(head["coder"]), int(head["state_bytes"])  # type: ignore[call-overload]
    coder: dict[str, bytes | int] = {name: int(value) for name, value in numbers.items()}
    state = rest[:at]
    for name, size in sizes.items():
        coder[name] = rest[at : at + size]
        at += size
    return Snapshot(int(str(head["batches"])), str(head["ledger_sha256"]), state, coder)


def _checksum(head: Mapping[str, object], rest: bytes) -> str:
    """Over everything but itself."""
    covered = json.dumps({name: value for name, value in head.items() if name != "content_sha256"}, sort_keys=True)
    return hashlib.sha256(covered.encode() + b"\n" + rest).hexdigest()
