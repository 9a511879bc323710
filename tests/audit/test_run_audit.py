import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaladapt.engine.evaluate import Request, evaluate

from evaladapt.audit.bench import SMALL, Bench
from evaladapt.audit.full import audit, probes_named
from evaladapt.audit.run_audit import evaluate_audited, level_named
from evaladapt.audit.subject import Subject
from evaladapt.audit.toy import ToyModel, toy_stream
from evaladapt.contract import hookimpl
from evaladapt.engine.loop import Settings
from evaladapt.errors import UsageError
from evaladapt.testing.compositions import composition_of
from tests.strategies import EVERY_KIND, Train, WindowBias
from tests.tiny import random_stream, tiny_model
from tests.zoo.adapting import SlotOfTheRow, ValOnly
from tests.zoo.hiding import BlockOnly, GlobalDice, Late, ModuleGlobal
from tests.zoo.passes import CacheFromFile, TwoPass
from tests.zoo.refusing import SpanSlot
from tests.zoo.thief import Thief


def request(*classes, folder=None, **settings):
    return Request(
        artifact=SimpleNamespace(path=Path("tiny.eva"), sha256="0" * 64, bytes=1),
        model=tiny_model(),
        stream=random_stream((60, 41)),
        composition=composition_of(*classes, options={"sliding": {"stride": 4}}),
        settings=Settings(**{"batch": 3, **settings}),
        folder=folder,
    )


def outcomes(record):
    return {one["probe"]: one["outcome"] for one in record.findings}


@pytest.mark.parametrize("classes", [(WindowBias,), (Train,), EVERY_KIND])
@pytest.mark.parametrize("mode", ["block", "step"])
def test_an_audited_run_charges_what_the_run_charges(classes, mode, tmp_path):
    plain = evaluate(request(*classes, mode=mode))
    audited = evaluate_audited(request(*classes, folder=tmp_path, mode=mode), "sample")
    assert audited.adapted.ledger_sha256 == plain.adapted.ledger_sha256
    assert (audited.verdict, audited.bpb) == ("CAUSAL", plain.bpb)
    assert audited.composition == plain.composition
    without_transform = {"FREEZE"} if classes == (Train,) else set()
    assert {probe for probe, outcome in outcomes(audited).items() if outcome != "pass"} == without_transform
    clauses = {one.clause: one for one in audited.clauses}
    assert clauses["D"].outcome == "pass"
    assert "REHEARSAL" in clauses["C1"].evidence
    json.dumps(audited.to_json())


def test_a_text_that_cannot_be_rewritten_is_not_rehearsed_and_no_call_is_made_twice():
    plain, one = request(WindowBias), request(Counting)
    one.stream.tokens.flags.writeable = False
    record = evaluate_audited(one, "sample", share=0)
    assert outcomes(record)["REHEARSAL"] == "not covered"
    counted = evaluate(replace(plain, composition=one.composition)).adapted.scalars
    assert record.adapted.scalars == counted


class Counting(Thief):
    """Counts the calls of its transform."""

    calls = 0

    @hookimpl
    def transform_logits(self, logits, query):
        self.calls += 1
        return logits * 1.0

    @hookimpl
    def end(self):
        return {"calls": self.calls}


def test_off_looks_at_nothing():
    record = evaluate_audited(request(WindowBias), "off")
    assert record.findings == []
    assert {one.clause: one.outcome for one in record.clauses}["D"] == "not covered"


def test_full_adds_every_probe():
    record = evaluate_audited(replace(request(WindowBias), stream=random_stream((30,))), "full")
    assert {"FLIP", "STEP", "PERM", "TOK", "HYPER", "MODEL"} <= set(outcomes(record))
    assert record.verdict == "CAUSAL"


@pytest.mark.parametrize(
    ("cls", "probe", "clause"),
    [
        (SlotOfTheRow, "REHEARSAL", "C1"),
        (ValOnly, "REHEARSAL", "C3"),
        (TwoPass, "REHEARSAL", "C3"),
        (CacheFromFile, "FILES", "C1"),
        (GlobalDice, "RNG", "D"),
        (ModuleGlobal, "REPEAT", "D"),
    ],
)
def test_a_cheat_is_caught_in_the_run_and_its_number_is_no_bpb(cls, probe, clause, tmp_path):
    record = evaluate_audited(request(cls, folder=tmp_path), "sample")
    assert outcomes(record)[probe] == "fail"
    assert (record.verdict, record.bpb, record.claimed_bpb) == ("VIOLATED", None, None)
    assert {one.clause: one.outcome for one in record.clauses}[clause] == "fail"
    found = next(one for one in record.findings if one["outcome"] == "fail")
    assert found["counterexample"]["difference"]


def test_no_probe_takes_step_mode_for_a_leak():
    """There a batch is many calls, and the text is revealed by batches."""
    one = request(WindowBias, mode="step")
    subject = Subject(model=one.model, stream=one.stream, composition=one.composition, settings=one.settings)
    findings = audit(Bench(subject, effort=SMALL), probes_named(["TRUNC", "FLIP", "STEP", "PERM", "REHEARSAL"]))
    assert {str(finding) for finding in findings if finding.outcome != "pass"} == set()
    assert next(finding.figures["batches"] for finding in findings if finding.probe == "TRUNC") < 101 / 3


def test_a_rehearsal_leaves_no_trace_in_the_text():
    one = request(WindowBias)
    before = one.stream.tokens.copy()
    evaluate_audited(one, "sample")
    assert np.array_equal(one.stream.tokens, before)


@pytest.mark.parametrize("level", ["sample", "full"])
def test_what_peeks_stays_a_claim_with_the_evidence_beside_it(level):
    peeking = composition_of(SpanSlot, options={"sliding": {"stride": 4}}, allow_noncausal=True)
    record = evaluate_audited(replace(request(), stream=random_stream((30,)), composition=peeking), level)
    assert (record.verdict, record.bpb) == ("NONCAUSAL", None)
    assert record.claimed_bpb is not None
    assert {one.clause: one.outcome for one in record.clauses}["C1"] == "fail"
    assert level == "sample" or outcomes(record)["FLIP"] == "fail"


def test_an_unknown_level_is_refused():
    with pytest.raises(UsageError, match="off, sample, full"):
        level_named("some")


@pytest.mark.parametrize(("cls", "probe"), [(Late, "REHEARSAL"), (BlockOnly, "REHEARSAL")])
def test_cheats_that_hide_in_a_long_text_are_caught_in_the_run(cls, probe):
    one = replace(
        request(cls, batch=16),
        model=ToyModel(8, context=32),
        stream=toy_stream((2_300, 2_900)),
        composition=composition_of(cls, options={"sliding": {"stride": 8}}),
    )
    record = evaluate_audited(one, "sample", share=None)
    assert (record.verdict, outcomes(record)[probe]) == ("VIOLATED", "fail")
