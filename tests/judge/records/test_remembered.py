"""The plan alone is scored once beside other runs, and never believed where it does not fit."""

import json
from dataclasses import replace

import pytest

from evaladapt.judge.evaluate import evaluated
from evaladapt.judge.records.folder import RECORD
from evaladapt.judge.records.record import write_record


@pytest.fixture
def carried_out(ask, tmp_path):
    """Runs a composition in a folder of its own; returns what came of it and the passes that were scored."""

    def call(name, *names, inline=True, **fields):
        folder, passes = tmp_path / name, []
        folder.mkdir()

        def progress(name):
            passes.append(name)
            return lambda done, total: None

        request = ask(*names, with_base=True, inline=inline, **fields)
        done = evaluated(replace(request, folder=folder), progress)
        write_record(folder / RECORD, done.record)
        return done, passes

    return call


def test_a_second_composition_takes_the_base_of_the_first(carried_out, tmp_path):
    first, _ = carried_out("a", "windowbias")
    second, passes = carried_out("b", "hedge")
    assert passes == ["adapted"]
    assert second.record.base.taken_from == str(tmp_path / "a" / "base.ledger")
    assert replace(second.record.base, taken_from=None) == first.record.base
    assert (second.base.target_nats == first.base.target_nats).all()
    assert (second.base.document_nats == first.base.document_nats).all()
    assert (tmp_path / "b" / "base.ledger").read_bytes() == (tmp_path / "a" / "base.ledger").read_bytes()


def test_a_run_of_the_plan_alone_is_a_base(carried_out, tmp_path):
    carried_out("a")
    done, passes = carried_out("b", "hedge")
    assert passes == ["adapted"]
    assert done.record.base.taken_from == str(tmp_path / "a" / "adapted.ledger")


@pytest.mark.parametrize("other", [{"options": {"sliding": {"stride": "2"}}}, {"batch": 2}, {"boundaries": "charged"}])
def test_another_plan_or_other_settings_are_scored(carried_out, other):
    carried_out("a", "hedge")
    done, passes = carried_out("b", "hedge", **other)
    assert passes == ["base", "adapted"]
    assert done.record.base.taken_from is None


def damage_a_charge(folder):
    path = folder / "base.ledger"
    head, first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + first.replace(b'"logprobs": "A', b'"logprobs": "B', 1) + b"".join(rest))


def cut_the_last_line(folder):
    path = folder / "base.ledger"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def record_another_hash(folder):
    content = json.loads((folder / RECORD).read_text())
    content["base"]["ledger_sha256"] = "0" * 64
    (folder / RECORD).write_text(json.dumps(content))


def leave_no_record(folder):
    (folder / RECORD).unlink()


@pytest.mark.parametrize("spoil", [damage_a_charge, cut_the_last_line, record_another_hash, leave_no_record])
def test_a_ledger_that_its_record_does_not_vouch_for_is_not_taken(carried_out, tmp_path, spoil):
    first, _ = carried_out("a", "hedge")
    before = (tmp_path / "a" / "base.ledger").read_bytes()
    spoil(tmp_path / "a")
    done, passes = carried_out("b", "windowbias")
    assert passes == ["base", "adapted"]
    assert done.record.base.ledger_sha256 == first.record.base.ledger_sha256
    assert (tmp_path / "b" / "base.ledger").read_bytes() == before


def test_what_one_process_predicted_is_no_base_for_a_sealed_run(carried_out):
    carried_out("a", "hedge")
    done, passes = carried_out("b", "hedge", inline=False)
    assert passes == ["base", "adapted"]
    assert done.record.base.taken_from is None
    again, passes = carried_out("c", "windowbias", inline=False)
    assert passes == ["adapted"]
    assert again.record.verdict == "CAUSAL"
