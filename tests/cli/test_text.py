"""What the text options of a run tell: where a text came from, what was left out, and nothing that a terminal obeys."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from evaladapt.cli.main import invoke
from evaladapt.data.prepare import prepare
from evaladapt.data.selection import Plan
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call ``evaladapt run`` in this process: exit code, stdout, stderr."""

    calls = count()

    def call(*arguments: object) -> tuple[int, str, str]:
        out = tmp_path / f"out{next(calls)}"
        options = ["--no-base", "--audit", "off", "--limit-tokens", "40", "--out", out, "--json"]
        code = invoke([str(argument) for argument in ("run", tiny_artifact, *options, *arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_field_is_named_and_kept_for_whoever_verifies(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "A.JSONL"
    path.write_text('{"body": ""}\n{"body": "Some words of the text."}\n' * 9)
    code, out, err = run("--data", path, "--text-field", "body")
    assert code == 0, err
    data = json.loads(out)["data"]
    assert (data["text_field"], data["limited"]) == ("body", True)
    assert data["bytes"] < 9 * 23
    assert "A.JSONL: 3 empty documents were left out" in err
    code, out, _ = run("--data", path)
    assert code == 5
    assert "--text-field NAME" in json.loads(out)["error"]["message"]


def test_standard_input_is_a_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Some words of the text. " * 20)))
    code, out, err = run("--data", "-")
    assert code == 0, err
    assert json.loads(out)["data"]["name"].startswith("standard input")


def test_pipes_and_devices_are_refused(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        code, out, _ = run("--data", path)
        assert code == 5
        assert "not a file" in json.loads(out)["error"]["message"]


def test_overlap_refuses_pipes_and_devices(
    tmp_path: Path, tiny_tokenizer: SentencePieceTokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps({"text": f"document number {number}"}) + "\n" for number in range(9)))
    (tmp_path / "t.model").write_bytes(tiny_tokenizer.model_bytes)
    prepare(Plan((source,), tmp_path / "out", tokenizer=tmp_path / "t.model", val_fraction=0.3))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        assert invoke(["data", "overlap", str(tmp_path / "out"), str(path)]) == 5
        assert "not a file" in capsys.readouterr().err


def test_names_that_a_terminal_would_obey_are_spelled_out(
    tmp_path: Path, tiny_artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a\x1b[31m.jsonl"
    path.write_text('{"text": "Some words of the text."}\n{"text": ""}\n')
    options = ["--no-base", "--audit", "off", "--out", str(tmp_path / "out"), "--json"]
    assert invoke(["run", str(tiny_artifact), "--data", str(path), *options]) == 0
    captured = capsys.readouterr()
    assert "a\\x1b[31m.jsonl: 1 empty documents" in captured.err
    assert json.loads(captured.out)["data"]["name"] == "a\\x1b[31m.jsonl"
    assert invoke(["data", "overlap", str(tmp_path), str(path)]) == 5
    assert (
        invoke(
            ["run", str(tiny_artifact), "--data", str(path), "--text-field", "\x1b]0;x\x07", *options, "--overwrite"]
        )
        == 5
    )
    assert invoke(["run", str(tiny_artifact), "--data", f"{path}.gone", *options, "--overwrite"]) == 5
    written = captured.out + captured.err + "".join(capsys.readouterr())
    assert "\x1b" not in written
    assert "\x07" not in written
