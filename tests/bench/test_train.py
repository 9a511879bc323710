import pytest
import torch

from evaladapt.bench.report import BenchSettings
from evaladapt.bench.train import AdamWAlone, run
from evaladapt.errors import UsageError
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from evaladapt.train.groups import weight_groups
from evaladapt.train.settings import TrainSettings


def test_adamw_alone_moves_every_weight():
    model = Transformer(ModelConfig(vocab_size=20, layers=1, width=16, heads=2, kv_heads=1, mlp_width=32, context=8))
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    AdamWAlone(weight_groups(model.named_parameters()), TrainSettings()).step(1.0)
    assert not any(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_a_text_that_is_too_short_to_train_on_is_refused():
    with pytest.raises(UsageError, match=r"has 501 tokens; .*--data"):
        run(BenchSettings(limit_tokens=500))
