"""Cheats against a sealed player, on a tiny artifact; EVALADAPT_ZOO=1 tries all of them, without it one a kind."""

import os

import pytest

from evaladapt.audit.full import audit, probes_named
from evaladapt.data.load import load_stream
from evaladapt.judge.evaluate import evaluate, tokenizer_of
from tests.zoo import adapting, ahead, hiding, outside, process, rare, together, twinning
from tests.zoo.importing import base, device, fork, pipe, reading, ready, unsealed, vocabulary
from tests.zoo.installed import install
from tests.zoo.measure import NOTHING_GAINED, Court
from tests.zoo.subjects import toy_bench
from tests.zoo.thief import CAUSES, CHEATS, RULES

BY_CLASS = {one.cls: one for one in CHEATS}
SHOWN = {
    adapting.SlotOfTheRow: ("convicted", "told only what precedes the target"),
    process.PatchedExchange: ("convicted", "told only what precedes the target"),
    rare.KnowsTwins: ("convicted", "told only what precedes the target"),
    adapting.ValOnly: ("CAUSAL", ""),
    fork.ForkStays: ("refused", "left 1 processes running"),
    pipe.PipeStays: ("refused", "leads out of the player"),
    reading.ReadsAtImport: ("CAUSAL", ""),
    together.AnswersForTwin: ("refused", "spoke on its twin's line"),
    twinning.TwoAnswers: ("convicted", "told only what precedes the target"),
    twinning.DeadHelper: ("refused", "processes beside the player"),
    together.SaysDone: ("refused", "nobody had asked for that"),
    ready.LyingReady: ("refused", "another model"),
    vocabulary.SmallVocabulary: ("refused", "'rows' is 99"),
    device.OtherDevice: ("refused", "cuda:0"),
    rare.SulkingTwin: ("UNCHECKED", "got no answer"),
    unsealed.NoSecondSeal: ("UNCHECKED", "got no answer"),
}
FOUND_BY_PROBES = {
    adapting.SlotOfTheRow: "STEP",
    adapting.DeltaOfAllPasts: "FLIP",
    ahead.MeanOverPositions: "FLIP",
    hiding.LearningTransform: "STEP",
    hiding.GlobalDice: "REPEAT",
    hiding.ModuleGlobal: "REPEAT",
}
SERIOUS = [one for one in CHEATS if os.environ.get("EVALADAPT_ZOO")]


@pytest.fixture(scope="module")
def court(tmp_path_factory, tiny_artifact, text_file):
    def open_text(tokenizer):
        return load_stream([text_file], tokenizer)

    with pytest.MonkeyPatch.context() as monkeypatch:
        tokens = open_text(tokenizer_of(str(tiny_artifact))).tokens
        install(tmp_path_factory.mktemp("zoo"), monkeypatch, tokens, text_file)
        yield Court(str(tiny_artifact), open_text, str(text_file))


@pytest.mark.parametrize("cls", SHOWN, ids=lambda cls: cls.__name__)
def test_what_becomes_of_a_cheat(court, cls):
    outcome, said = SHOWN[cls]
    found = court.tried(BY_CLASS[cls], seed=0)
    assert (found.outcome, said in found.said) == (outcome, True), found
    assert not found.passes


def test_the_base_is_the_plans_alone_whoever_knows_its_player(court):
    request = court.asked(BY_CLASS[base.SpoiltBase])
    record = evaluate(request)
    assert record.base.bits == record.adapted.bits


@pytest.mark.parametrize("cheat", SERIOUS, ids=lambda one: f"{one.leak}-{one.cls.__name__}")
def test_no_cheat_passes(court, cheat):
    """But for those that bring the text along, which ECHO is for."""
    found = court.tried(cheat, seed=0)
    assert not found.passes or issubclass(cheat.cls, outside.Knows), found


def test_a_text_that_was_brought_along_passes_the_twins_and_is_convicted_by_echo(court):
    brought = BY_CLASS[outside.Brought]
    found = court.tried(brought, seed=0)
    assert (found.outcome, found.gain > 100 * NOTHING_GAINED) == ("CAUSAL", True)
    heard = court.echo(brought)
    assert (heard.outcome, heard.figures["p"] < 1e-6) == ("fail", True), heard
    assert court.echo(BY_CLASS[adapting.ValOnly]).outcome in ("pass", "not covered")


@pytest.mark.parametrize("cls", FOUND_BY_PROBES, ids=lambda cls: cls.__name__)
def test_a_mistake_is_explained_by_a_probe(cls):
    hiding.KEPT_IN_THE_MODULE.clear()
    findings = audit(toy_bench(cls), probes_named([FOUND_BY_PROBES[cls]]))
    failed = [one for one in findings if one.outcome == "fail"]
    assert [one.probe for one in failed] == [FOUND_BY_PROBES[cls]], list(map(str, findings))
    assert failed[0].counterexample.difference
    assert failed[0].counterexample.command


def test_the_zoo_holds_every_leak_that_a_strategy_can_commit_and_three_new_ones_for_every_cause():
    leaks = {one.leak for one in CHEATS}
    assert {f"L{number:02d}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14)} <= leaks
    assert {f"L{number}" for number in (16, 17, 18, 19, 20, 21, 24)} <= leaks
    assert {f"L{number}" for number in (25, 26, 27, 28, 29, 30, 31, 32, 47)} <= leaks
    new = [one for one in CHEATS if one.leak.startswith("N")]
    assert len(new) >= 20
    for cause in set(CAUSES) - {RULES}:
        assert sum(one.cause == cause for one in new) >= 3, cause
    assert len({one.alias for one in CHEATS}) == len(CHEATS)
