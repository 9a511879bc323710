"""ECHO: whether a composition expects the words of a text that is not there: knowledge of it that was brought along.

From a target on the text is replaced by a random permutation of its own tokens, so that nothing that is told leads to
what stood where. A sealed player is run on it, and the plan alone. Summed up is by how much more than the plan the
composition expects the *original* token at its place; and it is asked how often the original tokens in another order
would do as well. Tokens change places within blocks, because texts and strategies drift; targets whose context still is
the true one are left out. The moments of the sum over all orders are exact (Hoeffding 1951, a combinatorial central
limit theorem), and orders are drawn too, because a sum may have tails.

Cannot see: knowledge that is looked up by content and not by place, which is a model that was trained on the text; and
a strategy that stops at the first token that is not the text's. The size of the code tells of both, and a fresh text.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evaladapt.audit.finding import FAIL, NOT_COVERED, PASS, Counterexample, Finding
from evaladapt.audit.text import ChangedText
from evaladapt.engine.source import Settled
from evaladapt.judge.charging import Charging, HeldText, Logprobs, Rules
from evaladapt.judge.evaluate import open_text
from evaladapt.judge.player.performers import seat_all
from evaladapt.judge.records.record import VIOLATED, Clause, Record, RunRecord
from evaladapt.judge.request import Request

MOST_TARGETS = 8192
BLOCK, TRUE_CONTEXT = 64, 8
ORDERS = 4000
CLIPPED = 8.0
"""Nats at which one target's share in the sum ends, so that no single one decides."""
CONVICTS_BELOW = 1e-6
Gains = NDArray[np.float64]
"""[b,n,n]: by how much more than the plan the original tokens j of a block are expected at its places i."""


@dataclass(frozen=True)
class Echo:
    """What came out: ``p`` is the smaller tail of nothing but chance, ``z`` in deviations; ``best`` of drawn orders."""

    z: float
    p: float
    best: float


def echo(request: Request, *, seed: int = 0, again: str = "evaladapt audit") -> Finding:
    """Run the test on the first targets of the request's text.

    Raises:
        EvaladaptError: as :func:`evaladapt.judge.evaluate.evaluate`.
    """
    generator = np.random.default_rng(seed)
    with ExitStack() as stack:
        recipes = [request.recipe(base=base) for base in (False, True)]
        adapted, base = seat_all(recipes, request.patience, stack)
        if adapted.ready["peeking"] or len(adapted.ready["composition"]) < 2:
            return _not_covered("a strategy that peeks, or the plan alone, has nothing to bring along")
        stream = open_text(request)
        stream = stream.limit(MOST_TARGETS) if stream.targets > MOST_TARGETS else stream
        places = places_of(stream)
        if not len(places):
            return _not_covered(f"{stream.targets} targets are too few")
        text = ChangedText(stream.name, shuffled(stream, generator), stream.documents)
        rules = Rules(mode=request.settings.mode, boundaries=request.boundaries, rows=request.settings.batch)
        expected = []
        for seat in (adapted, base):
            charging = _Listening(text, rules, places, stream.tokens[places])
            seat.perform(charging)
            expected.append(charging.found)
    found = held_against_orders(expected[0] - expected[1], generator)
    return _finding(found, places, again)


def echoed(request: Request, record: Record, again: str) -> Record:
    """The record of a finished run with what ECHO says; it is VIOLATED and has no score where that convicts."""
    if not isinstance(record, RunRecord):
        return record
    found = echo(request, seed=request.settings.seed, again=again)
    record = replace(record, findings=[*record.findings, found.to_json()])
    if found.outcome != FAIL:
        return record
    fail = Clause(found.clause, FAIL, f"{found.probe}: {found.evidence}")
    clauses = [fail if one.clause == found.clause else one for one in record.clauses]
    return replace(record, verdict=VIOLATED, bpb=None, claimed_bpb=None, clauses=clauses)


def places_of(text: HeldText) -> NDArray[np.int64]:
    """[b,BLOCK]: targets of the replaced part, by blocks, without those that follow a true context closely."""
    first = text.targets // 4 + 1
    boundary = np.flatnonzero(text.tokens[first:] == text.tokens[0]) + first
    near = np.zeros(text.targets + 1, dtype=bool)
    for start in (first, *boundary):
        near[start : start + TRUE_CONTEXT] = True
    kept = np.flatnonzero(~near[first:]) + first
    return kept[: len(kept) // BLOCK * BLOCK].reshape(-1, BLOCK)


def shuffled(text: HeldText, generator: np.random.Generator) -> NDArray[np.int32]:
    """The tokens, from the first replaced target on in another order; BOS stays."""
    tokens = text.tokens.copy()
    moved = np.flatnonzero(tokens != tokens[0])
    moved = moved[moved > text.targets // 4]
    tokens[moved] = tokens[generator.permutation(moved)]
    return tokens


def held_against_orders(gains: Gains, generator: np.random.Generator) -> Echo:
    """Hold the sum over the diagonals of ``gains`` against all orders within blocks."""
    gains = np.clip(gains, -CLIPPED, CLIPPED)
    gains = (
        gains
        - gains.mean(axis=1, keepdims=True)
        - gains.mean(axis=2, keepdims=True)
        + gains.mean((1, 2), keepdims=True)
    )
    size = gains.shape[1]
    deviation = math.sqrt(float((gains**2).sum()) / (size - 1))
    if deviation < 1e-9:
        return Echo(0.0, 1.0, 0.0)
    there = float(np.trace(gains, axis1=1, axis2=2).sum())
    drawn = np.zeros(ORDERS)
    for block in gains:
        orders = generator.permuted(np.tile(np.arange(size), (ORDERS, 1)), axis=1)
        drawn += block[np.arange(size), orders].sum(axis=1)
    z, best = there / deviation, float(drawn.max()) / deviation
    by_normal, by_draws = 0.5 * math.erfc(z / math.sqrt(2)), float(1 + (drawn >= there).sum()) / (ORDERS + 1)
    return Echo(z, by_normal if z > best else max(by_normal, by_draws), best)


class _Listening(Charging):
    """Keeps what is said of the original tokens of a target's block, at the target's place."""

    def __init__(self, text: HeldText, rules: Rules, places: NDArray[np.int64], tokens: NDArray[np.int32]) -> None:
        super().__init__(text, rules)
        self.found: Gains = np.zeros((*places.shape, BLOCK))
        self._tokens = tokens
        self._flat = np.full(text.targets + 2, -1)
        self._flat[places.ravel()] = np.arange(places.size)

    def charge(self, first: int, logprobs: Logprobs) -> Settled:
        wanted = self._flat[first : first + len(logprobs)]
        rows = np.flatnonzero(wanted >= 0)
        block, place = np.divmod(wanted[rows], BLOCK)
        self.found[block, place] = logprobs[rows[:, None], self._tokens[block]]
        return super().charge(first, logprobs)


def _finding(found: Echo, places: NDArray[np.int64], again: str) -> Finding:
    convicts = found.p < CONVICTS_BELOW
    evidence = (
        f"{places.size} tokens of the text that was replaced are expected at their places with z = {found.z:.1f},"
        f" p = {found.p:.2g}; the best of {ORDERS:,} other orders has {found.best:.1f}"
    )
    example = Counterexample(
        positions=tuple(int(one) for one in places.ravel()[:3]),
        changed=f"from target {int(places[0, 0]) - TRUE_CONTEXT} on the text's tokens stood in another order",
        difference="the composition still expected the old one, so it did not learn it from what it was told",
        command=again,
    )
    return Finding(clause="C1", probe="ECHO", outcome=FAIL if convicts else PASS, evidence=evidence, backend="run",
                   counterexample=example if convicts else None, figures={"z": found.z, "p": found.p})  # fmt: skip


def _not_covered(why: str) -> Finding:
    return Finding(clause="C1", probe="ECHO", outcome=NOT_COVERED, evidence=why)
