"""EFFECT: the composition changes predictions on this text at all, so that the other probes had something to find.

A strategy that waits for 2,048 targets before it does anything passes every probe on a text of 60, and nothing was
learnt. It is then said so, with a way out: a longer text, or other options for the toy.

Cannot see: whether what it changed is all that it can do.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import capture, difference


def effect(bench: Bench) -> Finding:
    """Compare with the plan alone."""
    targets = bench.subject.stream.targets
    if not bench.subject.composition.adaptive:
        return bench.finding("C1", "EFFECT", f"the plan alone: {targets} predictions of the frozen model")
    moved = difference(capture(bench.subject.base()).logprobs, bench.plain.logprobs)
    if not moved:
        why = f"not one of {targets} predictions differs from the plan's, so the other probes prove nothing here"
        return bench.not_covered("C1", "EFFECT", why)
    evidence = f"{moved.count} of {targets} predictions differ from the plan's, by up to {moved.nats:.2g} nats"
    return bench.finding("C1", "EFFECT", evidence, changed_predictions=moved.count)


PROBE = Probe("EFFECT", ("C1",), "the composition changes predictions at all", effect)
