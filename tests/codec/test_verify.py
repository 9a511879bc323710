import copy
import json
import math

import pytest

from evaladapt.cli.main import invoke
from evaladapt.codec.verify import own_ledger, own_numbers, what_differs
from evaladapt.errors import EXIT_CONTRACT, EXIT_INPUT, EXIT_OK, EXIT_PLUGIN
from tests.codec.files import WORDS

CHEATS = '''
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


class Diary(Cheat):
    """Writes down what it observes and reads it in the next run."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")
    path = "DIARY"

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
    (folder / "cheats.py").write_text(CHEATS.replace("DIARY", str(tmp_path / "diary")))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cheats\nVersion: 1.0\n")
    names = "".join(f"{name.lower()} = cheats:{name}\n" for name in ("Shifted", "Diary"))
    (info / "entry_points.txt").write_text(f"[evaladapt.strategies]\n{names}")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))


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
                   "--batch", "3", "--audit", "off", "--no-base", "--overwrite", "--out", str(tmp_path / "run"),
                   *arguments]  # fmt: skip
        assert invoke(command) == EXIT_OK
        return tmp_path / "run" / "record.json"

    return make


@pytest.fixture(scope="module")
def honest(tiny_artifact, tmp_path_factory):
    """A record of several documents, and its content."""
    folder = tmp_path_factory.mktemp("honest")
    path = folder / "text.jsonl"
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in WORDS.decode().splitlines()))
    command = ["run", str(tiny_artifact), "--plugins", "slot-lbfgs", "--data", str(path), "-o", "sliding.stride=4",
               "--inline", "--no-base", "--out", str(folder / "run")]  # fmt: skip
    assert invoke(command) == EXIT_OK
    record = folder / "run" / "record.json"
    return record, json.loads(record.read_text())


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
        ("numbers", "ledger", "again", "step", "size", "decode"), "pass"
    )
    assert "the score holds" in capsys.readouterr().out
    assert {one["clause"]: one["outcome"] for one in after["clauses"]}["D"] == "pass"
    assert before["adapted"] == after["adapted"]


def forged(content, path, value):
    at = content
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value


FORGED = {
    ("bpb",): ("numbers", 0.1),
    ("adapted", "bits_per_byte"): ("numbers", 0.1),
    ("adapted", "bits"): ("numbers", 1.0),
    ("adapted", "nats"): ("numbers", 1.0),
    ("adapted", "boundary_bits"): ("numbers", 0),
    ("data", "bytes"): ("numbers", 10**6),
    ("adapted", "ledger_sha256"): ("ledger", "0" * 64),
}


def test_every_number_that_was_changed_by_hand_does_not_hold(honest):
    """By the record and its ledger alone; the whole command is tried once, below."""
    record, content = honest
    assert {one.outcome for one in (own_numbers(content), own_ledger(content, record.parent))} == {"pass"}
    for path, (name, value) in FORGED.items():
        changed = copy.deepcopy(content)
        forged(changed, path, value)
        failed = [
            one.name for one in (own_numbers(changed), own_ledger(changed, record.parent)) if one.outcome == "fail"
        ]
        assert name in failed, path


def test_a_score_that_was_changed_throughout_is_found_by_its_ledger(honest):
    record, content = honest
    changed, size = copy.deepcopy(content), content["data"]["bytes"]
    changed["adapted"] |= {"nats": 10.0, "bits": 10 / math.log(2) + content["adapted"]["boundary_bits"]}
    changed["adapted"]["bits_per_byte"] = changed["bpb"] = changed["adapted"]["bits"] / size
    assert own_numbers(changed).outcome == "pass"
    assert own_ledger(changed, record.parent).outcome == "fail"


def test_a_forged_record_ends_with_exit_code_3(make_record):
    record = make_record("")
    content = json.loads(record.read_text())
    content["bpb"] = content["adapted"]["bits_per_byte"] = 0.1
    record.write_text(json.dumps(content))
    code, checks, _ = verify(record)
    assert code == EXIT_CONTRACT
    assert checks["numbers"][0] == "fail"
    assert checks["again"][0] == checks["decode"][0] == "pass"


@pytest.mark.parametrize(
    ("fact", "other", "said"),
    [("threads", 2, "threads was 2 and is 1"), ("processes", 2, "processes was 2"), ("platform", "Plan9", "Plan9")],
)
def test_what_cannot_be_repeated_here_is_told_apart(honest, fact, other, said):
    """Another ledger where something is different is no broken promise; where nothing is, it is one."""
    _, content = honest
    then = copy.deepcopy(content)
    then["environment"][fact] = other
    assert said in what_differs(then, content)
    assert what_differs(content, content) == ""


def test_other_code_of_a_strategy_is_named(honest):
    _, content = honest
    then = copy.deepcopy(content)
    then["composition"][-1]["code_sha256"] = "0" * 64
    assert what_differs(then, content) == "evaladapt:slot-lbfgs has another code"


@pytest.mark.usefixtures("cheats")
def test_inputs_shifted_by_one_are_found_at_their_first_target(make_record):
    code, checks, _ = verify(make_record("shifted"))
    assert code == EXIT_CONTRACT
    outcome, evidence = checks["step"]
    assert outcome == "fail"
    assert "at target 1 block mode charged" in evidence
    assert "the score rests on something after the prefix (clause C1)" in evidence


@pytest.mark.usefixtures("cheats")
def test_nothing_can_be_written_down_for_the_next_run(tiny_artifact, text, tmp_path, capsys):
    command = ["run", str(tiny_artifact), "--plugins", "diary", "--data", str(text), "--out", str(tmp_path / "run")]
    assert invoke(command) == EXIT_PLUGIN
    assert "'diary' raised PermissionError in " in capsys.readouterr().err
    assert not (tmp_path / "diary").exists()


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
