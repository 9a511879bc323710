"""A folder that was sent holds against itself, and whatever was changed in it is found."""

import json
import shutil
from pathlib import Path

import pytest

from evaladapt.cli.main import invoke
from evaladapt.codec.verify import FAIL, PASS
from evaladapt.results.checking import check_folder, check_together


@pytest.fixture
def sent(runs):
    return runs / "run0"


@pytest.fixture
def copied(sent, tmp_path):
    return Path(shutil.copytree(sent, tmp_path / "copy"))


def edited(folder, *path, value):
    content = json.loads((folder / "record.json").read_text())
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    (folder / "record.json").write_text(json.dumps(content))
    return {one.name: one for one in check_folder(folder).checks}


def test_an_honest_folder_holds(sent, capsys):
    found = check_folder(sent)
    assert found.holds
    assert {one.name: one.outcome for one in found.checks} == dict.fromkeys(
        ["numbers", "coverage", "ledger", "artifact", "sizes", "verdict"], PASS
    )
    assert invoke(["report", str(sent), "--check"]) == 0
    assert "sealed by" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "value", "check"),
    [
        (("bpb",), 0.5, "numbers"),
        (("data", "documents"), 9, "coverage"),
        (("adapted", "nats"), 1.0, "ledger"),
        (("difference", "bpb"), -1.5, "ledger"),
        (("artifact", "bytes"), 99, "artifact"),
        (("artifact", "sha256"), "0" * 64, "artifact"),
        (("verdict",), "NONCAUSAL", "verdict"),
        (("checked", "unchecked_because"), "nothing was sealed", "verdict"),
        (("adapted", "ledger_sha256"), "0" * 64, "folder"),
        (("data", "tokens_sha256"), "0" * 64, "folder"),
        (("data", "bytes"), 7, "folder"),
    ],
)
def test_what_was_changed_is_found(copied, path, value, check, capsys):
    assert edited(copied, *path, value=value)[check].outcome == FAIL
    assert invoke(["report", str(copied), "--check", "--json"]) == 3
    assert any(one["outcome"] == FAIL for one in json.loads(capsys.readouterr().out))


def test_an_artifact_that_is_not_here_is_no_fault(copied):
    found = edited(copied, "artifact", "path", value="/nowhere/model.eva")
    assert found["artifact"].outcome == "cannot be repeated here"
    assert check_folder(copied).holds


def test_runs_together_differ_in_their_seed_only(sent, copied):
    first = check_folder(sent)
    assert "a seed is there twice" in check_together([first, check_folder(copied)]).evidence
    edited(copied, "settings", "seed", value=7)
    assert check_together([first, check_folder(copied)]).outcome == PASS
    edited(copied, "settings", "batch", value=3)
    assert "more than their seed" in check_together([first, check_folder(copied)]).evidence
