import pytest
import torch

from evaladapt.errors import DataError
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from evaladapt.train.groups import OptimizerSet, weight_groups
from evaladapt.train.settings import TrainSettings
from tests.model.features import CONFIGS

CONFIG = ModelConfig(vocab_size=20, layers=2, width=16, heads=2, kv_heads=1, mlp_width=32, context=8)


def model_with_gradients() -> Transformer:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)
    return model


def test_every_weight_is_in_exactly_one_group() -> None:
    model = Transformer(CONFIG)
    groups = weight_groups(model.named_parameters())
    names = [*groups.matrices, *groups.embeddings, *groups.scalars]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert list(groups.embeddings) == ["embedding"]
    assert len(groups.matrices) == 2 * 6
    assert all(weight.ndim == 2 for weight in groups.matrices.values())
    assert "blocks.0.resid_mix" in groups.scalars


def test_the_features_weights_are_grouped_by_what_they_do() -> None:
    model = Transformer(CONFIGS["all"])
    groups = weight_groups(model.named_parameters())
    names = [*groups.matrices, *groups.embeddings, *groups.scalars]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert list(groups.embeddings) == ["embedding", "bigram_embedding.table", "value_embedding.table"]
    assert {name for name in groups.matrices if "blocks" not in name} == {
        "bigram_embedding.projection",
        "value_embedding.projection",
        "mtp.0.projection",
        "mtp.1.projection",
    }
    assert {"skips.gain", "smear.gate", "value_embedding.gain"} < set(groups.scalars)


def test_a_step_moves_every_weight_and_drops_the_gradients() -> None:
    model = model_with_gradients()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    OptimizerSet(weight_groups(model.named_parameters()), TrainSettings()).step(1.0)
    assert [name for name, weight in model.named_parameters() if torch.equal(weight, before[name])] == []
    assert all(weight.grad is None for weight in model.parameters())


def test_the_multiplier_scales_the_peak_rates_each_time_anew() -> None:
    model = model_with_gradients()
    optimizers = OptimizerSet(weight_groups(model.named_parameters()), TrainSettings(matrix_weight_decay=0.0))
    optimizers.step(0.5)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)
    optimizers.step(0.0)
    assert [name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])] == []


def test_state_of_a_strange_weight_is_refused() -> None:
    optimizers = OptimizerSet(weight_groups(Transformer(CONFIG).named_parameters()), TrainSettings())
    with pytest.raises(DataError, match=r"blocks\.9\.mlp\.up"):
        optimizers.load_state_tensors({"blocks.9.mlp.up/momentum": torch.zeros(1)})
