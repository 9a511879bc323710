from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.engine.hooks.weights import digest
from evaladapt.errors import UsageError
from evaladapt.testing import check_strategy
from evaladapt_plugins.norm_ttt import NormTtt, _overlapping
from tests.plugins.runs import distance, engine, few_words, interrupted_and_resumed, logprobs, nats, sampled
from tests.tiny import random_stream, tiny_model

EAGER = {"chunk": 8, "lr": 0.02}


def test_it_keeps_the_contract():
    check_strategy(NormTtt, options=EAGER, on=["transformer"])


def test_on_a_text_of_few_words_it_helps_and_the_weights_come_back():
    model, stream = tiny_model(), few_words(length=400)
    before = digest(dict(model.named_parameters()))
    adapted = engine(NormTtt, stream=stream, model=model, options=EAGER).run()
    assert adapted.nats / adapted.targets < nats(stream=stream) - 0.1
    assert digest(dict(model.named_parameters())) == before


def test_the_entropy_is_lowered_without_a_look_at_targets():
    entropies = []

    class Watched(NormTtt):
        def _loss(self, tokens, targets, leaves, host):
            changed = torch.where(targets >= 0, 3, targets)
            loss = super()._loss(tokens, changed, leaves, host)
            entropies.append(float(loss.detach()))
            return loss

    stream = few_words(length=400)
    engine(Watched, stream=stream, more_options={"watched": {**EAGER, "objective": "entropy", "lr": 0.05}}).run()
    assert sum(entropies[-5:]) < 0.8 * sum(entropies[:5])


def test_on_text_as_the_model_writes_it_nothing_is_lost():
    stream = sampled(2400)
    assert nats(NormTtt, stream=stream) < nats(stream=stream) * 1.0002


def test_only_vectors_move():
    moved = {}

    class Watched(NormTtt):
        def _step(self, text, host):
            before = {name: one.clone() for name, one in host.parameters().items()}
            super()._step(text, host)
            moved.update({name: not torch.equal(one, before[name]) for name, one in host.parameters().items()})

    engine(Watched, stream=few_words(), options=None).run()
    shapes = dict(tiny_model().named_parameters())
    assert not any(changed for name, changed in moved.items() if shapes[name].ndim > 1)


def test_a_model_without_vectors_is_refused():
    class Without(NormTtt):
        def begin(self, run, host):
            super().begin(run, SimpleNamespace(parameters=lambda pattern="*": {}))

    with pytest.raises(UsageError, match="neither those nor other vectors"):
        Without(NormTtt.Options()).begin(engine(stream=few_words()).engine.info, None)


@pytest.mark.parametrize("batch", [1, 4])
def test_block_and_step_agree(batch):
    given = {"stream": random_stream(), "batch": batch, "options": EAGER}
    block, step = (logprobs(NormTtt, mode=mode, **given) for mode in ("block", "step"))
    assert distance(block, step) < 1e-4
    assert distance(block, logprobs(stream=random_stream(), batch=batch)) > 1e-3


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, NormTtt, after=3, stream=few_words(), options=EAGER)
    assert resumed.digest == whole.digest
    assert whole.closing.scalars["normttt"]["steps"] > 10


@given(length=st.integers(2, 60), before=st.integers(1, 20), context=st.integers(2, 16))
def test_every_target_is_trained_on_once_after_what_preceded_it(length, before, context):
    before = min(before, length - 1)
    text = torch.arange(100, 100 + length)
    tokens, targets = _overlapping(text, before, context)
    known = targets >= 0
    assert targets[known].tolist() == list(range(100 + before, 100 + length))
    assert torch.equal(tokens[known] + 1, targets[known])
    for row in range(len(tokens)):
        first = int(known[row].nonzero()[0, 0])
        assert tokens[row, : first + 1].tolist() == list(range(int(tokens[row, 0]), int(tokens[row, 0]) + first + 1))
        assert first >= min(context // 2, int(targets[row, first]) - 101)
