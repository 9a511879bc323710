import numpy as np
import pytest

from evaladapt.errors import UsageError
from evaladapt.judge.inline import InlineRun
from evaladapt.testing import check_strategy
from evaladapt.testing.compositions import composition_of
from evaladapt_plugins.bias import Bias
from evaladapt_plugins.ppm import Ppm
from tests.plugins.runs import (
    distance,
    interrupted_and_resumed,
    logprobs,
    nats,
    repeated_document,
    sampled,
)
from tests.tiny import random_stream, tiny_model

SMALL = {"bits": 12, "order": 3}


def test_it_keeps_the_contract():
    check_strategy(Ppm, options={**SMALL, "every": 1, "precision": 1.0})


def test_on_a_text_that_repeats_itself_it_helps():
    stream = repeated_document(times=40)
    assert nats(Ppm, stream=stream, options=SMALL) < nats(stream=stream) - 0.5


def test_on_text_as_the_model_writes_it_nothing_is_lost():
    stream = sampled(2400)
    assert nats(Ppm, stream=stream) < nats(stream=stream) * 1.0002


def test_without_the_bytes_of_tokens_it_is_refused():
    composition = composition_of(Ppm, options={"sliding": {"stride": 4}})
    with pytest.raises(UsageError, match="works on the bytes of tokens"):
        InlineRun(tiny_model(), random_stream(), composition).run()


@pytest.mark.parametrize("batch", [1, 4])
def test_block_and_step_agree(batch):
    given = {"stream": repeated_document(times=12), "batch": batch, "more_options": {"ppm": SMALL}}
    block, step = (logprobs(Bias, Ppm, mode=mode, **given) for mode in ("block", "step"))
    assert distance(block, step) < 1e-3
    assert distance(block, logprobs(Bias, stream=given["stream"], batch=batch)) > 0.1


def test_a_killed_run_continues_to_the_same_ledger(tmp_path, monkeypatch):
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, Ppm, after=3, stream=repeated_document(),
                                             options=SMALL)  # fmt: skip
    assert resumed.digest == whole.digest
    assert np.isfinite(whole.closing.scalars["ppm"]["exponent of bytes"])
