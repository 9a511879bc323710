"""Runs of strategy classes on the tiny stream, in one process."""

import numpy as np

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.testing.compositions import composition_of
from tests.strategies import Honest
from tests.tiny import random_stream, tiny_model

SLIDING = {"sliding": {"stride": 4}}


def engine(*classes, stream=None, model=None, options=None, allow_noncausal=False, boundaries="paid", **settings):
    composition = composition_of(*classes, options={**SLIDING, **(options or {})}, allow_noncausal=allow_noncausal)
    settings = Settings(**{"batch": 4, **settings})
    return InlineRun(model or tiny_model(), stream or random_stream(), composition, settings, boundaries=boundaries)


def logprobs(*classes, **arguments):
    """What was charged for every target."""
    charged = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            charged.append(scored.logprobs.numpy())

    engine(*classes, Listen, **arguments).run()
    return np.concatenate(charged)
