"""STEP: one target at a time, from a source that holds nothing from the target on, against the run as it was.

This is the definition of the contract, and what a decoder does: a target enters the source after its distribution is
fixed. Where tokens are not known yet other ordinary ones stand, so that whoever reads them gets something wrong rather
than an error. Every target of the slice is tested, which also finds leaks that happen rarely.

Cannot see: differences below the tolerance, which float32 needs because a row is computed in other shapes, and what
lies behind the slice. A strategy that behaves well whenever it runs in step mode is convicted all the same, because
the run in block mode then differs.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import Capture, Logprobs, Subject, capture, difference
from evaladapt.audit.text import copy_of, others

TOLERANCE = 2e-3
LEAST_PROBABILITY = 1e-6
"""Below this a token's probability is made of rounding; a leak that only touches such tokens is worth nothing."""


def step(bench: Bench) -> Finding:
    """Predict a slice from its start with the future out of reach."""
    if bench.subject.composition.peeking:
        return bench.not_covered("C3", "STEP", "a strategy that peeks has nothing to peek at in step mode")
    until = min(bench.effort.step_targets, bench.subject.stream.targets)
    found = blind_steps(bench.subject, until, bench)
    moved = difference(bench.plain.logprobs[:until], found.logprobs, TOLERANCE, LEAST_PROBABILITY)
    return bench.finding(
        "C3",
        "STEP",
        f"{until} targets predicted one at a time while the text behind them was not there"
        if not moved
        else "block mode charges what step mode cannot know",
        changed="every token was replaced until it had been charged",
        difference=str(moved) if moved else "",
        positions=moved.targets if moved else (),
        targets=until,
    )


def blind_steps(subject: Subject, until: int, bench: Bench) -> Capture:
    """Step mode on a source into which a target comes when its distribution is fixed."""
    stream, text = subject.stream, copy_of(subject.stream)
    text.tokens[1:] = others(stream, bench.generator("STEP"))[1:]

    def reveal(first: int, logprobs: Logprobs) -> None:
        stop = first + len(logprobs)
        text.tokens[first:stop] = stream.tokens[first:stop]

    return capture(subject, text, mode="step", until=until, settle=reveal)


PROBE = Probe("STEP", ("C3",), "block mode equals step mode on a text that is not there yet", step)
