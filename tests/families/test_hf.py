"""Hugging Face folders: opened models say what transformers says, every strategy runs on them, the rest is refused."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

from evaladapt.errors import ModelError, UsageError
from evaladapt.model.families import find_family, open_model, open_tokenizer, tokenizer_is_ours
from evaladapt.model.roles import of_role
from evaladapt.testing import check_model

pytest.importorskip("transformers", reason="the extra hf is not installed")

CPU = torch.device("cpu")
ARCHITECTURES = ["gpt2", "gpt-neox", "qwen3", "gemma2", "llama"]


def tokens(length=40, rows=2):
    return torch.randint(320, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_opened_model_can_be_relied_on_and_says_what_transformers_says(folder_of, name):
    folder, own = folder_of(name)
    opened = open_model(str(folder), CPU)
    checked = check_model(opened.backend, opened.tokenizer)
    assert checked.lacks == checked.notes == ()
    with torch.no_grad():
        expected = own(input_ids=tokens()).logits
        found = opened.backend.head(opened.backend.hidden(tokens()))
    assert (found - expected).abs().max() < 1e-5 * max(1.0, float(expected.abs().max()))
    assert opened.backend.context == 64


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_layer_has_its_matrices_by_role(folder_of, name):
    backend = open_model(str(folder_of(name)[0]), CPU).backend
    roles, weights = backend.weight_roles(), dict(backend.named_parameters())
    for role in ("attention.query", "attention.key", "attention.value", "attention.out", "mlp.up", "mlp.down"):
        assert [roles[one].layer for one in of_role(roles, role)] == [0, 1], role
    fused = of_role(roles, "attention.query") == of_role(roles, "attention.key")
    assert fused == (name in ("gpt2", "gpt-neox"))
    assert weights[of_role(roles, "mlp.up")[0]].shape == (weights[of_role(roles, "mlp.down")[0]].shape[::-1])
    assert (of_role(roles, "head") == of_role(roles, "embedding")) == (name in ("gpt2", "gemma2"))


def test_the_soft_cap_is_part_of_the_head(folder_of):
    backend = open_model(str(folder_of("gemma2")[0]), CPU).backend
    assert backend.head(1e4 * torch.ones(1, 1, 32)).abs().max() <= 30


def test_files_identity_and_size_are_those_of_what_was_read(folder_of, tmp_path):
    folder, _ = folder_of("llama")
    opened = open_model(f"hf:{folder}", CPU)
    assert {file.path.rsplit("/", 1)[1] for file in opened.files} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert opened.bytes == sum((folder / file.path).stat().st_size for file in opened.files)
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert open_model(str(moved), CPU).identity == opened.identity
    (moved / "tokenizer_config.json").write_text('{"bos_token":  "<|end|>"}')
    assert open_model(str(moved), CPU).identity != opened.identity


def test_shards_are_read_and_named(folder_of, tmp_path):
    own = folder_of("llama")[1]
    shutil.copytree(folder_of("llama")[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    own.save_pretrained(tmp_path, max_shard_size="50KB")
    opened = open_model(str(tmp_path), CPU)
    assert sum("safetensors" in file.path for file in opened.files) > 2
    with torch.no_grad():
        assert torch.allclose(opened.backend(tokens()), own(input_ids=tokens()).logits, atol=1e-5)


def test_weights_are_in_memory_of_their_own(folder_of):
    folder, _ = folder_of("qwen3")
    opened = open_model(str(folder), CPU)
    with open("/proc/self/maps") as maps:
        assert str(folder) not in maps.read()
    assert not any(weight.requires_grad for _, weight in opened.backend.named_parameters())


def test_the_tokenizer_opens_alone_and_without_torch(folder_of):
    folder = str(folder_of("gpt2")[0])
    assert tokenizer_is_ours(folder)
    assert open_tokenizer(folder).sha256 == open_model(folder, CPU).tokenizer.sha256
    code = f"import sys; from evaladapt.model.families import open_tokenizer as o; o({folder!r}); "
    code += "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("settings", "config", "opening"),
    [
        ({"bos_token": "<|end|>"}, {"bos_token_id": 7}, 0),
        ({"bos_token": {"content": "<|end|>"}}, {}, 0),
        ({}, {"bos_token_id": 7, "eos_token_id": 8}, 7),
        ({"bos_token": None, "eos_token": "<|end|>"}, {"bos_token_id": None, "eos_token_id": 8}, 0),
        ({}, {"bos_token_id": None, "eos_token_id": [8, 9]}, 8),
    ],
)
def test_what_opens_a_document(folder_of, tmp_path, settings, config, opening):
    shutil.copytree(folder_of("llama")[0], tmp_path, dirs_exist_ok=True)
    given = json.loads((tmp_path / "config.json").read_text())
    given = {key: value for key, value in given.items() if not key.endswith("_token_id")} | config
    (tmp_path / "config.json").write_text(json.dumps(given))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert open_tokenizer(str(tmp_path)).bos_id == opening


def test_longer_windows_than_learned_positions_are_refused_with_what_to_do(folder_of):
    backend = open_model(str(folder_of("gpt2")[0]), CPU).backend
    with pytest.raises(UsageError, match=r"sliding\.context=64"):
        backend.hidden(tokens(65))
    assert open_model(str(folder_of("llama")[0]), CPU).backend.hidden(tokens(65)).shape == (2, 65, 32)


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("config.json", "holds no config.json"),
        ("model.safetensors", "there is no model.safetensors"),
        ("tokenizer.json", "holds neither tokenizer.json nor tokenizer.model"),
    ],
)
def test_a_folder_that_lacks_a_file_is_told_which(folder_of, tmp_path, remove, message):
    shutil.copytree(folder_of("llama")[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / remove).unlink()
    with pytest.raises(ModelError, match=message) as refused:
        open_model(f"hf:{tmp_path}", CPU)
    assert str(tmp_path) in str(refused.value)


def test_pickled_weights_are_refused_unread(folder_of, tmp_path):
    shutil.copytree(folder_of("llama")[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="a pickle can run anything"):
        open_model(str(tmp_path), CPU)


def test_weights_that_lack_a_tensor_are_refused(folder_of, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder_of("llama")[0], tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 'model\.layers\.1\.mlp\.up_proj\.weight'"):
        open_model(str(tmp_path), CPU)


def test_a_tokenizer_of_another_model_is_refused(folder_of, tmp_path):
    shutil.copytree(folder_of("llama")[0], tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 200}))
    with pytest.raises(ModelError, match="do not belong together"):
        open_tokenizer(str(tmp_path))


def test_what_the_head_does_not_make_is_refused(folder_of):
    from evaladapt_models.hf_backend import tried

    class Shifted(type(folder_of("llama")[1])):
        def forward(self, *args, **kwargs):
            out = super().forward(*args, **kwargs)
            out.logits = out.logits + 0.5
            return out

    own = folder_of("llama")[1]
    shifted = Shifted(own.config)
    shifted.load_state_dict(own.state_dict())
    with pytest.raises(ModelError, match="not its head's product"):
        tried(shifted.eval())


def test_a_folder_of_a_gguf_file_is_told_to_name_it(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    assert find_family(str(tmp_path / "a.gguf")).name == "hf"
    with pytest.raises(ModelError, match=r"It holds a\.gguf: name that file"):
        open_model(f"hf:{tmp_path}", CPU)
    with pytest.raises(ModelError, match=r"a\.gguf: transformers cannot read"):
        open_model(str(tmp_path / "a.gguf"), CPU)
