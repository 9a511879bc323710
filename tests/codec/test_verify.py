import json
import sys

import pytest

from evaladapt.cli.main import invoke
from evaladapt.errors import EXIT_CONTRACT, EXIT_INPUT, EXIT_OK
from tests.codec.files import WORDS

CHEATS = '''
import gc
import os
import torch
from evaladapt.contract import Capabilities, Stage, hookimpl


class Cheat:
    contract_version = 1

    def __init__(self, options):
        pass


def leaning_to(logprobs, tokens):
    chosen = torch.nn.functional.one_hot(tokens.clamp(min=0), logprobs.shape[-1]).float()
    return torch.log(0.1 * logprobs.exp() + 0.9 * chosen)


class Shifted(Cheat):
    """Reads the next state, which has seen the target; in step mode there is none."""

    capabilities = Capabilities(stage=Stage.HIDDEN)

    @hookimpl
    def transform_hidden(self, hidden):
        return 0.5 * hidden + 0.5 * torch.roll(hidden, -1, dims=1)


class Burglar(Cheat):
    """Looks through the process for whoever holds the text."""

    capabilities = Capabilities(stage=Stage.PROBS)
    found = None

    @hookimpl
    def mix(self, logprobs, query):
        if self.found is None:
            texts = [one for one in gc.get_objects() if type(one).__name__ in ("TokenStream", "CodedText")]
            self.found = torch.from_numpy(max(texts, key=lambda one: len(one.tokens)).tokens).long()
        return leaning_to(logprobs, self.found[query.positions])


class Diary(Cheat):
    """Writes down what it observes and reads it in the next run."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")
    path = os.environ.get("DIARY", "")

    @hookimpl
    def begin(self):
        self.known = {}
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.known = dict(map(int, line.split()) for line in file)

    @hookimpl
    def mix(self, logprobs, query):
        tokens = torch.tensor([[self.known.get(int(one), 0) for one in row] for row in query.positions])
        return leaning_to(logprobs, tokens) if self.known else logprobs

    @hookimpl
    def observe(self, scored):
        with open(self.path, "a") as file:
            for position, target in zip(scored.positions.tolist(), scored.targets.tolist()):
                file.write(f"{position} {target}\\n")
'''


@pytest.fixture
def cheats(tmp_path, monkeypatch):
    """A stranger's distribution, as pip would leave it."""
    folder = tmp_path / "site"
    info = folder / "cheats-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "cheats.py").write_text(CHEATS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cheats\nVersion: 1.0\n")
    names = "".join(f"{name.lower()} = cheats:{name}\n" for name in ("Shifted", "Burglar", "Diary"))
    (info / "entry_points.txt").write_text(f"[evaladapt.strategies]\n{names}")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("DIARY", str(tmp_path / "diary"))
    yield
    sys.modules.pop("cheats", None)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.jsonl"
    lines = [json.dumps({"text": line}, ensure_ascii=False) for line in WORDS.decode().splitlines()]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def make_record(tiny_artifact, text, tmp_path):
    def make(plugins, *arguments):
        command = ["run", str(tiny_artifact), "--plugins", plugins, "--data", str(text), "-o", "sliding.stride=4",
                   "--batch", "3", "--audit", "off", "--out", str(tmp_path / "run"), *arguments]  # fmt: skip
        assert invoke(command) == EXIT_OK
        return tmp_path / "run" / "record.json"

    return make


def verify(record, *arguments):
    """Exit code, and outcome and evidence by check."""
    code = invoke(["verify", str(record), "--bytes", "100", *arguments])
    content = json.loads(record.read_text())
    checks = content.get("verification", {}).get("checks", [])
    return code, {one["name"]: (one["outcome"], one["evidence"]) for one in checks}, content


def test_an_honest_score_holds(make_record, capsys):
    record = make_record("slot-lbfgs")
    before = json.loads(record.read_text())
    code, checks, after = verify(record)
    assert code == EXIT_OK
    assert {name: outcome for name, (outcome, _) in checks.items()} == dict.fromkeys(
        ("ledger", "step", "size", "decode"), "pass"
    )
    assert "the score holds" in capsys.readouterr().out
    assert {one["clause"]: one["outcome"] for one in after["clauses"]}["D"] == "pass"
    assert before["adapted"] == after["adapted"]


def test_a_score_that_was_changed_by_hand_does_not_hold(make_record):
    record = make_record("")
    content = json.loads(record.read_text())
    content["adapted"]["ledger_sha256"] = "0" * 64
    record.write_text(json.dumps(content))
    code, checks, after = verify(record)
    assert code == EXIT_CONTRACT
    assert checks["ledger"][0] == "fail"
    assert checks["decode"][0] == "pass"
    assert {one["clause"]: one["outcome"] for one in after["clauses"]}["D"] == "fail"


@pytest.mark.usefixtures("cheats")
def test_inputs_shifted_by_one_are_found_at_their_first_byte(make_record):
    code, checks, _ = verify(make_record("shifted"))
    assert code == EXIT_CONTRACT
    outcome, evidence = checks["step"]
    assert outcome == "fail"
    assert "at byte 0 (target 1) block mode charged" in evidence
    assert "the score rests on something after the prefix (clause C1)" in evidence


@pytest.mark.usefixtures("cheats")
def test_a_text_found_in_the_process_is_not_there_for_the_decoder(make_record):
    record = make_record("burglar")
    assert json.loads(record.read_text())["verdict"] == "CAUSAL"
    code, checks, _ = verify(record)
    assert code == EXIT_CONTRACT
    outcome, evidence = checks["decode"]
    assert outcome == "fail"
    assert "right up to byte 0" in evidence
    assert "used something besides the prefix" in evidence


@pytest.mark.usefixtures("cheats")
def test_what_was_written_down_in_an_earlier_run_cannot_be_read_by_the_decoder(make_record):
    code, checks, _ = verify(make_record("diary"))
    assert code == EXIT_CONTRACT
    assert checks["ledger"][0] == "fail"
    outcome, evidence = checks["decode"]
    assert outcome == "fail"
    assert "at byte 0" in evidence
    assert "tried to read" in evidence


def test_the_text_of_another_run_is_refused(make_record, tmp_path, capsys):
    record = make_record("")
    other = tmp_path / "other.txt"
    other.write_text("Another text.")
    code, checks, _ = verify(record, "--data", str(other))
    assert code == EXIT_INPUT
    assert not checks
    assert "--data PATH" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", '{"format": "something else"}'])
def test_what_is_no_record_is_refused(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_text(content)
    assert invoke(["verify", str(path)]) == EXIT_INPUT
    assert invoke(["verify", str(tmp_path / "none.json")]) == EXIT_INPUT
