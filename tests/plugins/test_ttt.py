import itertools

import numpy as np
import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine.hooks.host import TrainingHost
from evaladapt.errors import UsageError
from evaladapt.model.block import Block
from evaladapt_plugins.ttt import DocumentTraining, ScoreFirstTraining
from tests.plugins.runs import (
    STRIDE,
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

CHUNK = {"chunk": 16}
RATES = {"sgd": 0.05, "adamw": 0.01, "muon": 0.03, "rms": 0.01}
EVERY_OPTIMISER = [{**CHUNK, "optimiser": name, "lr": rate} for name, rate in RATES.items()]


class Weights(Honest):
    """Keeps the weights as every batch finds them; a strategy of its own, so that it may look."""

    capabilities = Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream")

    def __init__(self, options):
        self.seen = Weights.seen = []

    @hookimpl
    def adapt(self, host):
        self.seen.append({name: one.clone() for name, one in host.parameters().items()})


def weights_during(*classes, **arguments):
    """The weights at the start of every batch."""
    engine(*classes, Weights, **arguments).run()
    return Weights.seen


@pytest.mark.parametrize("options", EVERY_OPTIMISER)
def test_a_repeated_document_gets_cheaper(options):
    stream = repeated_document()
    assert nats(ScoreFirstTraining, stream=stream, options=options) < nats(stream=stream) - 0.3


@pytest.mark.parametrize("strategy", [ScoreFirstTraining, DocumentTraining])
def test_text_of_the_models_own_is_left_almost_alone(strategy):
    stream = sampled()
    assert abs(nats(strategy, stream=stream, options=CHUNK) - nats(stream=stream)) < 0.02


def test_a_document_that_ends_before_a_chunk_of_ttt_is_trained_on_by_ttt_document():
    stream = random_stream((300,))
    chunks = [engine(one, stream=stream).run().closing.scalars[one.__name__.lower()]["chunks"]
              for one in (ScoreFirstTraining, DocumentTraining)]  # fmt: skip
    assert chunks == [0, 1]


@pytest.mark.parametrize("strategy", [ScoreFirstTraining, DocumentTraining])
def test_step_mode_and_block_mode_charge_the_same(strategy):
    stream = random_stream()
    block = logprobs(strategy, stream=stream, options=CHUNK)
    assert distance(block, logprobs(strategy, stream=stream, options=CHUNK, mode="step")) < 1e-4
    assert distance(block, logprobs(stream=stream)) > 1e-3


@pytest.mark.parametrize("strategy", [ScoreFirstTraining, DocumentTraining])
@pytest.mark.parametrize("options", EVERY_OPTIMISER)
def test_a_run_that_was_killed_continues_to_the_same_ledger(tmp_path, monkeypatch, strategy, options):
    given = {**options, "anchor": 0.1}
    stream = random_stream((25, 37))
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, strategy, after=4, stream=stream, options=given)
    assert resumed.digest == whole.digest
    assert resumed.closing.scalars == whole.closing.scalars


def test_nothing_before_the_first_whole_chunk_changes_and_the_rest_after_the_last_is_not_trained_on():
    stream = random_stream((90,))
    charged = logprobs(ScoreFirstTraining, stream=stream, options={"chunk": 32}, batch=1)
    plain = logprobs(stream=stream, batch=1)
    changed = np.abs(charged - plain) > 1e-5
    assert not changed[:32].any()
    assert changed[32:40].any()
    outcome = engine(ScoreFirstTraining, stream=stream, options={"chunk": 32}, batch=1).run()
    assert outcome.closing.scalars["scorefirsttraining"]["chunks"] == 90 // 32


def test_a_chunk_of_a_document_ends_where_it_is_trained_on():
    stream = random_stream((50, 90))
    given = {"stream": stream, "options": {"chunk": 32}, "batch": 16}
    states = weights_during(DocumentTraining, **given)
    frontiers = [batch.frontier for batch in engine(DocumentTraining, **given).engine.batches()]
    changed = [frontier for frontier, before, after in zip(frontiers[1:], states, states[1:], strict=False)
               if not torch.equal(before["embedding"], after["embedding"])]  # fmt: skip
    assert changed[:1] == [33]
    assert all((frontier - 1 - 51) % 32 < STRIDE for frontier in changed if frontier > 55)


@pytest.mark.parametrize("optimiser", ["sgd", "muon"])
def test_layers_that_stay_are_read_once_and_the_weights_are_the_same_to_the_bit(monkeypatch, optimiser):
    given = {"stream": random_stream((60,)), "options": {**CHUNK, "freeze": 1, "epochs": 3, "optimiser": optimiser}}
    read, block = [], Block.forward

    def counted(self, *arguments):
        read.append(self)
        return block(self, *arguments)

    monkeypatch.setattr(Block, "forward", counted)
    kept = weights_during(ScoreFirstTraining, **given)[-1]
    once = len(read)
    monkeypatch.setattr(TrainingHost, "below", lambda self, tokens, layers: None)
    again = weights_during(ScoreFirstTraining, **given)[-1]
    assert len(read) - once > once + 3  # of three chunks, two epochs each
    assert all(torch.equal(one, again[name]) for name, one in kept.items())


def test_sgd_takes_the_step_of_the_textbook():
    stream, model = random_stream((40,)), tiny_model().requires_grad_(True)
    options = {"optimiser": "sgd", "chunk": 16, "lr": 0.1, "momentum": 0.0, "clip": 1e9, "weight_decay": 0.5}
    states = weights_during(ScoreFirstTraining, stream=stream, options=options, batch=1)
    tokens = torch.from_numpy(stream.tokens[:17]).long()
    torch.nn.functional.cross_entropy(model(tokens[None, :-1])[0], tokens[1:]).backward()
    for name, parameter in model.named_parameters():
        expected = (1 - 0.1 * 0.5) * parameter.detach() - 0.1 * parameter.grad
        assert torch.allclose(states[1][name], expected, atol=1e-6), name


@pytest.mark.parametrize(("freeze", "still"), [(0, set()), (1, {"embedding", "0"})])
def test_frozen_layers_are_bit_for_bit_what_they_were(freeze, still):
    states = weights_during(ScoreFirstTraining, stream=random_stream((60,)), options={**CHUNK, "freeze": freeze})
    for name, first in states[0].items():
        frozen = bool(still & set(name.split(".")))
        assert torch.equal(first, states[-1][name]) == frozen, name


def test_freezing_every_layer_is_refused():
    with pytest.raises(UsageError, match="leaves nothing to train: the model has 2 layers"):
        engine(ScoreFirstTraining, stream=random_stream(), options={"freeze": 2}).run()


@pytest.mark.parametrize("optimiser", RATES)
def test_the_anchor_pulls_back_to_the_original_weights(optimiser):
    def moved(anchor):
        options = {**CHUNK, "optimiser": optimiser, "lr": RATES[optimiser], "anchor": anchor}
        states = weights_during(ScoreFirstTraining, stream=repeated_document(4), options=options)
        return sum(float((states[-1][name] - first).square().sum()) for name, first in states[0].items())

    free, held, nailed = moved(0.0), moved(0.3), moved(1.0)
    assert held < 0.5 * free
    if optimiser == "rms":  # its decay differs by weight: those of small gradients stay where they are longer
        assert nailed < held
    else:
        assert nailed < 1e-8


def test_a_document_starts_with_the_frozen_weights():
    first, second = few_words(2, 60).tokens[1:61].tolist(), few_words(2, 60).tokens[62:].tolist()
    together = logprobs(DocumentTraining, stream=stream_of(first, second), options=CHUNK)
    plain = logprobs(stream=stream_of(first, second))
    assert distance(together[61:65], plain[61:65]) < 1e-4
    states = weights_during(DocumentTraining, stream=stream_of(first, second), options=CHUNK)
    equal = [all(torch.allclose(one[name], states[0][name], atol=1e-6) for name in one) for one in states]
    assert equal[0]
    assert not all(equal)
    assert sum(equal[1:]) >= 1


def test_cosine_ends_at_a_rate_of_zero():
    stream = repeated_document()
    states = weights_during(ScoreFirstTraining, stream=stream, options={**CHUNK, "schedule": "cosine", "momentum": 0})
    steps = [max(float((late[name] - early[name]).abs().max()) for name in late)
             for early, late in itertools.pairwise(states)]  # fmt: skip
    assert steps[-1] < 0.2 * max(steps)
