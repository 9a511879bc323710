"""Leaks that cannot be written at all: the refusal is the test."""

import dataclasses

import numpy as np
import pytest

from evaladapt.audit.full import audit, probes_named
from evaladapt.contract import hookimpl
from evaladapt.data.building import stream_from_documents
from evaladapt.engine.loop import Settings
from evaladapt.errors import ContractViolation, DataError, PluginError, UsageError
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.records.ledger import Ledger
from evaladapt.testing.compositions import composition_of
from tests.tiny import random_stream, tiny_model
from tests.zoo.refusing import SpanSlot, hook_asking_for
from tests.zoo.subjects import toy_bench
from tests.zoo.thief import Thief


@pytest.mark.parametrize(
    ("hook", "argument"),
    [
        ("transform_logits", "targets"),
        ("transform_logits", "past"),
        ("transform_logits", "host"),
        ("adapt", "targets"),
        ("adapt", "stream"),
        ("begin", "tokens"),
        ("reset", "tokens"),
        ("observe", "stream"),
    ],
)
def test_a_hook_cannot_ask_for_what_it_may_not_see(hook, argument):
    with pytest.raises(PluginError, match=argument):
        composition_of(hook_asking_for(hook, argument))


def test_fitting_to_the_scored_span_needs_a_declaration_that_ends_the_score():
    with pytest.raises(UsageError, match=r"wants targets before they are scored.*--allow-noncausal"):
        composition_of(SpanSlot)
    composition = composition_of(SpanSlot, allow_noncausal=True)
    assert composition.peeking
    with pytest.raises(UsageError, match="step mode"):
        InlineRun(tiny_model(), random_stream(), composition, Settings(mode="step"))


def test_what_peeks_has_free_bits_and_depends_on_the_future():
    bench = toy_bench(SpanSlot, allow_noncausal=True)
    findings = audit(bench, probes_named(["KRAFT", "FLIP", "STEP"]))
    outcomes = {one.probe: one.outcome for one in findings}
    assert outcomes == {"KRAFT": "fail", "FLIP": "fail", "STEP": "not covered"}
    free = next(one.figures["free_bits"] for one in findings if one.probe == "KRAFT")
    assert free > 0.5


def test_without_the_declaration_its_span_is_not_in_the_past():
    class Hopeful(Thief):
        @hookimpl
        def adapt(self, past):
            assert not past.in_span.any()
            assert (past.targets[~past.visible] == -100).all()
            past.visible.fill_(True)
            assert not (past.targets >= 0).logical_and(past.in_span).any()

        @hookimpl
        def transform_logits(self, logits):
            return logits

    toy_bench(Hopeful).plain  # noqa: B018


def test_nothing_is_charged_twice():
    ledger = Ledger(4, np.zeros(5, dtype=np.int32))
    ledger.commit(1, np.array([-1.0, -1.0]))
    with pytest.raises(ContractViolation, match="C4"):
        ledger.commit(1, np.array([-0.1, -0.1]))
    with pytest.raises(ContractViolation, match="C4"):
        ledger.commit(4, np.array([-0.1]))


def test_bytes_counted_twice_are_refused(tiny_tokenizer):
    stream = stream_from_documents(["one and two and three"], tiny_tokenizer, "text")
    with pytest.raises(DataError, match="wrong byte table"):
        dataclasses.replace(stream, byte_lengths=stream.byte_lengths * 2)
