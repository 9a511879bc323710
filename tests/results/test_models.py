"""A module in memory is scored as the same weights in a file are, and stays as it was."""

import pytest
import torch
from torch import nn

import evaladapt as ea
from evaladapt.errors import DataError, ModelError
from evaladapt.model.families import open_model

TEXT = ["The cat sat on the mat, and the cat sat on the mat again. " * 6]


class Plain(nn.Module):
    """What a person's module looks like: tokens to logits, in training mode, with gradients on it."""

    def __init__(self, inner):
        super().__init__()
        self.trunk = inner
        self.context = inner.context

    def forward(self, tokens):
        return self.trunk(tokens)


class WithField(Plain):
    """As transformers return them."""

    def forward(self, tokens):
        return type("Output", (), {"logits": self.trunk(tokens)})()


@pytest.fixture
def opened():
    return open_model("eva:micro", torch.device("cpu"))


def used(module):
    """A module in the middle of its training."""
    module.train().requires_grad_(True)
    module.trunk.requires_grad_(True)
    next(module.parameters()).requires_grad_(False)
    module(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    return module


def state(module):
    return (
        {name: one.detach().clone() for name, one in module.state_dict().items()},
        [one.requires_grad for one in module.parameters()],
        [None if one.grad is None else one.grad.clone() for one in module.parameters()],
        [one.training for one in module.modules()],
    )


def same(before, after):
    weights = all(torch.equal(one, after[0][name]) for name, one in before[0].items())
    gradients = all(
        one is other is None or torch.equal(one, other) for one, other in zip(before[2], after[2], strict=True)
    )
    return weights and gradients and before[1] == after[1] and before[3] == after[3]


@pytest.mark.parametrize("plugins", ["", "ttt[chunk=32]"])
def test_it_scores_as_the_file_does_and_stays_as_it_was(opened, plugins):
    module = used(Plain(opened.backend))
    before = state(module)
    model = ea.wrap(module, opened.tokenizer)
    assert same(before, state(module))
    result = ea.run(model, TEXT, plugins=plugins)
    assert same(before, state(module))
    file = ea.run("micro", TEXT, plugins=plugins, inline=True)
    assert (result.verdict, result.record.artifact.family) == ("UNCHECKED", "memory")
    assert result.bpb == pytest.approx(file.bpb, rel=1e-6)


def test_a_module_that_fails_in_the_middle_stays_as_it_was(opened):
    module = used(Plain(opened.backend))
    before = state(module)
    model = ea.wrap(module, opened.tokenizer)
    with pytest.raises(ea.EvaladaptError, match="no option"):
        ea.run(model, TEXT, plugins="ttt[no-such=1]")
    calls = 0

    def fails(_module, _inputs):
        nonlocal calls
        calls += 1
        if calls > 3:
            raise RuntimeError("in the middle")

    with module.trunk.register_forward_pre_hook(fails), pytest.raises(RuntimeError, match="in the middle"):
        ea.run(model, TEXT, plugins="ttt[chunk=32]")
    assert same(before, state(module))


def test_its_identity_is_that_of_its_weights_now(opened):
    module = Plain(opened.backend)
    model = ea.wrap(module, opened.tokenizer)
    first = ea.run(model, TEXT).record
    with torch.no_grad():
        next(module.parameters()).mul_(1.5)
    second = ea.run(model, TEXT).record
    assert first.artifact.sha256 != second.artifact.sha256
    assert first.artifact.bytes == sum(one.numel() * 4 for one in module.parameters())


def test_logits_may_come_in_a_field(opened):
    assert ea.run(ea.wrap(WithField(opened.backend), opened.tokenizer), TEXT).bpb == pytest.approx(
        ea.run(ea.wrap(Plain(opened.backend), opened.tokenizer), TEXT).bpb
    )


def test_a_tokenizer_of_another_kind_is_told_what_it_lacks(opened):
    with pytest.raises(DataError, match=r"lacks bos_id.*fast tokenizer of transformers"):
        ea.wrap(Plain(opened.backend), type("Odd", (), {"vocab_size": 3})())


def test_a_tokenizer_of_another_size_is_refused(opened):
    module = nn.Sequential(nn.Embedding(300, 8), nn.Linear(8, 300))
    with pytest.raises(ModelError, match="do not belong together"):
        ea.wrap(module, opened.tokenizer, context=16)


def test_a_module_without_a_context_says_how_to_give_one(opened):
    with pytest.raises(ModelError, match="context=1024"):
        ea.wrap(nn.Linear(3, 3), opened.tokenizer)


def test_a_model_by_name_is_found_at_once():
    assert ea.open_model("micro").tokenizer.vocab_size == ea.open_model("micro").tokenizer.vocab_size
    assert ea.run(ea.open_model("micro"), TEXT, inline=True).record.artifact.family == "eva"
    with pytest.raises(ModelError, match="no such file"):
        ea.open_model("defalt")
