"""From what a watcher saw to findings; the same for the watched run of an audit and for a real run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evaladapt.audit.finding import FAIL, NOT_COVERED, PASS, Counterexample, Finding
from evaladapt.audit.incidents import Sightings


@dataclass(frozen=True)
class Looked:
    """What a probe says when it saw nothing: its clause, and its evidence with the count of looks."""

    clause: str
    count: str
    evidence: str


LOOKED = {
    "FREEZE": Looked("C3", "FREEZE", "{} transforms made twice returned the same and left state and weights alone"),
    "REHEARSAL": Looked("C1", "REHEARSAL", "{} hook calls came out bit for bit the same under another future"),
    "RNG": Looked("D", "calls", "no global random generator was used in {} hook calls"),
    "FILES": Looked("C1", "calls", "no file, socket or process was opened in {} hook calls"),
}


def finding_from(sightings: Sightings, probe: str, backend: str, reproduce: Callable[[str], str]) -> Finding:
    """What a probe says about a watched run; ``reproduce`` makes the command that shows a probe's failure again."""
    looked, seen, blind = LOOKED[probe], sightings.of(probe), sightings.blind_for(probe)
    count = sightings.counts[looked.count]
    if seen:
        first = seen[0]
        example = Counterexample(
            positions=first.positions,
            changed=f"{first.hook} of {first.alias!r}; {first.changed}",
            difference=first.difference,
            command=reproduce(probe),
        )
        evidence = f"{first.hook} of {first.alias!r}: {first.difference} ({len(seen)} times)"
        return Finding(clause=first.clause, probe=probe, outcome=FAIL, evidence=evidence, counterexample=example,
                       backend=backend, figures={"incidents": len(seen), "looks": count})  # fmt: skip
    if blind or not count:
        why = blind or "no strategy has a hook that it could look at"
        return Finding(clause=looked.clause, probe=probe, outcome=NOT_COVERED, evidence=why, backend=backend)
    evidence = looked.evidence.format(count)
    return Finding(clause=looked.clause, probe=probe, outcome=PASS, evidence=evidence, backend=backend,
                   figures={"looks": count})  # fmt: skip
