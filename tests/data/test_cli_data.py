from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evaladapt.cli.data import data
from evaladapt.errors import DataError


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "web.jsonl"
    lines = [json.dumps({"text": f"A sentence about the number {number}, and then some."}) for number in range(60)]
    path.write_text("\n".join(lines))
    return path


def test_prepare_tells_what_it_wrote(source: Path, tmp_path: Path) -> None:
    result = invoke("prepare", source, "--out", tmp_path / "out", "--train-tokenizer", 310, "--val-fraction", 0.1)
    assert result.exit_code == 0
    assert "310 pieces, lossless" in result.stdout
    assert "documents" in result.stdout
    assert (tmp_path / "out" / "train_000000.bin").exists()


def test_json_is_one_object(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = invoke("prepare", source, "--out", out, "--train-tokenizer", 310, "--val-fraction", 0.1, "--json")
    assert json.loads(result.stdout) == json.loads((out / "manifest.json").read_text())
    assert result.stdout.count("\n") == 1


def test_overlap_passes_or_refuses(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    invoke("prepare", source, "--out", out, "--train-tokenizer", 310, "--val-fraction", 0.1)
    (tmp_path / "new.txt").write_text("Nobody has seen this.")
    assert json.loads(invoke("overlap", out, tmp_path / "new.txt", "--json").stdout) == {
        "documents": 1,
        "overlapping": 0,
    }
    with pytest.raises(DataError, match=r"documents of .* are in the training text"):
        invoke("overlap", out, source)
