import json
from pathlib import Path

from click.testing import CliRunner

from evaladapt.cli.train import train
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import UsageError

PRESET = """
[model]
layers = 1
width = 16
heads = 2
kv_heads = 1
mlp_width = 32
context = 16

[train]
rows = 2
"""


def arguments(tokenizer: Tokenizer, folders: tuple[Path, Path], tmp_path: Path) -> list[str]:
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.model_bytes)
    (tmp_path / "mine.toml").write_text(PRESET)
    named = {"--tokenizer": "tokenizer.model", "--out": "out", "--config": "mine.toml"}
    paths = [text for option, name in named.items() for text in (option, str(tmp_path / name))]
    return ["--data", f"{folders[0]}=2", "--data", str(folders[1]), *paths]


def test_training_prints_one_json_object(
    tokenizer: Tokenizer, shard_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    given = arguments(tokenizer, shard_folders, tmp_path)
    result = CliRunner().invoke(train, [*given, "--steps", "3", "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed["steps"] == 3
    assert set(printed["val_bpb"]) == {"web", "novels"}
    assert Path(printed["path"]).is_file()
    assert "validation after step 3" in result.stderr


def test_the_plain_result_names_the_next_command(
    tokenizer: Tokenizer, shard_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    given = arguments(tokenizer, shard_folders, tmp_path)
    result = CliRunner().invoke(train, [*given, "--minutes", "0.001"], catch_exceptions=False)
    assert "evaladapt pack" in result.stdout


def test_a_length_is_needed(tokenizer: Tokenizer, shard_folders: tuple[Path, Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(train, arguments(tokenizer, shard_folders, tmp_path))
    assert isinstance(result.exception, UsageError)
    assert "--minutes or --steps" in str(result.exception)


def test_sources_need_different_names(tokenizer: Tokenizer, shard_folders: tuple[Path, Path], tmp_path: Path) -> None:
    given = arguments(tokenizer, shard_folders, tmp_path)
    result = CliRunner().invoke(train, [*given, "--data", str(shard_folders[0]), "--steps", "1"])
    assert isinstance(result.exception, UsageError)
    assert "'web' twice" in str(result.exception)
