"""All probes, or chosen ones, on one subject: what ``evaladapt audit`` and the test kit run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding, engine_probe, found_by_the_engine
from evaladapt.audit.probes import ALL, BY_NAME
from evaladapt.errors import ContractViolation, UsageError, near_miss
from evaladapt.system.threads import threads

Announce = Callable[[str, int, int], None]
"""Called before every probe with its name, its number from 1 and the number of probes."""


def probes_named(names: Sequence[str], more: Sequence[str] = ()) -> tuple[Probe, ...]:
    """Probes by name, in any case; all of them for no names. ``more`` are names that a message should know too.

    Raises:
        UsageError: there is no such probe.
    """
    wanted = [name.strip().upper() for name in names]
    for name in wanted:
        if name not in BY_NAME:
            known = [*BY_NAME, *more]
            raise UsageError(f"there is no probe {name!r}.{near_miss(name, known)} Probes: {', '.join(known)}")
    return tuple(probe for probe in ALL if not wanted or probe.name in wanted)


def audit(bench: Bench, probes: Sequence[Probe] = ALL, announce: Announce | None = None) -> list[Finding]:
    """Run the probes. A clause that the engine finds broken by itself is a finding too, and ends the audit.

    Raises:
        PluginError: a strategy raised in an ordinary run.
    """
    with nullcontext() if bench.subject.backend == "artifact" else threads(1):
        return _audit(bench, probes, announce)


def _audit(bench: Bench, probes: Sequence[Probe], announce: Announce | None) -> list[Finding]:
    findings: list[Finding] = []
    try:
        _ = bench.plain
    except ContractViolation as violation:
        return [_found(bench, violation), *_not_run(bench, probes, "the run itself broke the contract")]
    for number, probe in enumerate(probes, 1):
        if announce:
            announce(probe.name, number, len(probes))
        try:
            findings.append(probe.run(bench))
        except ContractViolation as violation:
            findings.append(_found(bench, violation, probe))
    return findings


def _found(bench: Bench, violation: ContractViolation, during: Probe | None = None) -> Finding:
    probe = during.name if during else engine_probe(violation)
    command = bench.subject.reproduce(probe, bench.seed)
    changed = f"what {probe} changes" if during else "nothing"
    return found_by_the_engine(violation, probe, bench.subject.backend, command, changed)


def _not_run(bench: Bench, probes: Sequence[Probe], why: str) -> list[Finding]:
    return [bench.not_covered(probe.clauses[0], probe.name, why) for probe in probes]
