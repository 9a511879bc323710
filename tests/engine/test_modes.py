import numpy as np
import pytest
import torch

from evaladapt.errors import DataError, UsageError
from tests.engine.runs import engine, logprobs
from tests.strategies import (
    EVERY_KIND,
    WINDOW_SCOPE,
    DocumentUnigram,
    StreamUnigram,
)
from tests.tiny import random_stream, stream_of, tiny_model


def test_the_plan_alone_scores_what_a_plain_loop_over_windows_scores():
    model, stream = tiny_model(), random_stream()
    tokens = torch.from_numpy(stream.tokens).long()
    expected = []
    with torch.no_grad():
        for target in range(1, stream.targets + 1):
            start = 0 if target <= 16 else (target - 17) // 4 * 4 + 4
            logits = model.head(model.hidden(tokens[None, start:target]))[0, -1]
            expected.append(float(torch.log_softmax(logits, dim=-1)[tokens[target]]))
    assert np.allclose(logprobs(model=model, stream=stream, boundaries="charged"), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [(one,) for one in (*EVERY_KIND, DocumentUnigram)] + [EVERY_KIND])
def test_step_mode_and_block_mode_charge_the_same(classes):
    block, step = logprobs(*classes), logprobs(*classes, mode="step")
    assert np.abs(block - step).max() < 1e-4


@pytest.mark.parametrize("classes", [(one,) for one in WINDOW_SCOPE] + [WINDOW_SCOPE])
def test_rows_do_not_depend_on_their_batch(classes):
    assert np.abs(logprobs(*classes, batch=1) - logprobs(*classes, batch=32)).max() < 1e-4


def test_every_strategy_of_these_tests_changes_the_score():
    plain = logprobs()
    for one in (*EVERY_KIND, DocumentUnigram):
        assert np.abs(logprobs(one) - plain).max() > 1e-3, one.__name__


def test_two_runs_have_one_ledger_hash():
    assert engine(*EVERY_KIND).run().digest == engine(*EVERY_KIND).run().digest


def test_a_stream_without_targets_is_refused():
    with pytest.raises(DataError, match="no targets"):
        engine(stream=stream_of([]))


def test_the_batch_size_is_checked():
    with pytest.raises(UsageError, match="at least one window"):
        engine(StreamUnigram, batch=0)
