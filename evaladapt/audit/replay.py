"""The start of a run scored once more, from a text that is revealed batch by batch, against the run's own ledger.

Two clauses for the price of one: the numbers must come out the same (REPEAT), and they must do so although nothing
beyond the current batch was there (TRUNC). Only where they differ a third run, on the whole text, says which it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evaladapt.audit.draws import Draw
from evaladapt.audit.finding import FAIL, PASS, Counterexample, Finding
from evaladapt.audit.subject import Capture, Enough, Logprobs, Subject, capture
from evaladapt.audit.text import copy_of, others

Charges = NDArray[np.float64]
LEAST_BATCHES = 2


@dataclass(frozen=True)
class Charged:
    """What a run charged, batch by batch: [n] float64, one past the last target of every batch, and its seconds."""

    logprobs: Charges
    ends: tuple[int, ...]
    seconds: float

    @property
    def seconds_a_target(self) -> float:
        """On average; less at the start, before there is much to learn from."""
        return self.seconds / max(1, len(self.logprobs))


def replayed(subject: Subject, charged: Charged, seconds: float, seed: int) -> list[Finding]:
    """Replay for at most ``seconds``, but two batches at least."""
    if len(charged.ends) < LEAST_BATCHES:
        why = "the text is one batch, so there is nothing beyond it"
        return [Finding(clause="C3", probe="TRUNC", outcome="not covered", evidence=why)]
    found, count = _revealed(subject, charged, seconds, seed)
    tokens = subject.stream.tokens
    if np.array_equal(found.charged(tokens), charged.logprobs[:count]):
        evidence = f"the first {count} targets, scored again while the text beyond their batch was not there"
        return [
            Finding(clause=clause, probe=probe, outcome=PASS, evidence=f"{evidence}: the same, bit for bit",
                    figures={"targets": count})
            for clause, probe in (("C3", "TRUNC"), ("D", "REPEAT"))
        ]  # fmt: skip
    again = capture(subject, until=count)
    if np.array_equal(again.charged(tokens)[:count], charged.logprobs[:count]):
        return [_convicted(subject, "C3", "TRUNC", found.charged(tokens), charged.logprobs[:count], seed,
                           "every token beyond the current batch was replaced until its turn came")]  # fmt: skip
    return [_convicted(subject, "D", "REPEAT", again.charged(tokens)[:count], charged.logprobs[:count], seed,
                       "the run was repeated")]  # fmt: skip


def _revealed(subject: Subject, charged: Charged, seconds: float, seed: int) -> tuple[Capture, int]:
    """The run on a text revealed batch by batch, and how many targets it came to."""
    stream, text, ends = subject.stream, copy_of(subject.stream), charged.ends
    text.tokens[ends[0] :] = others(stream, Draw(seed)("TRUNC"))[ends[0] :]
    following: Iterator[tuple[int, int]] = pairwise(ends)
    started, done = time.perf_counter(), 0

    def reveal(_: int) -> None:
        first, stop = next(following, (0, 0))
        text.tokens[first:stop] = stream.tokens[first:stop]

    def count(first: int, logprobs: Logprobs) -> None:
        nonlocal done
        done = first + len(logprobs) - 1
        spent = time.perf_counter() - started
        another = max(spent / done, charged.seconds_a_target) * (ends[LEAST_BATCHES - 1] - ends[0])
        if done + 1 >= ends[LEAST_BATCHES - 1] and spent + another > seconds:
            raise Enough

    return capture(subject, text, settle=count, after_batch=reveal), done


def _convicted(
    subject: Subject, clause: str, probe: str, found: Charges, expected: Charges, seed: int, changed: str
) -> Finding:
    moved = np.flatnonzero(found != expected)
    worst = float(np.abs(found - expected).max())
    example = Counterexample(
        positions=tuple(int(one) + 1 for one in moved[:3]),
        changed=changed,
        difference=f"{len(moved)} of {len(expected)} charges moved, by up to {worst:.2g} nats",
        command=subject.reproduce(probe, seed),
    )
    evidence = f"the ledger's first {len(expected)} charges did not come out again"
    return Finding(clause=clause, probe=probe, outcome=FAIL, evidence=evidence, counterexample=example)
