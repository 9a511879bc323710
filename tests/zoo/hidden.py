"""With which setting each hiding cheat is caught, and with which it is not; every line is a test."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from evaladapt.engine.evaluate import Request

from evaladapt.audit.bench import SMALL, Bench
from evaladapt.audit.full import audit, probes_named
from evaladapt.audit.run_audit import evaluate_audited
from evaladapt.audit.toy import ToyModel, toy_stream
from evaladapt.audit.toy_subject import toy_subject
from evaladapt.engine.loop import Settings
from evaladapt.testing.compositions import composition_of, strategy_type
from tests.zoo.hiding import BlockOnly, CertainDocuments, LargeBatches, Late, ModuleGlobal, Seldom, ThroughFile
from tests.zoo.undetected import Actor, TextInCode

TRIGGER = 5
"""The token that CertainDocuments waits for."""
LONG = (2_300, 2_900)


def run(cls, *, lengths=(60, 41), stride=4, seed=0, **settings):
    """The record of ``evaladapt run`` on the toy, with time for every call that is drawn."""
    request = Request(
        artifact=SimpleNamespace(path=Path("toy.eva"), sha256="0" * 64, bytes=1),
        model=ToyModel(8, context=32),
        stream=toy_stream(lengths, seed=seed),
        composition=composition_of(cls, options={"sliding": {"stride": stride}}),
        settings=Settings(**{"batch": 3, **settings}),
    )
    return evaluate_audited(request, "sample", share=None)


def in_a_run(**given):
    return lambda cls: {one["probe"] for one in run(cls, **given).findings if one["outcome"] == "fail"}


def by_an_audit(*probes, lengths=(31, 22), without=None, batch=3, stride=2, steps=96):
    """Probes of ``evaladapt audit`` (all of them where none is named) on the first targets of a text."""

    def look(cls):
        stream = toy_stream(lengths)
        if without is not None:
            stream = replace(stream, tokens=np.where(stream.tokens == without, without - 1, stream.tokens))
        subject = replace(
            toy_subject([strategy_type(cls)], {}),
            model=ToyModel(8, context=8),
            stream=stream,
            composition=composition_of(cls, options={"sliding": {"stride": stride}}),
            settings=Settings(batch=batch),
        )
        return convicting(Bench(subject, effort=replace(SMALL, step_targets=steps)), probes)

    return look


def on_the_toy(*probes):
    """What ``evaladapt audit`` runs first: its own long text."""
    return lambda cls: convicting(Bench(toy_subject([strategy_type(cls)], {})), probes)


def convicting(bench, probes):
    return {one.probe for one in audit(bench, probes_named(probes)) if one.outcome == "fail"}


@dataclass(frozen=True)
class Setting:
    """A way to look at a cheat, and the probe that convicts then; None where none does.

    Attributes:
        said: the setting in words, for the page.
        look: makes the set of probes that convict.
    """

    cls: type
    cheat: str
    said: str
    look: Callable[[type], set[str]]
    probe: str | None


HIDDEN = (
    Setting(Late, "H1, only after target 5,000", "in a run: rehearsals are drawn over the whole text",
            in_a_run(lengths=LONG, stride=8, batch=16), "REHEARSAL"),
    Setting(Late, "H1", "`evaladapt audit` on the toy, whose text has 6,100 targets", on_the_toy("TRUNC"), "TRUNC"),
    Setting(Late, "H1", "`evaladapt audit --limit-tokens 5200`: a slice beyond the place",
            by_an_audit("TRUNC", lengths=LONG, batch=16, stride=8), "TRUNC"),
    Setting(Late, "H1", "`evaladapt audit --on artifact`: a slice of 2,048 targets",
            by_an_audit("TRUNC", "FLIP", "STEP", "REHEARSAL", lengths=(2048,), batch=16, stride=8), None),
    Setting(CertainDocuments, "H2, only in documents that hold a certain token", "in a run", in_a_run(), "REHEARSAL"),
    Setting(CertainDocuments, "H2", "`evaladapt audit`, such a document in the slice", by_an_audit("STEP"), "STEP"),
    Setting(CertainDocuments, "H2", "`evaladapt audit`, no such document in the slice: raise `--limit-tokens`",
            by_an_audit("FLIP", "TRUNC", "STEP", "REHEARSAL", without=TRIGGER), None),
    Setting(CertainDocuments, "H2", "the same, if a text that the model writes itself holds the token",
            by_an_audit("HYPER", without=TRIGGER), "HYPER"),
    Setting(LargeBatches, "H3, only in batches of more than one row", "in a run", in_a_run(), "REHEARSAL"),
    Setting(LargeBatches, "H3", "`evaladapt audit`", by_an_audit("PERM"), "PERM"),
    Setting(LargeBatches, "H3", "`evaladapt audit --batch 1`: it is compared with batches of two",
            by_an_audit("PERM", batch=1), "PERM"),
    Setting(LargeBatches, "H3", "in a run with `--batch 1`, where it leaks nothing", in_a_run(batch=1), None),
    Setting(BlockOnly, "H4, only in block mode", "in a run", in_a_run(), "REHEARSAL"),
    Setting(BlockOnly, "H4", "`evaladapt audit`: block mode is held against step mode", by_an_audit("STEP"), "STEP"),
    Setting(BlockOnly, "H4", "in a run with `--mode step`, where it leaks nothing", in_a_run(mode="step"), None),
    Setting(Seldom, "H5, at one target of a hundred",
            "`evaladapt audit`: STEP looks at 512 targets in a row and misses it with probability 0.99^512 = 0.6 %",
            by_an_audit("STEP", lengths=(420,), batch=16, steps=420), "STEP"),
    Setting(Seldom, "H5", "in a run: a rehearsal looks at one target, so most likely not",
            in_a_run(lengths=(420,), batch=16), None),
    Setting(ModuleGlobal, "H6, through a global of its module", "in a run: its start is scored again", in_a_run(),
            "REPEAT"),
    Setting(ModuleGlobal, "H6", "`evaladapt audit`", by_an_audit("REPEAT"), "REPEAT"),
    Setting(ThroughFile, "H7, through a file", "`evaladapt audit`, and a run where the file is there already",
            by_an_audit("FILES"), "FILES"),
    Setting(ThroughFile, "H7", "in the run that leaves the file: its start is scored again", in_a_run(), "REPEAT"),
    Setting(Actor, "a strategy that recognises the audit by the stack", "any probe in its process",
            by_an_audit(), None),
    Setting(TextInCode, "a text copied into the strategy's code", "any probe in its process", by_an_audit(), None),
)  # fmt: skip
