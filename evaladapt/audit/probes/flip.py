"""FLIP: rewrite the text from a target on, and every distribution up to that target must stay, bit for bit.

The rewritten tokens are ordinary ones and keep all shapes and document boundaries, so no tolerance is needed. The whole
vector is compared, the target's own included, so a distribution that depends on its own target moves too. Only the past
is held to stay: that the future follows the past is what adaptation is.

Cannot see: a leak that none of the chosen positions touches (STEP looks at every position of a slice), text that the
strategy has from somewhere else (REPEAT, HYPER, ECHO), and scores computed outside of the engine from the target alone,
where only a number per target is known (TOK).
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import capture, difference
from evaladapt.audit.text import rewritten


def flip(bench: Bench) -> Finding:
    """Rewrite from several positions on."""
    positions = chosen_positions(bench)
    for position in positions:
        text = rewritten(bench.subject.stream, position, bench.generator("FLIP", position))
        found = capture(bench.subject, text, until=position)
        moved = difference(bench.plain.logprobs[:position], found.logprobs[:position])
        if moved:
            changed = f"tokens {position} … {text.targets} were replaced by others"
            evidence = f"a distribution at or before target {position} depends on tokens from {position} on"
            return bench.finding(
                "C1", "FLIP", evidence, changed=changed, difference=str(moved), positions=moved.targets
            )
    compared = sum(positions)
    return bench.finding(
        "C1",
        "FLIP",
        f"text rewritten from {len(positions)} targets on; {compared} earlier distributions stayed bit for bit",
        flips=len(positions),
        compared=compared,
    )


def chosen_positions(bench: Bench) -> list[int]:
    """Early in the first batch, in the middle of the second, and others anywhere, seeded.

    The first batch is often one row by itself; from the second on rows overlap, which is where they can leak.
    """
    calls, last = bench.plain.calls, bench.subject.stream.targets
    second = calls[min(1, len(calls) - 1)]
    drawn = bench.generator("FLIP").integers(1, last + 1, max(0, bench.effort.flips - 2)).tolist()
    return sorted({min(2, last), (second.first + second.stop) // 2, *drawn})


PROBE = Probe("FLIP", ("C1",), "rewrite the rest of the text; earlier distributions stay", flip)
