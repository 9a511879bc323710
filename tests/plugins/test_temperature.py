import pytest

from evaladapt.testing import check_strategy
from evaladapt_plugins.temperature import Temperature
from tests.plugins.runs import distance, engine, interrupted_and_resumed, logprobs, nats, sampled
from tests.tiny import random_stream, stream_of


def test_it_keeps_the_contract():
    check_strategy(Temperature, options={"precision": 1.0, "document": 1.0})


@pytest.mark.parametrize("sharpness", [0.6, 1.5])
def test_a_text_that_is_flatter_or_sharper_than_the_model_is_recognised(sharpness):
    stream = sampled(600, sharpness=sharpness)
    quick = {"precision": 10.0, "document": 10.0}
    outcome = engine(Temperature, stream=stream, options=quick).run()
    learned = outcome.closing.scalars["temperature"]["exponent"]
    assert outcome.nats / outcome.targets < nats(stream=stream) - 0.03
    assert learned == pytest.approx(sharpness, rel=0.15)


def test_on_text_as_the_model_writes_it_nothing_is_lost():
    stream = sampled(2400)
    assert nats(Temperature, stream=stream) < nats(stream=stream) * 1.0002


def test_a_document_has_an_exponent_of_its_own():
    """Two documents of opposite kinds: with a prior that lets a document move, both are found."""
    flat, sharp = sampled(300, sharpness=0.5).tokens[1:].tolist(), sampled(300, sharpness=2.0).tokens[1:].tolist()
    stream = stream_of(flat, sharp, flat, sharp)
    free, tied = (nats(Temperature, stream=stream, options={"document": one}) for one in (30.0, 1e9))
    assert free < tied - 0.01


@pytest.mark.parametrize("batch", [1, 4])
def test_block_and_step_agree(batch):
    options, stream = {"precision": 1.0}, random_stream()
    given = {"stream": stream, "batch": batch, "options": options}
    block, step = (logprobs(Temperature, mode=mode, **given) for mode in ("block", "step"))
    assert distance(block, step) < 1e-4
    assert distance(block, logprobs(stream=stream, batch=batch)) > 1e-3


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, Temperature, after=3, stream=random_stream())
    assert resumed.digest == whole.digest
