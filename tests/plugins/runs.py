"""Running strategies on the tiny model, and texts made for them, for the tests of the built-in strategies."""

from contextlib import closing
from functools import cache

import numpy as np
import pytest
import torch

from evaladapt.contract import Capabilities, Past, Stage, Vocabulary, hookimpl
from evaladapt.engine.loop import Settings
from evaladapt.judge import charging
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.snapshot import Journal
from evaladapt.testing.compositions import composition_of
from tests.strategies import Honest
from tests.tiny import BOS, CONTEXT, VOCABULARY, stream_of, tiny_model

STRIDE = 4
LETTERS = Vocabulary((b"", b"", *(bytes([ord("a") + token]) for token in range(VOCABULARY - 2))), frozenset({0, 1}))
"""Every token of the tiny model but filler and BOS is a letter."""


def engine(
    *classes,
    stream,
    options=None,
    more_options=None,
    documents="continuous",
    allow_noncausal=False,
    journal=None,
    progress=None,
    model=None,
    **settings,
):
    """A run; ``options`` are those of the first class, ``documents`` says whether windows reach across them.

    ``more_options`` are those of others, by alias.
    """
    given = {"sliding": {"stride": STRIDE, "documents": documents}}
    given |= {classes[0].__name__.lower(): options} if options else {}
    given |= more_options or {}
    composition = composition_of(*classes, options=given, allow_noncausal=allow_noncausal)
    settings = Settings(**{"batch": 4, **settings})
    return InlineRun(
        model or tiny_model(), stream, composition, settings, journal=journal, progress=progress, vocabulary=LETTERS
    )


def nats(*classes, **arguments) -> float:
    """Nats per target."""
    outcome: Outcome = engine(*classes, **arguments).run()
    return outcome.nats / outcome.targets


def logprobs(*classes, **arguments):
    """What was charged for every target: [N]."""
    charged = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            charged.append(scored.logprobs.numpy())

    engine(*classes, Listen, **arguments).run()
    return np.concatenate(charged)


def distance(first, second) -> float:
    """Largest difference of two arrays."""
    return float(abs(first - second).max())


def repeated_document(times: int = 7, length: int = 30):
    """One document that says the same thing over and over."""
    phrase = np.random.default_rng(3).integers(2, VOCABULARY, length).tolist()
    return stream_of(phrase * times)


def few_words(documents: int = 1, length: int = 160):
    """Documents of four words each, which the model does not expect to be the only ones."""
    generator = np.random.default_rng(5)
    return stream_of(*(generator.choice(generator.integers(2, VOCABULARY, 4), length).tolist()
                       for _ in range(documents)))  # fmt: skip


@cache
def sampled(targets: int = 400, seed: int = 0, sharpness: float = 1.0):
    """One document drawn from the very distributions that sliding windows of the tiny model give, or their powers."""
    model, generator = tiny_model(), torch.Generator().manual_seed(seed)
    tokens = [BOS]
    with torch.no_grad():
        for target in range(1, targets + 1):
            start = 0 if target <= CONTEXT else (target - CONTEXT - 1) // STRIDE * STRIDE + STRIDE
            logits = model(torch.tensor([tokens[start:]]))[0, -1]
            tokens.append(int(torch.multinomial((sharpness * logits).softmax(-1), 1, generator=generator)))
    document = stream_of(tokens[1:])
    assert document.tokens.tolist() == tokens
    return document


def past_of(targets, **tensors):
    """A past with these targets [B,P] (negative where not visible) and the given hidden states or logits."""
    visible = targets >= 0
    positions = torch.where(visible, torch.arange(1, targets.shape[1] + 1), -1)
    zeros = torch.zeros_like(targets)
    return Past(zeros, targets, visible, positions, torch.zeros_like(visible), zeros, **tensors)


class KilledError(Exception):
    """Raised where a test interrupts a run."""


def interrupted_and_resumed(folder, monkeypatch, *classes, after: int, **arguments) -> tuple[Outcome, Outcome]:
    """The outcome of a run, and of the same run killed after ``after`` batches and continued from its snapshot."""
    monkeypatch.setattr(charging, "SNAPSHOT_SECONDS", 0.0)

    class Killed(Journal):
        def save(self, batches, *what):
            super().save(batches, *what)
            if batches == after:
                raise KilledError

    def journaled(kind, **how):
        journal = kind(folder, "run", {"text": "one"}, **how)
        with closing(journal.file):
            return engine(*classes, journal=journal, **arguments).run()

    whole = engine(*classes, **arguments).run()
    with pytest.raises(KilledError):
        journaled(Killed)
    assert (folder / "run.snapshot").exists()
    return whole, journaled(Journal, resume=True)
