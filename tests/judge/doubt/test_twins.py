"""Twins: who cheats is convicted, who is honest is not, and a twin without an answer is a look that failed."""

import numpy as np
import pytest

from evaladapt.judge.doubt import twins
from evaladapt.judge.doubt.looks import FEWEST
from evaladapt.judge.doubt.twins import Twins
from evaladapt.judge.evaluate import evaluate
from evaladapt.judge.records.record import CAUSAL, UNCHECKED, VIOLATED, RunRecord

SPREAD = ("train", "hiddenshift", "windowbias", "sharedbias", "streamunigram", "hedge")


def outcomes(record):
    return {one.clause: one.outcome for one in record.clauses}


def test_who_reads_ahead_is_convicted_and_the_stage_is_named(ask):
    record = evaluate(ask("ahead", "windowbias"), draw=np.random.default_rng(1))
    assert record.verdict == VIOLATED
    assert not isinstance(record, RunRecord)
    assert outcomes(record)["C1"] == "fail"
    example = record.checked.example
    assert example["stage"] == 1
    assert example["target"] < example["told_until"]
    (evidence,) = [one.evidence for one in record.clauses if one.outcome == "fail"]
    assert "They part after strategy 'ahead'" in evidence
    assert record.to_json()["bpb"] is None


@pytest.mark.parametrize("memory", [10**9, 1])
def test_the_honest_are_looked_at_and_nothing_differs(ask, stream, memory):
    """State of every scope, a fold over the batch, and documents that are minded; with room, and with none."""
    text, options = stream.limit(200), {"sliding": {"stride": "8"}}
    request = ask(*SPREAD, text=text, options=options, batch=8, with_base=True, memory=memory)
    record = evaluate(request, draw=np.random.default_rng(2))
    assert record.verdict == CAUSAL, record.checked
    looks = record.checked.looks
    assert len(set(looks)) == len(looks) >= FEWEST
    starts = set(np.flatnonzero(np.diff(stream.documents, prepend=-1)).tolist())
    assert not starts & set(looks)
    assert record.checked.worst_nats < 1e-4
    assert 0 < record.checked.targets_bound < 1
    assert {"seccomp"} <= set(record.checked.sealed_by)
    assert {outcomes(record)[clause] for clause in ("C1", "C2", "C3", "C4", "W")} == {"pass"}
    files = {one["path"].rsplit("/", 1)[-1] for one in record.checked.files}
    assert "strategies.py" in files
    assert record.checked.code_bytes > 0


def test_twins_that_keep_memory_in_common_with_the_player_prove_nothing(ask, monkeypatch):
    def refused(pid):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(twins, "part", refused)
    record = evaluate(ask("windowbias", text=ask().open_text(None).limit(90)))
    assert record.verdict == UNCHECKED
    assert "by memory they shared (Operation not permitted)" in record.checked.unchecked_because


@pytest.fixture
def shapes(monkeypatch):
    """Whether what was asked was asked in the whole shape, question by question."""
    asked, ask = [], Twins._ask

    def noted(self, one, target, **how):
        asked.append(how.get("whole_shape", False))
        return ask(self, one, target, **how)

    monkeypatch.setattr(Twins, "_ask", noted)
    return asked


def test_what_predictions_left_in_a_strategy_is_there_when_it_is_asked_again(ask, shapes):
    """A twin of a group of batches first leaves out the predictions before its target's, and then makes them all."""
    record = evaluate(ask("counting", batch=2), draw=np.random.default_rng(4))
    assert record.verdict == CAUSAL, record.checked
    assert any(shapes)


def test_who_predicts_without_trace_is_asked_once(ask, shapes):
    record = evaluate(ask("train", "windowbias", batch=2), draw=np.random.default_rng(4))
    assert record.verdict == CAUSAL
    assert not any(shapes)


@pytest.mark.parametrize("how", ["leave", "crash", "complain", "hang"])
def test_a_twin_that_does_not_answer_is_a_failed_look_and_never_causal(ask, monkeypatch, how):
    monkeypatch.setattr(twins, "LOOK_PATIENCE", 1.0)
    text = ask().open_text(None).limit(90)
    if how == "hang":
        monkeypatch.setattr("evaladapt.judge.doubt.looks.FEWEST", 1)
    record = evaluate(ask("in-twin", options={"in-twin": {"how": how}}, text=text), draw=np.random.default_rng(3))
    assert record.verdict == UNCHECKED
    assert record.checked.failed_looks == len(record.checked.looks) > 0
    assert "got no answer" in record.checked.unchecked_because
    assert outcomes(record)["C1"] == "not covered"
