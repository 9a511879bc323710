"""TOK: put every value into a target and add up what each would have been charged; a distribution gives one.

Needs only the number that is charged, so it also works on scores whose making nobody can see. On a large vocabulary the
likeliest values are tried: any subset whose sum is above one convicts.

Cannot see: leaks that a chosen target does not feel, and, on a subset, a surplus on values left out.
"""

from __future__ import annotations

import numpy as np

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import capture
from evaladapt.audit.text import copy_of

TOLERANCE = 1e-3


def tok(bench: Bench) -> Finding:
    """Swap the answer at some targets."""
    worst, where = 0.0, 0
    targets, tried = _chosen_targets(bench), 0
    for target in targets:
        values = _values(bench, target)
        tried = len(values)
        total = sum(_charged_for(bench, target, value) for value in values)
        if total > worst:
            worst, where = total, target
    whole = "all" if tried == bench.subject.model.vocab_size else "the likeliest"
    return bench.finding(
        "C2",
        "TOK",
        f"{whole} {tried} values put into {len(targets)} targets; the largest sum of probabilities is {worst:.6f}",
        changed=f"the value of target {where}, {tried} times",
        difference=f"the probabilities charged add up to {worst:.6f}, above one" if worst > 1 + TOLERANCE else "",
        positions=(where,),
        largest_sum=worst,
    )


def _chosen_targets(bench: Bench) -> list[int]:
    """One in the first row past its first target, others in the first two batches."""
    last = bench.plain.calls[min(1, len(bench.plain.calls) - 1)].stop - 1
    drawn = bench.generator("TOK").integers(1, last + 1, max(0, bench.effort.tok_positions - 1))
    return sorted({min(3, last), *(int(one) for one in drawn)})


def _values(bench: Bench, target: int) -> list[int]:
    order = np.argsort(-bench.plain.logprobs[target - 1], kind="stable")
    return [int(one) for one in order[: bench.effort.tok_values]]


def _charged_for(bench: Bench, target: int, value: int) -> float:
    text = copy_of(bench.subject.stream)
    text.tokens[target] = value
    found = capture(bench.subject, text, until=target)
    return float(np.exp(found.logprobs[target - 1, value].astype(np.float64)))


PROBE = Probe("TOK", ("C2",), "the charges of all values of one target add up to one", tok)
