"""Runs that the engine ends because a clause is broken, in a process of their own: a record, and no score."""

import json
import os
import re
import subprocess
import sys

import pytest

from evaladapt.cli.main import invoke
from tests.distributions import lay_out

HEAD = """
import torch
from evaladapt.contract import Capabilities, Stage, Window, hookimpl

class Stranger:
    contract_version = 1
    def __init__(self, options): pass
"""
NOT_ONE = """
    capabilities = Capabilities(stage=Stage.PROBS)
    @hookimpl
    def mix(self, logprobs, query):
        return torch.where((query.positions >= 40).unsqueeze(-1), logprobs + 0.5, logprobs)
"""
NOT_FINITE = """
    capabilities = Capabilities(stage=Stage.LOGITS)
    @hookimpl
    def transform_logits(self, logits, query):
        return torch.where((query.positions == 43).unsqueeze(-1), float("inf"), logits)
"""
TWICE = """
    capabilities = Capabilities(stage=Stage.PLAN)
    @hookimpl
    def plan(self, stream):
        yield Window(0, 1, 9)
        yield Window(4, 8, stream.targets + 1)
"""
BURGLAR = """
    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")
    @hookimpl
    def observe(self, host):
        next(iter(dict(host._model.named_parameters()).values())).data.mul_(1.01)
"""
ENDED = [(NOT_ONE, "C2", [40]), (NOT_FINITE, "C2", [43]), (TWICE, "C4", [8]), (BURGLAR, "W", [])]


@pytest.fixture
def process(tiny_artifact, text_file, tmp_path, monkeypatch):
    """Run ``evaladapt run`` with a stranger of the given body: exit code, stdout, stderr, and the record's path."""

    def call(body, *more):
        lay_out(tmp_path, monkeypatch, "stranger", "1", "stranger", HEAD + body, stranger="Stranger")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
        given = ["--plugins", "stranger", "--data", str(text_file), "--out", str(tmp_path / "out"), *more]
        done = subprocess.run(
            [sys.executable, "-m", "evaladapt", "run", str(tiny_artifact), *given],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr, tmp_path / "out" / "record.json"

    return call


@pytest.mark.parametrize(("body", "clause", "positions"), ENDED, ids=["not one", "not finite", "twice", "burglar"])
def test_the_record_says_what_broke_and_holds_no_score(process, capsys, body, clause, positions):
    code, out, err, path = process(body)
    assert (code, out) == (3, "")
    assert "breaks the contract, so there is no score" in err.splitlines()[-1]
    assert f"evaladapt report {path}" in err
    record = json.loads(path.read_text())
    assert record["verdict"] == "VIOLATED"
    assert {record[name] for name in ("bpb", "claimed_bpb", "adapted", "difference")} == {None}
    outcomes = {one["clause"]: one["outcome"] for one in record["clauses"]}
    assert {name for name, outcome in outcomes.items() if outcome == "fail"} == {clause}
    assert len(outcomes) == 6
    (evidence,) = [one["evidence"] for one in record["clauses"] if one["outcome"] == "fail"]
    assert all(str(one) in evidence for one in positions)
    assert not re.search(r"\d bpb", out + err)
    assert invoke(["report", str(path)]) == 0
    report = capsys.readouterr().out
    for part in ("Verdict: **VIOLATED**", f"### {clause}: fail",
                 evidence, record["artifact"]["weights_sha256"]):  # fmt: skip
        assert part in report, part
    assert "(bpb)" not in report


def test_json_is_the_record_and_a_report_of_it_holds_no_score(process, capsys):
    code, out, err, path = process(NOT_ONE, "--json", "--audit", "off", "--no-base")
    assert code == 3
    assert json.loads(out) == json.loads(path.read_text())
    assert "error" not in err
    assert invoke(["report", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["scores_bits_per_byte"], report["nats"]) == ("VIOLATED", {}, [])


def test_there_is_nothing_to_verify(process, capsys):
    path = process(NOT_ONE, "--no-base", "--limit-tokens", "60")[3]
    assert invoke(["verify", str(path)]) == 2
    assert "there is no score to verify" in capsys.readouterr().err
