import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.errors import UsageError
from evaladapt_plugins.lora_ttt import LoraTtt
from evaladapt_plugins.ttt import DocumentTraining
from tests.plugins.runs import (
    distance,
    engine,
    few_words,
    interrupted_and_resumed,
    logprobs,
    nats,
    repeated_document,
    sampled,
)
from tests.strategies import Honest
from tests.tiny import random_stream, stream_of, tiny_model

QUICK = {"chunk": 8, "rank": 4, "lr": 0.05}


class Weights(Honest):
    """Keeps the weights as every batch finds them."""

    capabilities = Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream")

    def __init__(self, options):
        self.seen = Weights.seen = []

    @hookimpl
    def adapt(self, host):
        self.seen.append({name: one.clone() for name, one in host.parameters().items()})


def weights_during(*classes, **arguments):
    engine(*classes, Weights, **arguments).run()
    return Weights.seen


def documents(*, first: int = 40):
    """Two documents of few words each; of the first only so many tokens."""
    tokens = few_words(2, 60).tokens.tolist()
    return stream_of(tokens[1 : 1 + first], tokens[62:])


def test_a_repeated_document_gets_cheaper():
    stream = repeated_document()
    assert nats(LoraTtt, stream=stream, options=QUICK) < nats(stream=stream) - 0.3


def test_text_of_the_models_own_is_left_almost_alone():
    stream = sampled()
    assert abs(nats(LoraTtt, stream=stream) - nats(stream=stream)) < 0.02


@pytest.mark.parametrize("options", [QUICK, {**QUICK, "warm_a": True, "steps": 2, "weight_decay": 0.5}])
def test_step_mode_and_block_mode_charge_the_same(options):
    stream = random_stream()
    block = logprobs(LoraTtt, stream=stream, options=options)
    assert distance(block, logprobs(stream=stream)) > 1e-3
    assert distance(block, logprobs(LoraTtt, stream=stream, options=options, mode="step")) < 1e-4


@pytest.mark.parametrize("after", [2, 5, 9])
def test_a_run_that_was_killed_continues_to_the_same_ledger(tmp_path, monkeypatch, after):
    options = {**QUICK, "warm_a": True}
    whole, resumed = interrupted_and_resumed(
        tmp_path, monkeypatch, LoraTtt, after=after, stream=random_stream(), options=options
    )
    assert resumed.digest == whole.digest
    assert resumed.closing.scalars == whole.closing.scalars


def test_a_document_starts_with_the_frozen_weights():
    stream = documents()
    states = weights_during(LoraTtt, stream=stream, options=QUICK, batch=1)
    fresh = [all(torch.allclose(one[name], states[0][name], atol=1e-6) for name in one) for one in states]
    assert fresh[0]
    assert fresh.count(True) >= 2
    assert fresh.count(False) > len(fresh) // 2


@pytest.mark.parametrize("warm", [False, True])
def test_a_document_is_scored_the_same_wherever_it_stands_unless_a_is_warm(warm):
    options = {**QUICK, "warm_a": warm}
    early, late = (
        logprobs(LoraTtt, stream=documents(first=first), options=options, documents="independent")[-60:]
        for first in (20, 44)
    )
    assert (distance(early, late) < 1e-4) != warm


def test_only_the_named_matrices_move_and_by_their_rank():
    options = {**QUICK, "rank": 2, "weights": "blocks.1.*.value, *.down"}
    states = weights_during(LoraTtt, stream=random_stream((60,)), options=options)
    for name, before in states[0].items():
        change = states[-1][name] - before
        if name in ("blocks.1.attention.value", "blocks.0.mlp.down", "blocks.1.mlp.down"):
            values = torch.linalg.svdvals(change)
            assert values[1] > 1e-3
            assert values[2:].max() < 1e-5, name
        else:
            assert torch.equal(states[-1][name], before), name


def test_patterns_that_name_nothing_are_refused_with_what_is_there():
    with pytest.raises(UsageError, match=r"names none of the model's matrices: .*attention\.query"):
        engine(LoraTtt, stream=random_stream(), options={"weights": "*.wq"}).run()


def test_the_first_step_is_adamws_on_b_alone():
    """B is zero, so A gets no gradient; Adam's first step is the sign of B's gradient, times the rate."""
    stream, model, name = random_stream((30,)), tiny_model().requires_grad_(True), "blocks.0.mlp.down"
    options = {"chunk": 16, "rank": 1, "alpha": 3.0, "lr": 0.01, "weights": name}
    states = weights_during(LoraTtt, stream=stream, options=options, batch=1)
    tokens = torch.from_numpy(stream.tokens[:17]).long()
    torch.nn.functional.cross_entropy(model(tokens[None, :-1])[0], tokens[1:]).backward()
    gradient = dict(model.named_parameters())[name].grad
    change = states[1][name] - states[0][name]
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    assert values[1] < 1e-5
    a = right[0]
    expected = -torch.sign(gradient @ a) * values[0] / len(left) ** 0.5
    assert torch.allclose(left[:, 0] * values[0], expected, rtol=1e-3)


def test_it_takes_back_only_its_own_part_of_the_weights():
    training = {"documenttraining": {"chunk": 8, "lr": 0.05}}
    both = (LoraTtt, DocumentTraining)
    states = weights_during(*both, stream=documents(), options=QUICK, more_options=training, batch=1)
    fresh = [all(torch.allclose(one[name], states[0][name], atol=1e-5) for name in one) for one in states]
    assert fresh.count(True) >= 2
    alone = weights_during(LoraTtt, stream=documents(), options=QUICK, batch=1)
    assert not torch.allclose(states[-1]["embedding"], alone[-1]["embedding"], atol=1e-3)
