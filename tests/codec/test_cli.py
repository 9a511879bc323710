import json
import os
import signal
import subprocess
import sys
import time

import pytest

from evaladapt.cli.main import invoke
from evaladapt.errors import EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK, EXIT_PLUGIN, EXIT_USAGE
from tests.codec.files import WORDS
from tests.processes import hear_ctrl_c


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "text.bin"
    path.write_bytes(b"\xff" + WORDS[:60])
    return path


def encode(artifact, source, out, *arguments):
    return invoke(["encode", str(artifact), "--in", str(source), "--out", str(out), *arguments])


def decode(artifact, path, out, *arguments):
    return invoke(["decode", str(artifact), str(path), "--out", str(out), *arguments])


def test_there_and_back(tiny_artifact, source, tmp_path, capsys):
    path, out = tmp_path / "x.evz", tmp_path / "x.out"
    assert encode(tiny_artifact, source, path, "--plugins", "slot-lbfgs", "-o", "slot-lbfgs.strength=2") == EXIT_OK
    said = capsys.readouterr()
    assert f"{path.stat().st_size:,} bytes" in said.out
    assert "targets/s" in said.err
    assert decode(tiny_artifact, path, out) == EXIT_OK
    assert "as they were encoded" in capsys.readouterr().out
    assert out.read_bytes() == source.read_bytes()


def test_the_outcome_as_json(tiny_artifact, source, tmp_path, capsys):
    path = tmp_path / "x.evz"
    assert encode(tiny_artifact, source, path, "--limit-bytes", "20", "--threads", "1", "--json") == EXIT_OK
    encoded = json.loads(capsys.readouterr().out)
    assert encoded["text_bytes"] == 20
    parts = encoded["payload_bytes"] + encoded["header_bytes"] + encoded["document_bytes"]
    assert encoded["file_bytes"] == parts == path.stat().st_size
    assert decode(tiny_artifact, path, tmp_path / "x.out", "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)["ledger_sha256"] == encoded["ledger_sha256"]
    assert (tmp_path / "x.out").read_bytes() == source.read_bytes()[:20]


def test_exit_codes(tiny_artifact, source, tmp_path, capsys):
    path, out = tmp_path / "x.evz", tmp_path / "x.out"
    assert encode(tiny_artifact, tmp_path / "none", path) == EXIT_INPUT
    assert encode(tiny_artifact, source, path, "--plugins", "nothing-of-that-name") == EXIT_PLUGIN
    assert encode(tiny_artifact, source, path, "-o", "sliding.stride") == EXIT_USAGE
    assert not path.exists()
    assert encode(tiny_artifact, source, path) == EXIT_OK
    assert decode(tiny_artifact, source, out) == EXIT_INPUT
    assert invoke(["decode", "--out", str(out)]) == EXIT_USAGE
    assert "name the artifact and the .evz file" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-1])
    assert decode(tiny_artifact, path, out) == EXIT_INPUT
    assert not out.exists()


def test_a_person_who_interrupts_is_told_how_to_go_on(tiny_artifact, tmp_path):
    source, path = tmp_path / "long.txt", tmp_path / "x.evz"
    source.write_bytes(WORDS * 500)
    command = [sys.executable, "-m", "evaladapt", "encode", str(tiny_artifact), "--in", str(source), "--out", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ, text=True, preexec_fn=hear_ctrl_c)
    ledger = tmp_path / "x.evz.checkpoint.ledger"
    while not ledger.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == EXIT_INTERRUPTED
    assert f"the same command with --resume goes on with {path}" in said
    assert not path.exists()
