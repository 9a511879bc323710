"""The probes, one file each; every file says what its probe cannot see."""

from __future__ import annotations

from evaladapt.audit.probes import (
    denominator,
    effect,
    files,
    flip,
    freeze,
    hyper,
    kraft,
    ledger,
    model,
    norm,
    perm,
    rehearsal,
    repeat,
    rng,
    step,
    tok,
    trunc,
)

ALL = (
    effect.PROBE,
    norm.PROBE,
    ledger.PROBE,
    repeat.PROBE,
    model.PROBE,
    denominator.PROBE,
    freeze.PROBE,
    rng.PROBE,
    files.PROBE,
    rehearsal.PROBE,
    flip.PROBE,
    trunc.PROBE,
    step.PROBE,
    perm.PROBE,
    tok.PROBE,
    hyper.PROBE,
    kraft.PROBE,
)
"""In the order they run, the cheap ones first."""

BY_NAME = {probe.name: probe for probe in ALL}
