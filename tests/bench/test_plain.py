"""The published loops, written plainly, and the strategies charge the same: the slow twins of all fast paths."""

import pytest

from evaladapt.bench.plain import (
    Recipe,
    plain_hidden_delta,
    plain_logit_bias,
    plain_sliding,
    plain_training,
    plain_windows,
)
from evaladapt.toolbox.bias_prior import GammaPrior
from evaladapt_plugins.slot_hidden import SlotHidden
from evaladapt_plugins.slot_lbfgs import SlotLbfgs
from evaladapt_plugins.ttt import ScoreFirstTraining
from tests.plugins.runs import STRIDE, distance, logprobs, repeated_document
from tests.tiny import random_stream, tiny_model

STREAM = random_stream((98,))
"""One document: where several begin, the engine does not charge what the loops charge, their BOS."""


def plain(loop, stream=STREAM, **options):
    return loop(tiny_model(), stream.tokens, STRIDE, **options)


@pytest.mark.parametrize(("targets", "stride"), [(1, 1), (16, 16), (17, 4), (40, 5), (97, 16)])
def test_plain_windows_score_every_target_once(targets, stride):
    windows = plain_windows(targets, 16, stride)
    scored = [target for one in windows for target in range(one.start + one.skipped, one.end)]
    assert scored == list(range(targets))


def test_sliding_is_the_plain_loop():
    assert distance(logprobs(stream=STREAM), plain(plain_sliding)) < 1e-5


@pytest.mark.parametrize(("solver", "apart"), [("lbfgs", 1e-3), ("mm", 2e-2)])
def test_slot_lbfgs_is_one_optimiser_a_window(solver, apart):
    fitted = plain(plain_logit_bias, prior=GammaPrior(1.5), clamp=5.0, iterations=200)
    given = {"strength": 1.5, "clamp": 5.0, "iterations": 200, "solver": solver}
    charged = logprobs(SlotLbfgs, stream=STREAM, options=given)
    assert distance(charged, plain(plain_sliding)) > 0.05
    assert distance(charged, fitted) < apart


def test_slot_hidden_is_one_optimiser_a_window():
    fitted = plain(plain_hidden_delta, precision=1.0, iterations=100)
    charged = logprobs(SlotHidden, stream=STREAM, options={"precision": 1.0, "steps": 100})
    assert distance(charged, plain(plain_sliding)) > 0.05
    assert distance(charged, fitted) < 1e-2


@pytest.mark.parametrize("batch", [2, 16, 32])
@pytest.mark.parametrize("recipe", [Recipe(32, 3, 0.1, 2), Recipe(32, 1, 0.02, 2, muon=True, cosine=False),
                                    Recipe(32, 3, 0.1, 2, freeze=1)])  # fmt: skip
def test_ttt_charges_what_the_published_loop_does_however_rows_are_batched(recipe, batch):
    stream = repeated_document(4, 30)
    expected = plain(plain_training, stream, recipe=recipe)
    options = {
        "optimiser": "muon" if recipe.muon else "sgd",
        "chunk": recipe.chunk,
        "epochs": recipe.epochs,
        "lr": recipe.lr,
        "freeze": recipe.freeze,
        "schedule": "cosine" if recipe.cosine else "constant",
    }
    charged = logprobs(ScoreFirstTraining, stream=stream, options=options, batch=batch)
    assert distance(charged, plain(plain_sliding, stream)) > 0.1
    assert distance(charged, expected) < 1e-4
