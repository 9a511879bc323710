"""What becomes of a cheat under the default settings of an evaluation."""

import time
from dataclasses import dataclass, replace

import numpy as np

from evaladapt.audit.echo import echo
from evaladapt.errors import EvaladaptError
from evaladapt.judge.evaluate import evaluate, score_base, tokenizer_of
from evaladapt.judge.records.record import VIOLATED
from evaladapt.judge.request import Composed, Request

NOTHING_GAINED = 0.001
"""Bits per byte."""


@dataclass(frozen=True)
class Result:
    """Of one run.

    Attributes:
        outcome: ``refused``, ``convicted``, or the verdict of a run that came to its end.
        said: why, one line.
        gain: bits per byte less than the plan alone; None where there is no score.
        looks: how many targets were asked for.
    """

    outcome: str
    said: str
    gain: float | None = None
    looks: int = 0
    seconds: float = 0.0

    @property
    def passes(self):
        """It ends with a verdict that counts, and with more than nothing gained."""
        return self.outcome in ("CAUSAL", "PROVEN") and self.gain is not None and self.gain > NOTHING_GAINED


class Court:
    """Tries cheats on one model and text."""

    def __init__(self, model, open_text, path=""):
        self.request = Request(model=model, open_text=open_text)
        self.path = path
        self._bases = {}

    def asked(self, cheat):
        """The request with the cheat."""
        options = dict(cheat.options)
        boundaries = options.pop("boundaries", "paid")
        if "Options" in vars(cheat.cls) or any("Options" in vars(one) for one in cheat.cls.__mro__):
            options.setdefault("path", self.path)
        composed = Composed(names=(cheat.alias,), options={cheat.alias: options} if options else {})
        return replace(self.request, composed=composed, boundaries=boundaries)

    def base(self, boundaries):
        """Bits per byte and outcome of the plan alone."""
        if boundaries not in self._bases:
            outcome = score_base(replace(self.request, boundaries=boundaries))
            size = self.request.open_text(tokenizer_of(self.request.model)).text_bytes
            self._bases[boundaries] = (outcome.bits / size, outcome)
        return self._bases[boundaries]

    def tried(self, cheat, seed=None):
        """One run; the looks are drawn from ``seed``, or as always."""
        request, started = self.asked(cheat), time.perf_counter()
        plain, outcome = self.base(request.boundaries)
        draw = None if seed is None else np.random.default_rng(seed)
        try:
            record = evaluate(request, base=outcome, draw=draw)
        except EvaladaptError as error:
            said = f"{type(error).__name__}: {error}"
            return Result("refused", said, seconds=time.perf_counter() - started)
        seconds = time.perf_counter() - started
        if record.verdict == VIOLATED:
            fail = next(one for one in record.clauses if one.outcome == "fail")
            kind = "convicted" if record.checked.example else "refused"
            return Result(kind, f"{fail.clause}: {fail.evidence}", seconds=seconds)
        bpb = record.bpb if record.bpb is not None else record.claimed_bpb
        why = record.checked.unchecked_because or ""
        return Result(record.verdict, why, plain - bpb, len(record.checked.looks), seconds)

    def echo(self, cheat):
        """What ECHO says of it."""
        return echo(self.asked(cheat))
