"""What a folder that somebody sent is worth by itself: record, ledgers, text and artifact held against each other.

Nothing is run, and no code of the sender's; that a second run gives the same is for :mod:`evaladapt.codec.verify`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaladapt.codec.verify import ELSEWHERE, FAIL, PASS, Check, own_numbers
from evaladapt.engine.paired import paired_difference
from evaladapt.errors import EvaladaptError
from evaladapt.judge.records.folder import RECORD
from evaladapt.judge.records.record import SCORES
from evaladapt.judge.records.record_file import read_record
from evaladapt.results.result import Result, open_run

CLOSE = 1e-9


@dataclass(frozen=True)
class Checked:
    """What was found about one folder; ``result`` is None where it cannot be opened."""

    folder: Path
    checks: tuple[Check, ...]
    result: Result | None

    @property
    def holds(self) -> bool:
        """Whether nothing failed."""
        return all(one.outcome != FAIL for one in self.checks)


def check_folder(folder: Path, model: Path | None = None) -> Checked:
    """Hold a run's folder against itself, and the model against the file that was sent with it."""
    try:
        result = open_run(folder)
        numbers = own_numbers(read_record(result_file(folder)))
    except EvaladaptError as error:
        return Checked(folder, (Check("folder", FAIL, str(error)),), None)
    others = (_coverage(result), _sums(result), _artifact(result, model), _sizes(result), _verdict(result))
    return Checked(folder, (numbers, *others), result)


def check_together(several: Sequence[Checked]) -> Check:
    """Whether runs differ in their seed only."""
    records = [one.result.record for one in several if one.result]
    facts = [(one.artifact.sha256, one.data.tokens_sha256, one.settings.batch, one.settings.mode,
              [tuple(map(each.get, ("alias", "options", "code_sha256"))) for each in one.composition])
             for one in records]  # fmt: skip
    seeds = ", ".join(str(one.settings.seed) for one in records)
    if len(facts) < len(several) or any(one != facts[0] for one in facts):
        return Check("seeds", FAIL, f"the runs (seeds {seeds}) differ in more than their seed")
    if len({one.settings.seed for one in records}) < len(records):
        return Check("seeds", FAIL, f"a seed is there twice: {seeds}")
    scores = ", ".join(f"{one.adapted.bits_per_byte:.4f}" for one in records)
    return Check("seeds", PASS, f"seeds {seeds}: {scores} bits per byte, same artifact, text, options and code")


def result_file(folder: Path) -> Path:
    """The record of a run that was named by its folder or by its record."""
    return folder if folder.name == RECORD else folder / RECORD


def _coverage(result: Result) -> Check:
    """That the ledger, which is as long as the text, is as long as the record says; its hash was held on opening."""
    data, text = result.record.data, result.text
    found = f"{text.targets:,} targets and {len(text.document_bytes):,} documents"
    if (text.targets, len(text.document_bytes)) != (data.targets, data.documents):
        told = f"{data.targets:,} and {data.documents:,}"
        return Check("coverage", FAIL, f"the text has {found}, the record {told}")
    cut = ", the first of more" if data.limited else ""
    return Check("coverage", PASS, f"{found}{cut}, {data.bytes:,} bytes, each target charged once; text sha256"
                 f" {data.text_sha256}")  # fmt: skip


def _sums(result: Result) -> Check:
    """The score and the difference, worked out again from the ledgers."""
    record, nats = result.record, float(result.adapted.document_nats.sum())
    if not math.isclose(nats, record.adapted.nats, rel_tol=CLOSE):
        return Check("ledger", FAIL, f"the ledger sums to {nats:.6f} nats, the record says {record.adapted.nats:.6f}")
    if result.base is not None and record.difference is not None:
        sizes = result.text.document_bytes
        found = paired_difference(result.base.document_nats, result.adapted.document_nats, sizes)
        if not math.isclose(found.bpb, record.difference.bpb, rel_tol=1e-6, abs_tol=CLOSE):
            return Check("ledger", FAIL, f"the ledgers are {found.bpb:+.6f} bits per byte apart, the record says"
                         f" {record.difference.bpb:+.6f}")  # fmt: skip
    return Check("ledger", PASS, f"sums to {nats:.3f} nats, {record.adapted.bits_per_byte:.6f} bits per byte")


def _artifact(result: Result, sent: Path | None) -> Check:
    used = result.record.artifact
    path = sent or Path(used.path)
    if not path.is_file():
        return Check("artifact", ELSEWHERE, f"{used.path} is not one file here; it was {used.bytes:,} bytes, sha256"
                     f" {used.sha256[:16]}")  # fmt: skip
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    same = sha256 == used.sha256 and path.stat().st_size == used.bytes
    what = f"{path}: {path.stat().st_size:,} bytes, sha256 {sha256[:16]}"
    return Check("artifact", PASS if same else FAIL, what if same else f"{what}; the record says {used.bytes:,} bytes,"
                 f" {used.sha256[:16]}")  # fmt: skip


def _sizes(result: Result) -> Check:
    size, checked = result.record.artifact.bytes, result.record.checked
    total = f"artifact {size:,} and code {checked.code_bytes:,} bytes, together {size + checked.code_bytes:,}"
    return Check("sizes", PASS, f"{total}; the player read {len(checked.files)} files, by its own word")


def _verdict(result: Result) -> Check:
    verdict, checked = result.record.verdict, result.record.checked
    if verdict not in SCORES or checked.unchecked_because:
        why = checked.unchecked_because or "the number is a claim, not a score"
        return Check("verdict", FAIL, f"{verdict}: {why}")
    return Check("verdict", PASS, f"{verdict}, sealed by {', '.join(checked.sealed_by)}, {len(checked.looks)} looks")
