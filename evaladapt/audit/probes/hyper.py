"""HYPER: a text that the model itself wrote cannot be predicted much better than by the model.

The text is drawn token by token from the plan's own distributions, so its length in bits under them is what it costs.
Any honest code saves b bits or more on such a text with probability at most 2^-b (the no-hypercompression inequality,
Grünwald 2007, chapter 3). Twenty bits are called a conviction: one false alarm in a million texts.

Cannot see: leaks that save a few bits only, and knowledge of one particular text, of which this one has nothing.
"""

from __future__ import annotations

import numpy as np

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import Logprobs, capture
from evaladapt.audit.text import ChangedText, plain_text

CONVICTS_FROM = 20.0


def hyper(bench: Bench) -> Finding:
    """Let the model write, and count the bits that the composition saves."""
    length = bench.effort.hyper_length
    saved = []
    for number in range(bench.effort.hyper_streams):
        text, cost = written_by_the_model(bench, number)
        charged = capture(bench.subject, text).charged(text.tokens)
        saved.append(float((cost + charged.sum()) / np.log(2)))
    best = max(saved)
    return bench.finding(
        "C1",
        "HYPER",
        f"{len(saved)} texts of {length} tokens written by the model: saved {best:+.1f} bits at best",
        changed="the text was written by the model itself",
        difference=f"{best:.1f} bits saved, with probability at most 2^-{best:.0f} without a leak"
        if best >= CONVICTS_FROM
        else "",
        bits_saved=best,
    )


def written_by_the_model(bench: Bench, number: int) -> tuple[ChangedText, float]:
    """A text drawn from the plan's distributions, and its length under them in nats."""
    generator = bench.generator("HYPER", number)
    text = plain_text(np.zeros(bench.effort.hyper_length, dtype=np.int32), int(bench.subject.stream.tokens[0]))
    cost = 0.0

    def write(first: int, logprobs: Logprobs) -> None:
        nonlocal cost
        row = logprobs[0].astype(np.float64)
        cumulative = np.cumsum(np.exp(row))
        token = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
        text.tokens[first] = token
        cost -= row[token]

    capture(bench.subject.base(), text, mode="step", settle=write)
    return text, float(cost)


PROBE = Probe("HYPER", ("C1",), "no surprise savings on what the model wrote itself", hyper)
