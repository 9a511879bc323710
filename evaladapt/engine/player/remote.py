"""The player's end of the exchange: it says windows and distributions, and is told inputs and targets.

Before the inputs of a group of batches are told, the player forks. The fork, its *twin*, waits; when it is asked, a
fork of the fork answers and ends, so that every question finds the twin as it was. What a twin is told is a target's
prefix and no more, and nothing passes to it from the player: it keeps one descriptor, its own line to the judge.
"""

from __future__ import annotations

import io
import os
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.engine.keeper import FILLER
from evaladapt.engine.parts import PARTS, Mode, Part, Span
from evaladapt.engine.player.protocol import ANSWER, MOST_STATE, Kind, Question, Rows, unpack_settled
from evaladapt.engine.source import Beginning, Settled, TextShape
from evaladapt.engine.windows import Batch
from evaladapt.system.children import end_with_parent
from evaladapt.system.memory import FreedMemory
from evaladapt.system.threads import Pool
from evaladapt.system.wire import Wire, WireError


@dataclass(frozen=True)
class Lines:
    """What a player has: its line to the judge, its twins' line, the memory that answers are put in, its threads."""

    judge: Wire
    twins: Wire
    memory: NDArray[np.float32]
    pool: Pool
    freed: FreedMemory


class RemoteJudge:
    """The exchange of an engine whose text is in another process."""

    def __init__(self, lines: Lines, shape: TextShape, beginning: Beginning, mode: Mode) -> None:
        self.shape = shape
        self.wants_trail = False
        self._lines, self._beginning, self._mode = lines, beginning, mode
        self._look: Look | None = None

    @property
    def is_twin(self) -> bool:
        """Whether this process is a fork that answers a question."""
        return self._look is not None

    def begin(self) -> Beginning:
        """As the judge said."""
        return self._beginning

    def open(self, batch: Batch) -> NDArray[np.int32]:
        """Say the windows; be told their inputs, and perhaps fork before."""
        if self._look is None:
            windows = [(one.start, one.score_from, one.score_to) for one in batch.windows]
            self._lines.judge.send(Kind.WINDOWS, np.array(windows, dtype="<i8").tobytes())
            kind, content = self._lines.judge.receive({Kind.FORK: 0, Kind.INPUTS: MOST_STATE})
            if kind == Kind.INPUTS:
                return np.frombuffer(content, "<i4")
            given_back, player = self._lines.pool.give_back(), os.getpid()
            self._lines.freed.give_back()
            pid = os.fork()
            if pid:
                self._lines.judge.send(Kind.FORKED, struct.pack("<q", pid))
                return np.frombuffer(self._lines.judge.receive({Kind.INPUTS: MOST_STATE})[1], "<i4")
            self._look = _await_question(self._lines, batch.frontier, given_back, player)
            self.wants_trail = self._look.question.trail
        return self._look.inputs(batch)

    def parts(self, batch: Batch) -> Iterator[Part]:
        """As the mode says; for a twin that has come to its target, what it was asked for."""
        if self._look is None or not self._look.reached(batch):
            return PARTS[self._mode](batch)
        return iter([self._look.part(batch)])

    def known(self, batch: Batch) -> Settled | None:
        """To a twin: of the batches of its group before the target's, unless everything is to be as it was."""
        return self._look.known(batch) if self._look else None

    def settle(self, first: int, logprobs: Tensor, trail: Sequence[Tensor] = ()) -> Settled:
        """Answer, and be told the targets and what they cost."""
        if self._look is not None:
            return self._look.settle(first, logprobs, trail)
        rows = logprobs.detach().cpu().numpy()
        at_once = len(self._lines.memory) // rows.shape[1]
        for start in range(0, len(rows), at_once):
            piece = rows[start : start + at_once]
            self._lines.memory[: piece.size].reshape(piece.shape)[:] = piece
            left = len(rows) - start - len(piece)
            self._lines.judge.send(Kind.ANSWER, ANSWER.pack(first + start, len(piece), left))
            if left:
                self._lines.judge.receive({Kind.TOOK: 0})
        snapshot, targets, charges = unpack_settled(self._lines.judge.receive({Kind.SETTLED: MOST_STATE})[1])
        return Settled(targets, charges, snapshot)

    def keep(self, state: bytes) -> None:
        """Send the state."""
        self._lines.judge.send(Kind.STATE, state)


class Look:
    """One question, answered from a twin: the group's batches before the target's in full, and then its prefix."""

    def __init__(self, line: Wire, question: Question, frontier: int) -> None:
        self.question = question
        self._line, self._frontier = line, frontier
        self._before = 0
        """Targets that are predicted before the one asked for, of its batch."""

    def reached(self, batch: Batch) -> bool:
        """Whether the target asked for is in this batch."""
        return self.question.target < batch.end

    def inputs(self, batch: Batch) -> NDArray[np.int32]:
        """Tokens from the batch's frontier on; in the target's batch those before it, then filler."""
        told = self.question.tokens[batch.frontier - self._frontier :]
        wanted = batch.end - 1 - batch.frontier
        if not self.reached(batch):
            return told[:wanted]
        filler = np.full(max(0, wanted - len(told)), FILLER, dtype=np.int32)
        return np.concatenate([told[:wanted], filler])

    def part(self, batch: Batch) -> Part:
        """What to predict of the target's batch."""
        target = self.question.target
        row = next(row for row, window in enumerate(batch.windows) if target < window.score_to)
        if self.question.whole_shape:
            (whole,) = PARTS["block"](batch)
            self._before = target - batch.frontier
            return whole
        before = {Rows.ALONE: [], Rows.FIRST: [0], Rows.BEFORE: range(row)}[self.question.rows]
        rows = sorted({*before, row})
        windows = [batch.windows[one] for one in rows]
        windows[-1] = replace(windows[-1], score_to=target + 1)
        spans = [Span(one.score_from, one.score_to) for one in windows]
        if self.question.rows != Rows.BEFORE:
            spans = [Span(one.first, one.first + 1) for one in spans[:-1]] + [Span(target, target + 1)]
        self._before = sum(span.stop - span.first for span in spans) - 1
        whole = Part(batch, batch.windows[: row + 1], tuple(spans), opens_batch=True, opens_rows=True)
        return Part(batch, tuple(windows), tuple(spans), opens_batch=True, opens_rows=True, share_of=whole)

    def known(self, batch: Batch) -> Settled | None:
        """A batch before the target's; None where it is to be predicted again."""
        if self.question.whole_shape or self.reached(batch):
            return None
        return self._charged(batch.frontier, batch.end - batch.frontier)

    def settle(self, first: int, logprobs: Tensor, trail: Sequence[Tensor]) -> Settled:
        """Before the target's batch: what was charged then. With the target: the reply, and the end of this process."""
        count = len(logprobs)
        if first + count <= self._frontier + len(self.question.charges):
            return self._charged(first, count)
        if count <= self._before:
            self._before -= count
            at = first - self._frontier
            return Settled(self.question.tokens[at : at + count], np.zeros(count))
        rows = torch.stack([entry[self._before] for entry in (*trail, logprobs)]).float()
        self._line.send(Kind.REPLY, np.ascontiguousarray(rows.cpu().numpy(), dtype="<f4").tobytes())
        os._exit(0)

    def _charged(self, first: int, count: int) -> Settled:
        at = first - self._frontier
        return Settled(self.question.tokens[at : at + count], self.question.charges[at : at + count])


def _await_question(lines: Lines, frontier: int, threads_given_back: bool, player: int) -> Look:
    """The twin's life: cut off from everything but its line, wait, and let a fork answer. Returns in that fork."""
    end_with_parent(player)
    os.close(lines.judge.descriptor)
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    sys.stdout = sys.stderr = io.TextIOWrapper(io.BytesIO())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not threads_given_back:
        torch.set_num_threads(1)  # the threads of OpenMP did not come along, and it would wait for them
    try:
        while True:
            question = Question.unpack(lines.twins.receive({Kind.QUESTION: MOST_STATE})[1])
            me = os.getpid()
            pid = os.fork()
            if pid == 0:
                end_with_parent(me)
                return Look(lines.twins, question, frontier)
            if os.waitpid(pid, 0)[1] != 0:
                lines.twins.send(Kind.REPLY)
    except WireError:
        os._exit(0)
