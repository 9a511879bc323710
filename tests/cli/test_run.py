import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from evaladapt.cli.main import invoke
from evaladapt.data.shards import write_shard
from tests.distributions import lay_out
from tests.processes import hear_ctrl_c

STRANGER = """
import torch
from evaladapt.contract import Capabilities, Stage, hookimpl

class Stranger:
    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS)
    def __init__(self, options): pass
    @hookimpl
    def transform_logits(self, logits): BODY
"""


@pytest.fixture
def run(tiny_artifact, text_file, tmp_path, capsys):
    """Call ``evaladapt run`` in this process: exit code, stdout, stderr."""

    def call(*arguments, artifact=tiny_artifact, data=text_file):
        given = [] if data is None else ["--data", str(data)]
        command = ["run", str(artifact), *given, "--out", str(tmp_path / "out"), *arguments]
        code = invoke(command)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_run_prints_scores_clauses_and_where_the_record_is(run, tmp_path):
    code, out, err = run("--plugins", "ttt,slot-lbfgs", "-o", "ttt.chunk=64")
    assert code == 0, err
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert f"{record['bpb']:.4f} bpb" in out
    assert f"{record['base']['bits_per_byte']:.4f} bpb" in out
    assert "verdict    CAUSAL" in out
    assert str(tmp_path / "out" / "record.json") in out
    assert [clause["clause"] for clause in record["clauses"]] == ["C1", "C2", "C3", "C4", "D", "W"]
    assert record["adapted"]["scalars"]["ttt"]["chunks"] > 0
    assert "adapted:" in err


def test_json_prints_the_record_and_nothing_else(run, text_file):
    code, out, _ = run("--plugins", "slot-lbfgs", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["data"]["bytes"] == len(text_file.read_bytes())
    assert record["verdict"] == "CAUSAL"
    assert record["difference"]["bpb"] == pytest.approx(record["bpb"] - record["base"]["bits_per_byte"])
    assert record["bpb"] == pytest.approx(record["adapted"]["nats"] / np.log(2) / record["data"]["bytes"])


def test_the_same_run_twice_has_one_ledger_hash_and_options_change_it(run):
    hashes = [
        json.loads(run("--json", "--overwrite", *more)[1])["adapted"]["ledger_sha256"]
        for more in ([], [], ["--seed", "1"])
    ]
    assert len(set(hashes)) == 1
    other = json.loads(run("--json", "--overwrite", "-o", "sliding.stride=2")[1])["adapted"]["ledger_sha256"]
    assert other != hashes[0]


def test_options_come_from_a_file_and_the_command_line_wins(run, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('plugins = ["slot-lbfgs"]\n[sliding]\nstride = 8\n[slot-lbfgs]\nstrength = 9\n')
    record = json.loads(run("--config", str(config), "-o", "sliding.stride=4", "--json")[1])
    options = {one["alias"]: one["options"] for one in record["composition"]}
    assert options["sliding"]["stride"] == 4
    assert options["slot-lbfgs"]["strength"] == 9.0


def test_a_limit_is_said_in_the_record(run):
    record = json.loads(run("--limit-tokens", "50", "--json")[1])
    assert record["data"]["targets"] == 50
    assert record["data"]["limited"]


def bad_inputs(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 30)
    (tmp_path / "latin.txt").write_bytes("schön".encode("latin-1"))
    write_shard(tmp_path / "foreign.bin", np.array([1, 8000, 8100], dtype=np.uint16))
    (tmp_path / "torn.bin").write_bytes(b"\0" * 100)
    (tmp_path / "bad.eva").write_bytes(b"no artifact" * 9)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({"data": "missing.txt"}, 5, "missing.txt"),
        ({"data": "empty.txt"}, 5, "empty"),
        ({"data": "binary.txt"}, 5, "binary"),
        ({"data": "latin.txt"}, 5, "UTF-8"),
        ({"data": "foreign.bin"}, 5, "tokenizer"),
        ({"data": "torn.bin"}, 5, "torn.bin"),
        ({"artifact": "bad.eva"}, 5, "bad.eva"),
        ({"artifact": "defalt"}, 5, "no such file"),
        ({"more": ["-o", "sliding.stride=99"]}, 2, "-o sliding.stride=16"),
        ({"more": ["-o", "sliding.strid=9"]}, 2, "Did you mean 'stride'?"),
        ({"more": ["-o", "stride=9"]}, 2, "alias.key=value"),
        ({"more": ["--plugins", "slot-lbfgs,ttt"]}, 2, "--plugins sliding,ttt,slot-lbfgs"),
        ({"more": ["--plugins", "slot-lbfg"]}, 4, "Did you mean 'slot-lbfgs'?"),
        ({"more": ["--plugins", "ttt,,slot-lbfgs"]}, 2, "empty name"),
        ({"more": ["--config", "missing.toml"]}, 2, "missing.toml"),
        ({"more": ["--device", "cud"]}, 2, "cud"),
        ({"more": ["--resume"]}, 0, "verdict"),
        ({"more": ["--no-such-option"]}, 2, "--no-such-option"),
    ],
)
def test_bad_input_is_one_message_and_the_right_exit_code(run, tmp_path, monkeypatch, arguments, code, said):
    bad_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    more = arguments.pop("more", [])
    got, out, err = run(*more, **arguments)
    assert got == code
    assert said in out + err
    if code:
        assert err.startswith("error: ")
        more_lines = err.splitlines()[1:]
        assert all(line.startswith(("  ", "See: ")) for line in more_lines), "one message, whatever its lines"
        assert out == ""
        assert not (tmp_path / "out" / "record.json").exists()


def test_errors_are_json_too_where_json_was_asked_for(run):
    code, out, err = run("--plugins", "slot-lbfg", "--json")
    assert json.loads(out)["error"]["exit_code"] == code == 4
    assert err == ""


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("return logits * float('nan')", 3, "'stranger' breaks C2: transform_logits returned nan"),
        ("raise ValueError('odd')", 4, "'stranger' raised ValueError in transform_logits: odd"),
        ("return logits[..., :3]", 3, "breaks C2"),
    ],
)
def test_a_strangers_failure_is_told_under_its_name(run, tmp_path, monkeypatch, body, code, said):
    lay_out(
        tmp_path, monkeypatch, "stranger", "1", f"stranger_{code}_{len(body)}", STRANGER.replace("BODY", body),
        stranger="Stranger",
    )  # fmt: skip
    got, out, err = run("--plugins", "stranger")
    assert (got, out) == (code, "")
    assert said in err
    assert (tmp_path / "out" / "record.json").exists() == (code == 3)


def test_a_cheat_that_the_engine_lets_pass_is_convicted_by_a_twin(run, tmp_path, monkeypatch):
    source = STRANGER.replace("BODY", "return torch.roll(logits, -1, dims=1)")
    lay_out(tmp_path, monkeypatch, "stranger", "1", "stranger_who_reads_ahead", source, stranger="Stranger")
    code, out, err = run("--plugins", "stranger")
    assert (code, out) == (3, "")
    assert "breaks the contract, so there is no score" in err
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert (record["verdict"], record["bpb"], record["claimed_bpb"]) == ("VIOLATED", None, None)
    assert any(clause["outcome"] == "fail" for clause in record["clauses"])
    assert run("--plugins", "stranger", "--audit", "off", "--overwrite")[0] == 0


def process(tiny_artifact, text_file, folder, *more, **arguments):
    command = [sys.executable, "-m", "evaladapt", "run", str(tiny_artifact), "--data", str(text_file)]
    # A process that is not let write whole files must not write half a .pyc for those after it to trip over.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [*command, "--out", str(folder), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **arguments,
    )  # fmt: skip


def test_a_full_disk_is_one_message_and_leaves_no_record(tiny_artifact, text_file, tmp_path):
    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    running = process(tiny_artifact, text_file, tmp_path / "out", "--inline", preexec_fn=small_files_only)
    out, err = running.communicate()
    assert running.returncode == 1
    assert out == ""
    assert "cannot be written" in err.splitlines()[-1]
    assert [path.name for path in (tmp_path / "out").iterdir() if "record" in path.name] == []


def test_ctrl_c_ends_with_130(tiny_artifact, text_file, tmp_path):
    long = tmp_path / "long.txt"
    long.write_text(text_file.read_text(encoding="utf-8") * 30, encoding="utf-8")
    running = process(tiny_artifact, long, tmp_path / "out", "--mode", "step", preexec_fn=hear_ctrl_c)
    ledger = tmp_path / "out" / "adapted.ledger"
    while running.poll() is None and not ledger.exists():
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate()
    assert running.returncode == 130, err
    assert err.splitlines()[-1] == "error: interrupted"
