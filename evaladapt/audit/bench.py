"""The workbench of an audit: a subject, how much effort to spend, and the plain run that the probes compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaladapt.audit.finding import FAIL, NOT_COVERED, PASS, Counterexample, Finding, Verdict
from evaladapt.audit.subject import Capture, Subject, capture
from evaladapt.system.generators import seed_of


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How far the probes go.

    Attributes:
        flips: positions from which on the text is rewritten.
        step_targets: targets predicted one at a time without the text at hand.
        tok_positions: targets that are replaced by other values.
        tok_values: values tried for each, the likeliest first; all of them where the vocabulary is no larger.
        kraft_vocabulary: size of the vocabulary whose texts are enumerated.
        kraft_length: their length.
        hyper_streams: texts that the model itself writes.
        hyper_length: their length.
    """

    flips: int = 5
    step_targets: int = 512
    tok_positions: int = 2
    tok_values: int = 16
    kraft_vocabulary: int = 3
    kraft_length: int = 6
    hyper_streams: int = 2
    hyper_length: int = 192


FULL = Effort()
SMALL = Effort(
    flips=3, step_targets=96, tok_positions=1, tok_values=24, kraft_length=4, hyper_streams=1, hyper_length=48
)
"""For the test kit and for tests: seconds on one core."""


class Bench:
    """Holds what the probes of one subject share."""

    def __init__(self, subject: Subject, *, effort: Effort = FULL, seed: int = 0) -> None:
        self.subject, self.effort, self.seed = subject, effort, seed

    @cached_property
    def plain(self) -> Capture:
        """The run as a user would start it."""
        return capture(self.subject)

    def generator(self, *key: int | str) -> np.random.Generator:
        """Random numbers that depend on the seed and ``key`` only."""
        return np.random.default_rng(seed_of(self.seed, key))

    def finding(
        self,
        clause: str,
        probe: str,
        evidence: str,
        *,
        changed: str = "",
        difference: str = "",
        positions: tuple[int, ...] = (),
        covered: bool = True,
        **figures: float | int,
    ) -> Finding:
        """A finding on this subject: a failure if ``difference`` is given, with the command that shows it again."""
        outcome: Verdict = (FAIL if difference else PASS) if covered else NOT_COVERED
        example = None
        if outcome == FAIL:
            command = self.subject.reproduce(probe, self.seed)
            example = Counterexample(positions=positions, changed=changed, difference=difference, command=command)
        return Finding(
            clause=clause,
            probe=probe,
            outcome=outcome,
            evidence=evidence,
            counterexample=example,
            backend=self.subject.backend,
            figures=figures,
        )

    def not_covered(self, clause: str, probe: str, why: str) -> Finding:
        """A finding that says what was not looked at, and why."""
        return self.finding(clause, probe, why, covered=False)


@dataclass(frozen=True)
class Probe:
    """One way to catch a leak.

    Attributes:
        name: in capitals.
        clauses: what it can speak about.
        title: one line for people.
        run: does it.
    """

    name: str
    clauses: tuple[str, ...]
    title: str
    run: Callable[[Bench], Finding]
