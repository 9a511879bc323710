"""The script that compares the model features, on two steps of a toy text."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from evaladapt.data.tokenizer import Tokenizer
from evaladapt.model.config import ModelConfig
from evaladapt.train.settings import preset_path

SCRIPT = Path(__file__).resolve().parents[2] / "artifacts" / "ablation.py"


@pytest.fixture(scope="module")
def ablation() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("ablation", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["ablation"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["ablation"]


def test_every_variant_is_one_change_that_the_model_accepts(ablation: ModuleType) -> None:
    plain = ModelConfig(vocab_size=300)
    built = {name: replace(plain, **changes) for name, changes in ablation.variants(plain).items()}
    assert built["plain"] == plain
    assert len(set(map(repr, built.values()))) == len(built)
    never_off = {"vocab_size", "layers", "width", "heads", "kv_heads", "mlp_width", "context", "rope_base"}
    constants = {"logit_softcap", "bos_id", "mtp_weight", "bigram_width", "value_embedding_width"}
    changed = {name for changes in ablation.variants(plain).values() for name in changes}
    assert set(asdict(plain)) - never_off - constants <= changed


def test_it_trains_compares_and_goes_on_where_it_stopped(
    ablation: ModuleType, tokenizer: Tokenizer, shard_folders: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.model_bytes)
    small = tmp_path / "toy.toml"
    small.write_text("[model]\nlayers=4\nwidth=32\nheads=4\nkv_heads=2\nmlp_width=48\ncontext=16\n")
    monkeypatch.setattr(ablation, "preset_path", lambda name: small if name == "toy" else preset_path(name))
    results = tmp_path / "results.jsonl"
    arguments = ["--data", str(shard_folders[0]), "--data", str(shard_folders[1]), "--preset", "toy", "--steps", "2",
                 "--tokenizer", str(tmp_path / "tokenizer.model"), "--rows", "2", "--validation-tokens", "64",
                 "--results", str(results)]  # fmt: skip
    first = CliRunner().invoke(ablation.ablation, [*arguments, "--only", "SmearGate"], catch_exceptions=False)
    second = CliRunner().invoke(ablation.ablation, [*arguments, "--only", "XSA, all layers"], catch_exceptions=False)
    trials = [json.loads(line) for line in results.read_text().splitlines()]
    assert [trial["variant"] for trial in trials] == ["plain", "SmearGate", "XSA, all layers"]
    assert "| SmearGate |" in first.stdout
    assert len(second.stdout.splitlines()) == 2 + 3
    mean = {trial["variant"]: sum(trial["bpb"].values()) / 2 for trial in trials}
    assert f"{mean['SmearGate'] - mean['plain']:+.4f} |" in second.stdout


def test_a_wrong_name_lists_the_variants(ablation: ModuleType, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.model_bytes)
    arguments = ["--data", "web", "--tokenizer", str(tmp_path / "tokenizer.model"), "--results", str(tmp_path / "r")]
    refused = CliRunner().invoke(ablation.ablation, [*arguments, "--only", "Smear"])
    assert refused.exit_code == 2
    assert "SmearGate" in refused.output
