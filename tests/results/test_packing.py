"""What is packed from real runs passes the check wherever it lies, and what is changed in it afterwards does not."""

import json
import math
import shutil
from pathlib import Path

import pytest

import evaladapt as ea
from evaladapt.cli.main import invoke
from evaladapt.codec.verify import FAIL
from evaladapt.errors import UsageError
from evaladapt.results.packing import check_submission, pack


@pytest.fixture(scope="module")
def packed(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "sent"
    pack([runs / "run1", runs / "run0"], out, runs / "before")
    return out


@pytest.fixture
def copied(packed, tmp_path):
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def failed(folder):
    return {f"{where}: {one.name}" for where, one in check_submission(folder) if one.outcome == FAIL}


def test_what_was_packed_holds_and_says_what_the_runs_say(packed, runs):
    assert failed(packed) == set()
    first = ea.open_run(runs / "run0")
    said = json.loads((packed / "submission.json").read_text())
    assert (list(said["seeds"]), said["verdict"]) == (["0", "1"], "CAUSAL")
    assert said["seeds"]["0"]["val_bpb"] == said["val_bpb"] == first.bpb
    assert said["pre_quantised_bpb"] == said["seeds"]["1"]["quantised_bpb"] == first.base_bpb
    assert said["bytes_total"] == said["bytes_model"] + said["bytes_code"]
    assert (packed / "model.eva").stat().st_size == said["bytes_model"]
    rows = (packed / "README.md").read_text().split("| --- |")[-1].splitlines()[1:4]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == ["0", "1", "mean"]
    assert all(f"{first.base_bpb:.5f} | {first.base_bpb:.5f} | {first.bpb:.5f}" in row for row in rows)
    log = (packed / "seed-1" / "log.txt").read_text()
    whole = first.record.adapted.nats / math.log(2) / first.record.data.bytes
    assert f" bytes {first.record.data.bytes} adapted_bpb {whole:.6f} base_bpb " in log


def test_the_command_packs_and_checks_where_the_model_is_not_at_its_place(runs, tmp_path, monkeypatch, capsys):
    out = tmp_path / "sent"
    assert invoke(["report", str(runs / "run0"), "--pack", str(out)]) == 0
    assert "evaladapt report --check" in capsys.readouterr().out
    assert invoke(["report", str(out), "--check", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["outcome"] for one in told} == {"pass"}
    (artifact,) = (one for one in told if one["name"] == "artifact")
    assert str(out / "model.eva") in artifact["evidence"]


@pytest.mark.parametrize(
    ("file", "old", "new", "check"),
    [
        ("submission.json", '"val_bpb": ', '"val_bpb": 1', "together: submission.json"),
        ("submission.json", '"bytes_code": ', '"bytes_code": 1', "together: submission.json"),
        ("submission.json", "{", "[{", "together: submission.json"),
        ("README.md", "| 0 | ", "| 0 | 1", "together: README.md"),
        ("seed-1/log.txt", "adapted_bpb ", "adapted_bpb 1", "together: log.txt"),
        ("seed-1/record.json", '"seed": 1', '"seed": 0', "together: seeds"),
        ("seed-0/record.json", '"bpb": ', '"bpb": 1', "seed-0: numbers"),
        ("unquantised/record.json", '"nats": ', '"nats": 1', "unquantised: numbers"),
    ],
)
def test_what_was_changed_is_found(copied, file, old, new, check):
    content = (copied / file).read_text()
    assert old in content
    (copied / file).write_text(content.replace(old, new, 1))
    assert check in failed(copied)
    assert invoke(["report", str(copied), "--check"]) == 3


def test_what_a_record_leaves_out_is_no_accident_for_who_checks_it(copied):
    path = copied / "seed-1" / "record.json"
    content = json.loads(path.read_text())
    content["environment"], content["composition"] = {}, [{}]
    path.write_text(json.dumps(content))
    assert failed(copied) == {"together: seeds"}
    content["verdict"], content["claimed_bpb"], content["bpb"] = "NONCAUSAL", content["bpb"], None
    path.write_text(json.dumps(content))
    assert {"seed-1: verdict", "together: submission.json"} <= failed(copied)


def test_figures_that_are_no_object_are_no_figures(copied):
    (copied / "submission.json").write_text("[1]")
    assert failed(copied) == {"together: submission.json"}


def test_another_model_a_missing_run_or_another_text_is_found(copied):
    (copied / "model.eva").write_bytes(b"another")
    assert failed(copied) == {"seed-0: artifact", "seed-1: artifact"}
    (copied / "seed-1" / "record.json").unlink()
    assert "together: submission.json" in failed(copied)
    shutil.rmtree(copied / "seed-1")
    assert "together: submission.json" in failed(copied)


def test_what_would_not_pass_is_not_packed(runs, result, run_folder, tmp_path):
    with pytest.raises(UsageError, match=f"verdict: {result.verdict}"):
        pack([run_folder], tmp_path / "sent")
    with pytest.raises(UsageError, match="differ in more than their seed"):
        pack([runs / "run0", runs / "before"], tmp_path / "sent")
    assert not (tmp_path / "sent").exists()
    with pytest.raises(UsageError, match="already and not empty"):
        pack([runs / "run0"], runs)
    assert invoke(["report", str(runs / "run0"), "--unquantised", str(runs / "before")]) == 2
