import pytest

from evaladapt.testing import check_strategy
from evaladapt_plugins.bias import Bias
from evaladapt_plugins.knn import Knn
from tests.plugins.runs import (
    distance,
    engine,
    interrupted_and_resumed,
    logprobs,
    nats,
    repeated_document,
    sampled,
)
from tests.tiny import random_stream


def test_it_keeps_the_contract():
    check_strategy(Knn)


def test_on_a_text_that_repeats_itself_it_helps():
    stream = repeated_document(times=12)
    assert nats(Knn, stream=stream) < nats(stream=stream) - 0.5


def test_on_text_as_the_model_writes_it_nothing_is_lost():
    stream = sampled(2400)
    assert nats(Knn, stream=stream) < nats(stream=stream) * 1.0002


def test_no_more_than_the_entries_are_remembered():
    stream = repeated_document(times=12)
    few = engine(Knn, stream=stream, options={"entries": 50}).run()
    assert few.closing.scalars["knn"]["states"] == 50
    assert few.nats / few.targets < nats(stream=stream) - 0.3


@pytest.mark.parametrize("batch", [1, 4])
def test_block_and_step_agree(batch):
    stream = repeated_document()
    block, step = (logprobs(Bias, Knn, stream=stream, batch=batch, mode=mode) for mode in ("block", "step"))
    assert distance(block, step) < 1e-3
    assert distance(block, logprobs(Bias, stream=stream, batch=batch)) > 0.1


def test_noise_is_left_alone():
    stream = random_stream((600,), seed=4)
    assert nats(Knn, stream=stream) < nats(stream=stream) * 1.0005


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, Knn, after=3, stream=repeated_document())
    assert resumed.digest == whole.digest
