"""The built-in presets: their sizes, and that a small copy of each learns."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from evaladapt.train.groups import OptimizerSet, weight_groups
from evaladapt.train.loss import training_loss
from evaladapt.train.settings import Preset, load_preset, preset_names, preset_path

VOCABULARIES = {"micro": 2048, "tiny": 2048, "small": 2048, "golf-11l": 1024, "golf-8k": 8192}
PARAMETERS = {
    "micro": 804_364,
    "tiny": 3_559_457,
    "small": 5_003_313,
    "golf-11l": 26_928_219,
    "golf-8k": 35_940_440,
}
SHRUNKEN = {"width": 128, "mlp_width": 64, "context": 16, "vocab_size": 40}


def preset(name: str) -> Preset:
    return load_preset(preset_path(name), VOCABULARIES[name])


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in Transformer(config).parameters())


def test_every_preset_is_looked_at() -> None:
    assert sorted(VOCABULARIES) == preset_names()


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_preset_has_the_promised_size(name: str) -> None:
    assert parameters(preset(name).model) == PARAMETERS[name]


def test_the_golf_stack_has_the_published_weights() -> None:
    """26,928,220 as published; three scalars of its value embedding are two here, because one was a mere factor."""
    d, layers, heads = 512, 11, 8
    banks = layers * (2 * d * d + 2 * 256 * d + 2 * 1536 * d)
    blocks = layers * (2 * d + 2 * d + heads)
    inputs = 1024 * d + (1536 * 128 + 128 * d + 1) + d
    value_embedding = 1024 * 128 + 128 * 256 + 2
    assert banks == 25_952_256
    assert parameters(preset("golf-11l").model) == banks + blocks + inputs + value_embedding + 5 * d


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_shrunken_copy_learns(name: str) -> None:
    chosen = preset(name)
    sizes: dict[str, Any] = {**SHRUNKEN, "bigram_buckets": min(chosen.model.bigram_buckets, 50)}
    torch.manual_seed(0)
    model = Transformer(replace(chosen.model, **sizes))
    optimizers = OptimizerSet(weight_groups(model.named_parameters()), chosen.settings)
    tokens = torch.randint(0, 40, (4, 17))
    losses = []
    for _ in range(4):
        loss = training_loss(model, tokens[:, :-1], tokens[:, 1:])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), chosen.settings.clip_norm)
        optimizers.step(0.5)
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
