"""The commands ``pack`` and ``artifact show`` as a person runs them."""

import json
import subprocess
import sys

import pytest
import torch

from evaladapt.artifact import read_artifact
from evaladapt.cli.main import invoke
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from evaladapt.train.checkpoint import NamedTensors, read_tensors, write_tensors
from tests.artifact.golden_input import GOLDEN
from tests.tiny import tiny_model


def run(*arguments):
    return invoke([str(argument) for argument in arguments])


def test_pack_then_show(training, tmp_path, capsys):
    out = tmp_path / "m.eva"
    assert run("pack", training, "--out", out, "--json") == 0
    packed = json.loads(capsys.readouterr().out)
    assert packed["bytes"] == out.stat().st_size
    assert packed["metadata"]["steps"] == 7
    artifact = read_artifact(out)
    assert artifact.sha256 == packed["sha256"]
    assert artifact.tokenizer_model == (training / "tokenizer.model").read_bytes()
    trained = tiny_model(vocabulary=artifact.model_config["vocab_size"]).embedding
    assert (artifact.tensors["embedding"] - trained).norm() < 0.1 * trained.norm()
    assert run("artifact", "show", out, "--json") == 0
    assert json.loads(capsys.readouterr().out) == packed
    assert run("artifact", "show", out) == 0
    shown = capsys.readouterr().out
    assert packed["sha256"] in shown
    assert "vocab_size" in shown


def test_bits_by_pattern(training, tmp_path, capsys):
    out = tmp_path / "m.eva"
    assert (
        run("pack", training / "final.safetensors", "--out", out, "--bits", "5", "--bits", "*embed*=7", "--json") == 0
    )
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert {group["bits"] for group in groups if group["name"] == "embedding"} == {7}


def test_a_limit_is_kept_or_refused(training, tmp_path, capsys):
    run("pack", training, "--out", tmp_path / "m.eva", "--json")
    size = json.loads(capsys.readouterr().out)["bytes"]
    out = tmp_path / "small.eva"
    assert run("pack", training, "--out", out, "--max-bytes", size - 100, "--bits", 6, "--bits", "*embed*=8") == 5
    assert "over the limit" in capsys.readouterr().err
    assert not out.exists()
    limit = f"{size - 100:_}"
    assert run("pack", training, "--out", out, "--max-bytes", limit) == 0
    assert out.stat().st_size <= size - 100


def test_gptq_on_own_text_is_the_default_and_can_be_left_out(training, tmp_path, capsys):
    packed = {}
    for source in ("own", "none"):
        out = tmp_path / f"{source}.eva"
        assert run("pack", training, "--out", out, "--calibration", source, "--json") == 0
        packed[source] = read_artifact(out)
        assert json.loads(capsys.readouterr().out)["metadata"]["calibration"] == source
    assert not torch.equal(packed["own"].tensors["embedding"], packed["none"].tensors["embedding"])


def test_a_step_per_row(training, tmp_path, capsys):
    out = tmp_path / "m.eva"
    assert run("pack", training, "--out", out, "--row-scales", "--json") == 0
    quantizers = {group["quantizer"] for group in json.loads(capsys.readouterr().out)["groups"]}
    assert "int-rows@1" in quantizers
    assert "int-matrix@1" not in quantizers


WRONG = {
    "fit with a step per row": (["--max-bytes", "9000", "--row-scales"], 2, "chooses the steps"),
    "calibration on no shards": (["--calibration", "nowhere"], 5, "evaladapt data prepare"),
    "bits of no kind": (["--bits", "six"], 2, "neither N nor PATTERN=N"),
    "bits out of range": (["--bits", "3"], 2, "4 to 8 bits"),
    "no tokenizer": (["--tokenizer", "missing.model"], 5, "missing.model"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_say_what_is_wrong(training, tmp_path, capsys, case):
    options, code, words = WRONG[case]
    assert run("pack", training, "--out", tmp_path / "m.eva", *options) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "m.eva").exists()


def test_another_tokenizer_is_refused(training, tmp_path, capsys):
    other = tmp_path / "other.model"
    other.write_bytes(train_tokenizer(["something else entirely " * 30], 290).model_bytes)
    assert run("pack", training, "--tokenizer", other, "--out", tmp_path / "m.eva") == 5
    assert "do not belong together" in capsys.readouterr().err


FOREIGN_MODELS = {
    "no layers": ({"layers": -1}, "layers must be positive"),
    "more layers than tensors": ({"layers": 10**9}, "layers"),
    "a table without end": ({"bigram_buckets": 10**30}, "at most 2,147,483,647"),
    "more heads than tensors": ({"context": 10**7, "mtp_heads": 10**7 - 1}, "9999999 heads"),
    "another width": ({"width": 64}, "has shape"),
    "an unknown feature": ({"brains": 1}, "unknown option 'brains'"),
}


@pytest.mark.parametrize("case", FOREIGN_MODELS)
@pytest.mark.parametrize("calibration", ["own", "none"])
def test_weights_that_are_not_the_models_are_not_packed(training, tmp_path, capsys, case, calibration):
    changes, words = FOREIGN_MODELS[case]
    content = read_tensors(training / "final.safetensors")
    facts = {**content.facts, "model": {**content.facts["model"], **changes}}
    write_tensors(tmp_path / "final.safetensors", NamedTensors(content.tensors, facts))
    arguments = (tmp_path, "--tokenizer", training / "tokenizer.model", "--calibration", calibration)
    assert run("pack", *arguments, "--out", tmp_path / "m.eva") == 5
    assert words in capsys.readouterr().err
    assert not (tmp_path / "m.eva").exists()


def test_what_an_artifact_says_of_itself_is_nothing_that_a_terminal_obeys(training, tmp_path, capsys):
    content = read_tensors(training / "final.safetensors")
    facts = {**content.facts, "made \x1b[2J": "here\x1b]0;title\x07\u202e"}
    write_tensors(tmp_path / "final.safetensors", NamedTensors(content.tensors, facts))
    arguments = (tmp_path, "--tokenizer", training / "tokenizer.model", "--calibration", "none")
    assert run("pack", *arguments, "--out", tmp_path / "m.eva") == 0
    assert run("artifact", "show", tmp_path / "m.eva") == 0
    shown = capsys.readouterr().out
    assert "here\\x1b]0;title\\x07\\u202e" in shown
    assert all(line.isprintable() for line in shown.splitlines())


def test_errors_hold_nothing_that_a_terminal_obeys(tmp_path, capsys):
    assert run("artifact", "show", tmp_path / "\x1b[2Jevil\u202e.eva") == 5
    told = capsys.readouterr().err
    assert "\\x1b[2Jevil" in told
    assert told.rstrip("\n").isprintable()


def test_a_training_that_is_not_there(tmp_path, capsys):
    assert run("pack", tmp_path, "--out", tmp_path / "m.eva") == 5
    assert "evaladapt train" in capsys.readouterr().err


def test_show_of_damage_is_one_json_object(tmp_path, golden, capsys):
    path = tmp_path / "cut.eva"
    path.write_bytes(golden[:-1])
    assert run("artifact", "show", path, "--json") == 5
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "DamagedArtifact"
    assert "cut off" in error["message"]


def test_show_needs_no_torch():
    code = (
        "import sys; from evaladapt.cli.main import invoke; "
        f"assert invoke(['artifact', 'show', {str(GOLDEN)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
