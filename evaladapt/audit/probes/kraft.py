"""KRAFT: the exact number of free bits, by scoring every text of a few tokens on the toy model.

A composition that is a code has probabilities that add up to at most one over all texts of a length (Kraft 1949).
The binary logarithm of the sum is what somebody got for nothing; it is zero for everything honest, to rounding.

Cannot see: what only happens in longer texts, larger vocabularies or later batches, and the order of the stream: a
fixed other order is a code too. Windows and batches are short so that several fit into the text.
"""

from __future__ import annotations

from dataclasses import replace

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.scorers import engine_scorer, free_bits
from evaladapt.audit.toy import ToyModel

TOLERANCE = 1e-4
WINDOW, ROWS = 4, 2


def kraft(bench: Bench) -> list[Finding]:
    """Enumerate."""
    if bench.subject.backend != "toy":
        return [bench.not_covered("C1", "KRAFT", "texts can be enumerated on the toy model only")]
    vocabulary, length = bench.effort.kraft_vocabulary, bench.effort.kraft_length
    model = ToyModel(vocabulary, context=WINDOW, seed=bench.seed)
    subject = replace(bench.subject, model=model, settings=replace(bench.subject.settings, batch=ROWS))
    bits = free_bits(engine_scorer(subject), vocabulary, length)
    return [
        bench.finding(
            "C1",
            "KRAFT",
            f"all {vocabulary**length} texts of {length} tokens over {vocabulary} values: {bits:+.6f} free bits",
            changed=f"every text of {length} tokens was scored",
            difference=f"{bits:.4f} bits are paid for by nobody" if bits > TOLERANCE else "",
            free_bits=bits,
        )
    ]


PROBE = Probe("KRAFT", ("C1",), "no free bits over all texts of a toy", kraft)
