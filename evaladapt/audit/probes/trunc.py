"""TRUNC: a run to which the text is revealed batch by batch, with its length declared, charges the same.

Until a batch is due its tokens are not in the process's source at all: other ordinary tokens stand there. So whatever
reads ahead beyond its batch, when the run begins or at any time after, is seen at once, at every batch of the text and
for the price of one run. The length stays what it was, because a schedule that uses it is legal.

Cannot see: reading ahead inside a batch (FLIP, STEP).
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import capture, difference
from evaladapt.audit.text import copy_of, others


def trunc(bench: Bench) -> list[Finding]:
    """Reveal batch by batch."""
    stream, plain = bench.subject.stream, bench.plain
    ends = plain.ends
    if len(ends) < 2:
        return [bench.not_covered("C3", "TRUNC", "the text is one batch, so there is nothing beyond it")]
    text = copy_of(stream)
    text.tokens[ends[0] :] = others(stream, bench.generator("TRUNC"))[ends[0] :]

    def reveal(done: int) -> None:
        """The batch that ended with target ``done`` is over, so the next one is due."""
        due = min(ends.index(done + 1) + 1, len(ends) - 1)
        text.tokens[done + 1 : ends[due]] = stream.tokens[done + 1 : ends[due]]

    found = capture(bench.subject, text, after_batch=reveal)
    moved = difference(plain.logprobs, found.logprobs)
    return [
        bench.finding(
            "C3",
            "TRUNC",
            f"text revealed batch by batch, {len(ends)} batches, {stream.targets} distributions compared bit for bit"
            if not moved
            else "a distribution depends on text beyond its batch",
            changed="every token beyond the current batch was replaced until its turn came",
            difference=str(moved) if moved else "",
            positions=moved.targets if moved else (),
            batches=len(ends),
        )
    ]


PROBE = Probe("TRUNC", ("C3",), "text beyond the batch is not there until its turn comes", trunc)
