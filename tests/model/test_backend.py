import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evaladapt.artifact import QuantisationPlan, read_artifact, write_artifact
from evaladapt.errors import ArtifactError
from evaladapt.model.backend import Backend, transformer_from_tensors
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from tests.model.features import CONFIGS, documents, stirred_model

CONFIG = ModelConfig(vocab_size=20, layers=1, width=16, heads=2, kv_heads=1, mlp_width=32, context=8)
TOKENS = torch.tensor([[1, 2, 3, 4]])


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn_like(weight) for name, weight in Transformer(CONFIG).named_parameters()}


def test_a_model_from_tensors_is_a_backend_with_those_weights() -> None:
    weights = tensors()
    model = transformer_from_tensors(CONFIG.to_dict(), weights)
    assert isinstance(model, Backend)
    assert (model.vocab_size, model.context) == (20, 8)
    assert all(torch.equal(weight, weights[name]) for name, weight in model.named_parameters())
    assert all(weight.requires_grad for _, weight in model.named_parameters())
    assert model.head(model.hidden(TOKENS)).shape == (1, 4, 20)


def test_the_model_owns_its_weights() -> None:
    weights = tensors()
    before = transformer_from_tensors(CONFIG.to_dict(), weights)
    expected = before(TOKENS)
    for tensor in weights.values():
        tensor.zero_()
    assert torch.equal(before(TOKENS), expected)


def test_half_precision_tensors_become_float32() -> None:
    halves = {name: tensor.half() for name, tensor in tensors().items()}
    model = transformer_from_tensors(CONFIG.to_dict(), halves)
    assert {weight.dtype for _, weight in model.named_parameters()} == {torch.float32}


def test_a_model_with_every_feature_survives_its_file(tmp_path: Path) -> None:
    config = CONFIGS["all"].for_scoring()
    model, tokens = stirred_model(config), torch.tensor([documents(12)])
    path = tmp_path / "all.eva"
    write_artifact(path, config.to_dict(), dict(model.named_parameters()), b"a tokenizer", {}, QuantisationPlan())
    artifact = read_artifact(path)
    opened = transformer_from_tensors(artifact.model_config, artifact.tensors)
    assert opened.config == config
    with torch.no_grad():
        assert torch.allclose(opened(tokens), model(tokens), atol=0.05)


def test_the_heads_of_a_training_are_not_part_of_a_model() -> None:
    heads = CONFIGS["multi-token heads"]
    weights = dict(stirred_model(heads).named_parameters())
    with pytest.raises(ArtifactError, match=r"'mtp\.0\.projection' is not part of this model"):
        transformer_from_tensors(heads.for_scoring().to_dict(), weights)


def test_missing_unknown_and_misshapen_tensors_are_named() -> None:
    weights = tensors()
    with pytest.raises(ArtifactError, match=r"'embedding' of shape \[20, 16\] is missing"):
        transformer_from_tensors(CONFIG.to_dict(), {n: t for n, t in weights.items() if n != "embedding"})
    with pytest.raises(ArtifactError, match=r"'embeding' is not part.*'embedding'"):
        transformer_from_tensors(CONFIG.to_dict(), {**weights, "embeding": weights["embedding"]})
    with pytest.raises(ArtifactError, match=r"has shape \[16, 20\]; the model configuration says \[20, 16\]"):
        transformer_from_tensors(CONFIG.to_dict(), {**weights, "embedding": weights["embedding"].T})


def test_absurd_sizes_are_refused_before_anything_is_built() -> None:
    with pytest.raises(ArtifactError, match="1000000000 layers"):
        transformer_from_tensors({**CONFIG.to_dict(), "layers": 10**9}, tensors())
    with pytest.raises(ArtifactError, match=r"has shape \[20, 16\]"):
        transformer_from_tensors({**CONFIG.to_dict(), "width": 2**20, "mlp_width": 2**30}, tensors())


def test_loading_imports_no_compiler() -> None:
    code = (
        "import sys, torch\n"
        "before = 'sympy' in sys.modules\n"
        "from evaladapt.model.backend import transformer_from_tensors\n"
        "from evaladapt.model.transformer import Transformer\n"
        "from evaladapt.model.config import ModelConfig\n"
        "config = ModelConfig(vocab_size=20, layers=1, width=16, heads=2, kv_heads=1, mlp_width=32, context=8)\n"
        "transformer_from_tensors(config.to_dict(), dict(Transformer(config).named_parameters()))\n"
        "sys.exit('sympy' in sys.modules and not before)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_configuration_of_another_program_is_an_artifact_error() -> None:
    with pytest.raises(ArtifactError, match="n_layer"):
        transformer_from_tensors({"vocab_size": 20, "n_layer": 2}, tensors())
