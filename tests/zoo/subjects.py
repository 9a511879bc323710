"""Toy subjects for the zoo and for honest strategies."""

from dataclasses import replace

from evaladapt.audit.bench import SMALL, Bench
from evaladapt.audit.subject import Subject
from evaladapt.audit.toy import ToyModel, toy_stream
from evaladapt.engine.loop import Settings
from evaladapt.testing.compositions import composition_of


def toy_bench(*classes, lengths=(31, 22), batch=3, stride=2, seed=0, steps=96, allow_noncausal=False):
    """A bench with the classes on the toy."""
    options = {"sliding": {"stride": stride}} if not any(_plans(one) for one in classes) else {}
    subject = Subject(
        model=ToyModel(8, context=8, seed=seed),
        stream=toy_stream(lengths, seed=seed),
        composition=composition_of(*classes, options=options, allow_noncausal=allow_noncausal),
        settings=Settings(batch=batch, seed=seed),
        backend="toy",
    )
    return Bench(subject, effort=replace(SMALL, step_targets=steps), seed=seed)


def _plans(cls):
    return cls.capabilities.stage == 0
