"""The probes, one file each; every file says what its probe cannot see."""

from __future__ import annotations

from evaladapt.audit.probes import effect, flip, hyper, kraft, model, repeat, step, tok

ALL = (
    effect.PROBE,
    repeat.PROBE,
    model.PROBE,
    flip.PROBE,
    step.PROBE,
    tok.PROBE,
    hyper.PROBE,
    kraft.PROBE,
)
"""In the order they run, the cheap ones first."""

BY_NAME = {probe.name: probe for probe in ALL}
