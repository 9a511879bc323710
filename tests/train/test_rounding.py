import pytest
import torch

from evaladapt.artifact import read_artifact
from evaladapt.artifact.plan import FLOAT_BITS, QuantisationPlan
from evaladapt.artifact.writer import write_artifact
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from evaladapt.train.checkpoint import read_tensors
from evaladapt.train.reporting import ProgressReport
from evaladapt.train.rounding import Rounding, steps_of
from evaladapt.train.trainer import Trainer
from tests.train.jobs import tiny_job

CONFIG = ModelConfig(vocab_size=300, layers=2, width=64, heads=4, kv_heads=4, mlp_width=128, context=16)


def model_and_plan():
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model, QuantisationPlan(matrix_bits=5, embedding_bits=7, small_values=1)


def test_the_loss_uses_exactly_what_a_reader_of_the_packed_file_would_for_every_quantised_weight(tmp_path, tokenizer):
    model, plan = model_and_plan()
    weights = dict(model.named_parameters())
    packed = write_artifact(tmp_path / "m.eva", CONFIG.to_dict(), weights, tokenizer.model_bytes, {}, plan)
    stored = read_artifact(packed.path).tensors
    rounding = Rounding(model, plan)
    quantised = [name for name, weight in weights.items() if plan.bits_for(name, tuple(weight.shape)) != FLOAT_BITS]
    assert rounding.names == quantised
    assert "embedding" in quantised
    assert sum(name.startswith("blocks") and "resid" not in name for name in quantised) == 2 * 6
    tokens = torch.randint(300, (2, 16))
    own = {name: weight.detach().clone() for name, weight in weights.items()}
    with rounding.applied(0):
        for name in quantised:
            assert torch.equal(weights[name], torch.as_tensor(stored[name])), name
            assert not torch.equal(weights[name], own[name]), name
        rounded_loss = model(tokens).logsumexp(-1).sum()
    for name in own:
        assert torch.equal(weights[name], own[name])
    by_hand = Transformer(CONFIG)
    by_hand.load_state_dict({**own, **{name: torch.as_tensor(stored[name]) for name in quantised}})
    assert torch.equal(by_hand(tokens).logsumexp(-1).sum(), rounded_loss)


def test_the_gradient_at_the_rounded_weights_reaches_the_weights():
    model, plan = model_and_plan()
    rounding = Rounding(model, plan)
    with rounding.applied(0):
        model(torch.randint(300, (2, 16))).logsumexp(-1).sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in model.parameters())


def test_steps_are_kept_between_refreshes():
    model, plan = model_and_plan()
    rounding = Rounding(model, plan)
    with rounding.applied(3):
        pass
    before = rounding.state_tensors()
    with torch.no_grad():
        model.embedding.mul_(2.0)
    with rounding.applied(4):
        assert torch.equal(rounding.state_tensors()["embedding"], before["embedding"])
    expected = steps_of("embedding", model.embedding, plan).size
    with rounding.applied(10):
        assert not torch.equal(rounding.state_tensors()["embedding"], before["embedding"])
        assert torch.equal(rounding.state_tensors()["embedding"], expected)


def test_a_late_training_rounds_and_resumes_exactly(shard_folders, tokenizer, tmp_path):
    root = shard_folders[0].parent
    late = {"rounded_fraction": 0.5, "rounded_bits": 4, "rounded_embedding_bits": 4, "checkpoint_minutes": 1e-9}

    def trained(out, steps, **more):
        Trainer(tiny_job(root, tokenizer, tmp_path / out, steps, **{**late, **more}), ProgressReport()).run()
        return read_tensors(tmp_path / out / "checkpoint.safetensors").tensors

    plain, whole = trained("plain", 24, rounded_fraction=0.0), trained("whole", 24)
    assert not torch.equal(plain["weights/embedding"], whole["weights/embedding"])
    assert "rounding/embedding" in whole
    assert not any(name.startswith("rounding/") for name in plain)
    stop = Interrupt(17)
    with pytest.raises(KeyboardInterrupt):
        Trainer(tiny_job(root, tokenizer, tmp_path / "cut", 24, **late), stop).run()
    again = trained("cut", 24, resume=True)
    assert all(torch.equal(again[name], whole[name]) for name in whole)


class Interrupt(ProgressReport):
    """Ends the training without ceremony when a step is reported."""

    def __init__(self, step):
        super().__init__()
        self._last = step

    def step(self, metrics, progress, tokens_per_second):
        if metrics.step == self._last:
            raise KeyboardInterrupt
