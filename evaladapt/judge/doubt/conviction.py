"""What convicts: a target of which the player said one thing, and a twin that was told its prefix only another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import ContractViolation

TOLERANCE = 1e-4
"""Nats by which player and twin may differ: rounding in other shapes and with other threads stays below 3e-5."""
LEAST_PROBABILITY = 1e-4
"""Tokens less likely than this on both sides do not count: their logarithms amplify rounding."""

LOOKED_UP = 0.9
"""A prediction surer than this is no guess."""

Logprobs = NDArray[np.float32]


@dataclass(frozen=True)
class Difference:
    """Between two distributions of one target."""

    nats: float

    @property
    def counts(self) -> bool:
        """Whether rounding cannot explain it."""
        return not self.nats <= TOLERANCE


def apart(said: Logprobs, found: Logprobs, token: int) -> Difference:
    """How far two distributions [V] are apart, at the target and wherever one of them expects something."""
    floor = np.log(LEAST_PROBABILITY)
    both = np.maximum(said, found)
    moved = np.abs(said.astype(np.float64) - found.astype(np.float64))
    moved = np.where(both >= floor, moved, 0.0)
    at_target = abs(float(said[token]) - float(found[token])) if both[token] >= floor else _in_bits(said, found, token)
    return Difference(float(max(moved.max(), at_target)))


def _in_bits(said: Logprobs, found: Logprobs, token: int) -> float:
    """An unlikely target: relative to what it costs, because that is how far rounding is amplified."""
    cost = max(1.0, -float(max(said[token], found[token])))
    return abs(float(said[token]) - float(found[token])) / cost


@dataclass(frozen=True)
class Counterexample:
    """A conviction in figures.

    Attributes:
        target: stream index.
        token: what stands there.
        told_until: the player was told every token before this one when it answered.
        said: probability that the player gave the token; ``blind`` what the twin gave it, told the prefix only.
        stage: number of the first strategy after which a twin told as the player and one told the prefix differ,
            from 0 for the model itself; None where they do not differ, because the player remembers something.
        kind: which of the known kinds it looks like.
    """

    target: int
    token: int
    told_until: int
    said: float
    blind: float
    stage: int | None
    kind: str

    @classmethod
    def of(
        cls, target: int, token: int, told_until: int, said: Logprobs, told: Logprobs | None, blind: Logprobs | None
    ) -> Counterexample:
        """From what was said, and the trails [K,V] of two twins where they answered."""
        stage = None
        if told is not None and blind is not None and told.shape == blind.shape:
            parted = [number for number, (one, other) in enumerate(zip(told, blind, strict=True))
                      if apart(one, other, token).counts]  # fmt: skip
            stage = parted[0] if parted else None
        given = float(np.exp(said[token]))
        gave = float(np.exp(blind[-1][token])) if blind is not None else float("nan")
        return cls(target, token, told_until, given, gave, stage, _kind(stage, given))

    def told(self, strategies: tuple[str, ...]) -> str:
        """In words; ``strategies`` in the composition's order, the plan first."""
        where = ""
        if self.stage is not None:
            name = "the model itself"
            if self.stage:
                name = f"strategy {strategies[min(self.stage, len(strategies) - 1)]!r}"
            where = f" They part after {name}."
        return (
            f"at target {self.target} the player gave the token that came (id {self.token}) the probability"
            f" {self.said:.4g}; a copy of it that was told only what precedes the target gave it {self.blind:.4g}."
            f"{where} It looks like this: {self.kind}"
        )


def _kind(stage: int | None, said: float) -> str:
    """Which of the known kinds of leak it looks like."""
    if stage is None:
        return "something of the batch was kept aside when it was told, by code that can tell a twin from a player"
    if stage == 0:
        return "the model itself reads ahead: attention without its mask, a pooling over positions, a hook left behind"
    if said > LOOKED_UP:
        return "the target was looked up in what the batch's rows were told"
    return "state that rows share was fitted on targets of a row that is not scored yet"


class NoncausalError(ContractViolation):
    """A twin said otherwise than the player: clause C1 is broken."""

    def __init__(self, example: Counterexample, strategies: tuple[str, ...] = ()) -> None:
        super().__init__(f"{example.told(strategies)} (clause C1)", clause="C1", positions=(example.target,))
        self.example = example
