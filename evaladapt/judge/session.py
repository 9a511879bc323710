"""One pass: a text charged on one side, a sealed player on the other, and twins asked behind its back."""

from __future__ import annotations

import json
import struct
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.contract.views import Window
from evaladapt.engine.loop import Closing
from evaladapt.engine.player.protocol import ANSWER, MOST_JSON, MOST_STATE, SEGMENT_BYTES, Kind, pack_settled, pack_text
from evaladapt.engine.source import Settled
from evaladapt.engine.windows import Batch
from evaladapt.errors import PluginError
from evaladapt.judge.charging import Charging
from evaladapt.judge.doubt.twins import Twins
from evaladapt.judge.outcome import Outcome, outcome_of
from evaladapt.judge.player.players import Player
from evaladapt.system.text import safe

MOST_WINDOWS = 1 << 16
LARGEST = 1e300
"""Of a number that a player may put into a record."""


class Session:
    """Serves a player from a charging, until every target is charged."""

    def __init__(self, player: Player, charging: Charging, vocab_size: int, twins: Twins | None = None) -> None:
        self._player, self._charging, self._vocab_size, self._twins = player, charging, vocab_size, twins
        self._number = 0

    def run(self) -> Outcome:
        """Play it through.

        Raises:
            ContractViolation: a distribution or a plan broke a clause, or a twin said otherwise than the player.
            PluginError: the player failed, hung, ended, or said what was not due.
        """
        started = time.perf_counter()
        self._tell_text()
        while True:
            kind, content = self._player.receive({Kind.WINDOWS: 24 * MOST_WINDOWS, Kind.DONE: MOST_JSON})
            if kind == Kind.DONE:
                return outcome_of(self._charging, _closing(content), time.perf_counter() - started)
            self._serve(self._batch(content))

    def _tell_text(self) -> None:
        shape, beginning = self._charging.shape, self._charging.begin()
        self._number = beginning.batches
        facts = {name: value for name, value in asdict(shape).items() if name != "document_starts"}
        facts |= {"name": "the text", "batches": beginning.batches}
        starts = np.array(shape.document_starts or (), dtype=np.int64)
        self._player.say(Kind.TEXT, pack_text(facts, starts, beginning.tokens, beginning.state))

    def _serve(self, batch: Batch) -> None:
        """One batch, from its windows to its targets."""
        inputs = self._charging.open(batch)
        if self._twins and self._twins.wants_fork(batch):
            self._fork(batch)
        self._player.say(Kind.INPUTS, inputs.astype("<i4").tobytes())
        due = batch.frontier
        while due < batch.end:
            first, logprobs = self._answer(due, batch.end)
            due = first + len(logprobs)
            settled = self._charging.charge(first, logprobs)
            if self._twins:
                self._twins.answered(first, logprobs, settled.charges)
                if due == batch.end:
                    self._twins.close(batch)
            self._player.say(Kind.SETTLED, pack_settled(settled.snapshot, settled.targets, settled.charges))
            self._keep_snapshot(settled)

    def _fork(self, batch: Batch) -> None:
        self._player.say(Kind.FORK)
        (pid,) = struct.unpack("<q", _sized(self._player.receive({Kind.FORKED: 8})[1], 8))
        if self._twins:
            self._twins.forked(batch, pid)

    def _answer(self, due: int, end: int) -> tuple[int, NDArray[np.float32]]:
        """The distributions of a part, from the pieces they cross in, each copied before it is looked at."""
        pieces: list[NDArray[np.float32]] = []
        first = at = due
        while True:
            content = _sized(self._player.receive({Kind.ANSWER: ANSWER.size})[1], ANSWER.size)
            start, rows, left = ANSWER.unpack(content)
            fits = 0 < rows <= SEGMENT_BYTES // (4 * self._vocab_size)
            if start != at or not fits or left < 0 or at + rows + left > end:
                raise PluginError(
                    f"the player answered for targets {start} to {start + rows - 1} and {left} more, where {at} was"
                    f" due in a batch that ends before {end}"
                )
            pieces.append(self._player.answer(rows, self._vocab_size))
            at += rows
            if not left:
                return first, np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
            self._player.say(Kind.TOOK)

    def _keep_snapshot(self, settled: Settled) -> None:
        if settled.snapshot:
            self._charging.keep(self._player.receive({Kind.STATE: MOST_STATE})[1])

    def _batch(self, content: bytes) -> Batch:
        numbers = np.frombuffer(_sized(content, len(content) // 24 * 24 or 24), "<i8").reshape(-1, 3).tolist()
        batch = Batch(self._number, tuple(Window(*one) for one in numbers))
        self._number += 1
        return batch


def _sized(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise PluginError(f"the player sent {len(content)} bytes where {size} were due")
    return content


def _closing(content: bytes) -> Closing:
    """What a player says of itself at the end; it is told as its own word, and only numbers and short words of it."""
    try:
        found: dict[str, Any] = json.loads(content)
        return Closing(
            weights_digest=str(found["weights_digest"])[:64],
            scalars={str(one): _scalars(values) for one, values in found["scalars"].items()},
            phases={safe(str(name), 80): _seconds(value) for name, value in found["phases"].items()},
            strategies={
                str(alias): {safe(str(hook), 80): _seconds(value) for hook, value in hooks.items()}
                for alias, hooks in found["strategies"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PluginError(f"the player ended with a report that cannot be read ({error})") from None


def _scalars(values: dict[str, Any]) -> dict[str, float | int | str]:
    return {safe(str(name), 80): one if _is_number(one) else safe(str(one), 200) for name, one in values.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and -LARGEST < value < LARGEST


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < LARGEST else 0.0
