import json

import pytest

from evaladapt.audit.probes import ALL, BY_NAME
from evaladapt.cli.main import invoke
from tests.distributions import lay_out

CHEAT = """
import torch
from evaladapt.contract import Capabilities, Stage, hookimpl

class Cheat:
    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS)
    def __init__(self, options): pass
    @hookimpl
    def adapt(self, past): self.seen = past.targets[past.visible]
    @hookimpl
    def transform_logits(self, logits):
        return logits + 0.1 * torch.bincount(self.seen, minlength=logits.shape[-1])
"""


def audit(capsys, *arguments):
    code = invoke(["audit", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_an_artifact_passes_every_probe(capsys, tiny_artifact, text_file):
    given = [tiny_artifact, "--data", text_file, "--plugins", "slot-lbfgs", "--limit-tokens", 60, "--on", "artifact"]
    code, out, err = audit(capsys, *given, "--json")
    assert code == 0, out
    content = json.loads(out)
    assert content["verdict"] == "PASSED"
    assert {probe.name for probe in ALL} <= {one["probe"] for one in content["findings"]}
    assert {one["probe"] for one in content["findings"] if one["outcome"] == "not covered"} == {"KRAFT", "ECHO"}
    assert "artifact: KRAFT" in err
    assert "artifact: ECHO" in err


def test_a_cheat_exits_with_3_and_the_command_shows_it_again(capsys, tmp_path, monkeypatch, tiny_artifact, text_file):
    lay_out(tmp_path, monkeypatch, "sly", "1.0", "sly_module", CHEAT, cheat="Cheat")
    given = [tiny_artifact, "--data", text_file, "--plugins", "cheat", "--limit-tokens", 60, "-o", "sliding.stride=4"]
    out_file = tmp_path / "audit.json"
    code, out, _ = audit(capsys, *given, "--on", "artifact", "--probes", "flip,repeat", "--out", out_file)
    assert code == 3
    assert "C1 is broken, by FLIP on the artifact" in out
    again = out.split("again       ")[1].splitlines()[0]
    assert again.startswith("evaladapt audit ")
    code, repeated, _ = audit(capsys, *again.split()[2:])
    assert code == 3
    assert "C1 is broken, by FLIP" in repeated
    assert json.loads(out_file.read_text())["verdict"] == "VIOLATED"


def test_the_toy_needs_no_artifact_and_takes_options_of_its_own(capsys):
    given = ["--on", "toy", "--plugins", "ttt", "-o", "ttt.chunk=4096", "--toy-option", "ttt.chunk=512"]
    code, out, _ = audit(capsys, *given, "--probes", "effect,repeat", "-o", "sliding.stride=64")
    assert code == 0
    assert "predictions differ from the plan's" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--probes", "flipp"], 2, "Did you mean 'FLIP'?"),
        (["--plugins", "tttt", "--on", "toy"], 4, "Did you mean 'ttt'?"),
        (["no-such.eva", "--on", "artifact"], 5, "no-such.eva"),
        (["--on", "moon"], 2, "moon"),
    ],
)
def test_what_is_wrong_is_told(capsys, arguments, code, said):
    found, _, err = audit(capsys, *arguments)
    assert (found, said in err) == (code, True), err


def test_every_probe_says_what_it_cannot_see():
    import sys

    for probe in BY_NAME.values():
        text = sys.modules[probe.run.__module__].__doc__
        assert "Cannot see:" in text, probe.name


def test_what_cannot_run_on_the_toy_is_said_and_the_artifact_is_audited(
    capsys, tmp_path, monkeypatch, tiny_artifact, text_file
):
    picky = CHEAT.replace("def __init__(self, options): pass", BEGIN).replace("return logits + 0.1", "return logits #")
    lay_out(tmp_path, monkeypatch, "picky", "1.0", "picky_module", picky, cheat="Cheat")
    given = [tiny_artifact, "--data", text_file, "--plugins", "cheat", "--limit-tokens", 60, "--probes", "repeat"]
    code, out, _ = audit(capsys, *given)
    assert code == 0
    assert "the composition cannot run on the toy: too small" in out
    assert "artifact  REPEAT" in out
    code, _, err = audit(capsys, *given, "--on", "toy")
    assert (code, "too small" in err) == (2, True)


BEGIN = """def __init__(self, options): pass
    @hookimpl
    def begin(self, run):
        from evaladapt.contract import UsageError
        if run.model.vocab_size < 100: raise UsageError("too small")"""
