"""KRAFT: the exact number of free bits, by scoring every text of a few tokens on the toy model.

A composition that is a code has probabilities that add up to at most one over all texts of a length (Kraft 1949,
McMillan 1956). The binary logarithm of the sum is what somebody got for nothing; it is zero for everything honest, to
rounding.

Cannot see: what only happens in longer texts, larger vocabularies or later batches, and the order of the stream: a
fixed other order is a code too. Windows and batches are short so that several fit into the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import capture
from evaladapt.audit.text import plain_text
from evaladapt.audit.toy import BOS, ToyModel, toy_vocabulary

TOLERANCE = 1e-4
WINDOW, ROWS = 4, 2
Scorer = Callable[[NDArray[np.int32]], NDArray[np.float64]]
"""From the targets [T] of a text to their nats [T], nan where one was not scored."""


def kraft(bench: Bench) -> Finding:
    """Enumerate."""
    if bench.subject.backend != "toy":
        return bench.not_covered("C1", "KRAFT", "texts can be enumerated on the toy model only")
    vocabulary, length = bench.effort.kraft_vocabulary, bench.effort.kraft_length
    subject = replace(
        bench.subject,
        model=ToyModel(vocabulary, context=WINDOW, seed=bench.seed),
        vocabulary=toy_vocabulary(vocabulary),
        settings=replace(bench.subject.settings, batch=ROWS),
    )

    def score(tokens: NDArray[np.int32]) -> NDArray[np.float64]:
        text = plain_text(tokens, BOS)
        return -capture(subject, text).charged(text.tokens)

    bits = free_bits(score, vocabulary, length)
    return bench.finding(
        "C1",
        "KRAFT",
        f"all {vocabulary**length} texts of {length} tokens over {vocabulary} values: {bits:+.6f} free bits",
        changed=f"every text of {length} tokens was scored",
        difference=f"{bits:.4f} bits are paid for by nobody" if bits > TOLERANCE else "",
        free_bits=bits,
    )


def free_bits(score: Scorer, vocabulary: int, length: int) -> float:
    """Binary logarithm of ``Σ_x exp(−nats(x))`` over all texts of a length."""
    texts = (np.array(one, dtype=np.int32) for one in product(range(vocabulary), repeat=length))
    return float(np.log2(sum(np.exp(-np.nansum(score(text))) for text in texts)))


PROBE = Probe("KRAFT", ("C1",), "no free bits over all texts of a toy", kraft)
